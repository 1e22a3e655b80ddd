"""What we ourselves hold against a peer of HTTP/2: name -> error code and message, said once for both engines.

Those of a stream end the stream (RFC 9113 5.4.2), those of the connection end it with GOAWAY (5.4.1). Knows nothing of how a
frame is read. The messages go to the log and name the rule; they never repeat what the peer sent. What an engine's library
judges by itself is named by its error code alone.
"""

from __future__ import annotations

from ..base.errors import HTTP2Error
from .codes import (
    COMPRESSION_ERROR,
    ENHANCE_YOUR_CALM,
    ERROR_NAMES,
    FRAME_SIZE_ERROR,
    INTERNAL_ERROR,
    NO_ERROR,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    STREAM_CLOSED,
)

__all__ = ["CONNECTION_VERDICTS", "REFUSALS", "STREAM_VERDICTS", "engine_error", "http2_error"]

#: Of a stream: it is reset.
STREAM_VERDICTS: dict[str, tuple[int, str]] = {
    # A field line (RFC 9113 8.2), in a head or a trailer section.
    "FIELD_NAME": (PROTOCOL_ERROR, "field name is not a token in lower case (RFC 9113 8.2.1)"),
    "FIELD_VALUE": (PROTOCOL_ERROR, "field value has a control character or outer whitespace (RFC 9113 8.2.1)"),
    "CONNECTION_FIELD": (PROTOCOL_ERROR, "field is specific to a connection of HTTP/1 (RFC 9113 8.2.2)"),
    "TE": (PROTOCOL_ERROR, "TE is not trailers (RFC 9113 8.2.2)"),
    # The control data (RFC 9113 8.3).
    "PSEUDO_ORDER": (PROTOCOL_ERROR, "pseudo-header field behind a regular one (RFC 9113 8.3)"),
    "PSEUDO_UNKNOWN": (PROTOCOL_ERROR, "unknown pseudo-header field (RFC 9113 8.3)"),
    "PSEUDO_DUPLICATE": (PROTOCOL_ERROR, "pseudo-header field more than once (RFC 9113 8.3)"),
    "PSEUDO_MISSING": (PROTOCOL_ERROR, "pseudo-header field is missing, or one too many for CONNECT (RFC 9113 8.3.1, 8.5)"),
    "PSEUDO_TRAILER": (PROTOCOL_ERROR, "pseudo-header field in a trailer section (RFC 9113 8.1)"),
    "METHOD": (PROTOCOL_ERROR, "method is not a token (RFC 9110 9.1)"),
    "SCHEME": (PROTOCOL_ERROR, "scheme is malformed (RFC 3986 3.1)"),
    "PATH": (PROTOCOL_ERROR, "path is malformed, or * without OPTIONS (RFC 9113 8.3.1)"),
    "PROTOCOL": (PROTOCOL_ERROR, "protocol is not a token, or without CONNECT (RFC 8441 4)"),
    "AUTHORITY": (PROTOCOL_ERROR, "authority is not host [ ':' port ] (RFC 9113 8.3.1)"),
    "HOST_MISSING": (PROTOCOL_ERROR, "request has neither :authority nor Host (RFC 9113 8.3.1)"),
    "HOST_DUPLICATE": (PROTOCOL_ERROR, "request has more than one Host (RFC 9112 3.2)"),
    "HOST": (PROTOCOL_ERROR, "Host is not host [ ':' port ], or another than :authority (RFC 9113 8.3.1)"),
    "CONTENT_LENGTH": (PROTOCOL_ERROR, "Content-Length is not one decimal number in range (RFC 9110 8.6)"),
    # The request as a whole (RFC 9113 8.1).
    "CONTENT_LENGTH_MISMATCH": (PROTOCOL_ERROR, "content is not as long as Content-Length says (RFC 9113 8.1.1)"),
    "TRAILERS_WITHOUT_END": (PROTOCOL_ERROR, "trailer section does not end the stream (RFC 9113 8.1)"),
    "TRAILERS_TOO_LARGE": (PROTOCOL_ERROR, "trailer section is larger than the limit (RFC 9113 10.5.1)"),
    "TOO_MANY_STREAMS": (REFUSED_STREAM, "more streams than the limit (RFC 9113 5.1.2)"),
}

#: Of a request that was understood, and is answered by the session itself: name -> status.
REFUSALS: dict[str, int] = {
    "HEAD_TOO_LARGE": 431,
    "TOO_MANY_FIELDS": 431,
    "EXPECTATION": 417,
    "METHOD_TOO_LONG": 501,
}

#: Of the connection: it ends.
CONNECTION_VERDICTS: dict[str, tuple[int, str]] = {
    "PREFACE": (PROTOCOL_ERROR, "connection preface is invalid (RFC 9113 3.4)"),
    "FRAME_TOO_LARGE": (FRAME_SIZE_ERROR, "frame is larger than the limit (RFC 9113 4.2)"),
    "FRAME_LENGTH": (FRAME_SIZE_ERROR, "frame is not as long as its type says (RFC 9113 6)"),
    "FRAME_STREAM": (PROTOCOL_ERROR, "frame of this type on a wrong stream (RFC 9113 6)"),
    "FRAME_ORDER": (PROTOCOL_ERROR, "frame inside a field section, or CONTINUATION outside of one (RFC 9113 6.10)"),
    "PADDING": (PROTOCOL_ERROR, "padding is longer than its frame (RFC 9113 6.1)"),
    "PUSH_PROMISE": (PROTOCOL_ERROR, "PUSH_PROMISE from a client (RFC 9113 8.4)"),
    "STREAM_IDLE": (PROTOCOL_ERROR, "frame on a stream that has not begun (RFC 9113 5.1)"),
    "STREAM_CLOSED": (STREAM_CLOSED, "frame on a stream that the peer has ended (RFC 9113 5.1)"),
    "COMPRESSION": (COMPRESSION_ERROR, "field section cannot be decoded (RFC 7541)"),
    "HEAD_MUCH_TOO_LARGE": (ENHANCE_YOUR_CALM, "field section is far larger than the limit (RFC 9113 10.5.1)"),
    # Floods (RFC 9113 10.5).
    "CONTINUATION_FLOOD": (ENHANCE_YOUR_CALM, "too many CONTINUATION frames (RFC 9113 10.5)"),
    "CONTROL_FLOOD": (ENHANCE_YOUR_CALM, "too many frames that ask for work and carry nothing (RFC 9113 10.5)"),
    "WINDOW_UPDATE_FLOOD": (ENHANCE_YOUR_CALM, "too many WINDOW_UPDATE frames (RFC 9113 10.5)"),
    "RESET_FLOOD": (ENHANCE_YOUR_CALM, "too many streams were reset (RFC 9113 10.5)"),
}


def http2_error(name: str) -> HTTP2Error:
    """The error that ends the connection. `name` is a key of `CONNECTION_VERDICTS`; another one is a bug and raises KeyError."""
    error_code, message = CONNECTION_VERDICTS[name]
    return HTTP2Error(message, error_code=error_code, code=name)


def engine_error(error_code: int, message: str) -> HTTP2Error:
    """The error for what an engine's library has judged: named by its error code."""
    if error_code == NO_ERROR:
        error_code = INTERNAL_ERROR
    known = error_code < len(ERROR_NAMES)
    return HTTP2Error(message, error_code=error_code, code=ERROR_NAMES[error_code] if known else "UNKNOWN")
