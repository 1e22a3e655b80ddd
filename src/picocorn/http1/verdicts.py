"""What the HTTP/1 parser may hold against a request: code -> status and message, said once for both twins.

The native parser has the same codes as its C enum (PC_ERR_<CODE>, `pc_status_name()`), and both twins raise through
`remote_error`, so that a verdict reads the same whichever body found it. Knows nothing of how a request is parsed.

The messages go to the log and name the rule; they never repeat what the client sent.
"""

from __future__ import annotations

from ..base.errors import RemoteProtocolError

__all__ = ["VERDICTS", "remote_error"]

VERDICTS: dict[str, tuple[int, str]] = {
    # The request line, in the order of judgement (RFC 9112 3).
    "REQUEST_LINE_TOO_LONG": (414, "request line is longer than the limit (RFC 9112 3)"),
    "LINE_ENDING": (400, "line does not end in CRLF, or has a bare CR inside (RFC 9112 2.2)"),
    "LEADING_EMPTY_LINES": (400, "too many empty lines before the request line (RFC 9112 2.2)"),
    "METHOD": (400, "method is not a token (RFC 9110 9.1)"),
    "METHOD_TOO_LONG": (501, "method is longer than any known method (RFC 9112 3)"),
    "REQUEST_LINE": (400, "request line is not: method SP target SP version (RFC 9112 3)"),
    "VERSION": (400, "version is not HTTP/1.0 or HTTP/1.1 (RFC 9112 2.3)"),
    "VERSION_NOT_SUPPORTED": (505, "HTTP version is not supported on this connection (RFC 9110 15.6.6)"),
    "CONNECT_REFUSED": (501, "CONNECT is refused: this is not a proxy (RFC 9110 9.3.6)"),
    "TARGET": (400, "request target is invalid (RFC 9112 3.2)"),
    # A field line (RFC 9112 5).
    "HEAD_TOO_LARGE": (431, "request head is larger than the limit (RFC 9110 5.4)"),
    "TOO_MANY_FIELDS": (431, "request has more field lines than the limit (RFC 9110 5.4)"),
    "OBS_FOLD": (400, "field line is folded (RFC 9112 5.2)"),
    "FIELD_NAME": (400, "field name is not a token directly followed by a colon (RFC 9112 5.1)"),
    "FIELD_VALUE": (400, "field value has a control character (RFC 9110 5.5)"),
    # The head as a whole (RFC 9112 3.2, 6.1, 6.3).
    "HOST_MISSING": (400, "HTTP/1.1 request has no Host (RFC 9112 3.2)"),
    "HOST_DUPLICATE": (400, "request has more than one Host (RFC 9112 3.2)"),
    "HOST": (400, "Host is not host [ ':' port ] (RFC 9110 7.2)"),
    "TRANSFER_ENCODING_HTTP10": (400, "HTTP/1.0 request has Transfer-Encoding (RFC 9112 6.1)"),
    "TRANSFER_ENCODING": (400, "Transfer-Encoding does not end in a single chunked (RFC 9112 6.3)"),
    "TRANSFER_CODING_UNKNOWN": (501, "transfer coding is not supported (RFC 9112 6.1)"),
    "CONTENT_LENGTH_DUPLICATE": (400, "request has more than one Content-Length (RFC 9112 6.3)"),
    "CONTENT_LENGTH": (400, "Content-Length is not a decimal number in range (RFC 9112 6.3)"),
    "TRANSFER_ENCODING_AND_LENGTH": (400, "request has both Transfer-Encoding and Content-Length (RFC 9112 6.1)"),
    "EXPECTATION": (417, "expectation is not 100-continue (RFC 9110 10.1.1)"),
    "BODY_TOO_LARGE": (413, "request content is larger than the limit (RFC 9110 15.5.14)"),
    # Chunked content (RFC 9112 7.1).
    "CHUNK_SIZE": (400, "chunk size is not a hexadecimal number in range (RFC 9112 7.1)"),
    "CHUNK_EXTENSION": (400, "chunk extension is malformed (RFC 9112 7.1.1)"),
    "CHUNK_EXTENSION_TOO_LARGE": (400, "chunk extensions are larger than the limit (RFC 9112 7.1.1)"),
    "CHUNK_DATA": (400, "chunk is not followed by CRLF (RFC 9112 7.1)"),
    "TRAILER": (400, "trailer field line is malformed (RFC 9112 7.1.2)"),
    "TRAILER_TOO_LARGE": (400, "trailer section is larger than the limit (RFC 9112 7.1.2)"),
    # The end of the connection (RFC 9112 8).
    "INCOMPLETE": (400, "connection ended inside a request (RFC 9112 8)"),
}


def remote_error(code: str) -> RemoteProtocolError:
    """The error to raise for a verdict. `code` is a key of `VERDICTS`; another one is a bug and raises KeyError."""
    status, message = VERDICTS[code]
    return RemoteProtocolError(message, status_hint=status, code=code)
