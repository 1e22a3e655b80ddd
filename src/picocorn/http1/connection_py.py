"""The server's side of one HTTP/1.1 connection without I/O: bytes in, events out; messages in, bytes out.

Framing of responses, keep-alive and the rules on 1xx, 204, 205, 304 and HEAD live here. Knows no asyncio and no ASGI; how
bytes are read and written is the parser's and writer's business. The text is compiled a second time as `connection_c`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..base.errors import LocalProtocolError
from ..base.limits import HTTP1Limits
from ..base.request_head_py import RequestHead
from .events import DATA, END, HEAD
from .parser_py import RequestParser
from .writer_py import CONNECTION_CLOSE, LAST_CHUNK, chunk, content_length_line, encode_fields, encode_head, join_message

__all__ = ["HTTP1Connection"]

# How the content of the running response is delimited (RFC 9112 6.3).
NOTHING = 0
LENGTH = 1
CHUNKED = 2
UNTIL_CLOSE = 3

#: Content below this is copied behind its head, so that both are one buffer; above, copying costs more than a second buffer.
JOIN_BYTES = 32768
#: Rest of a request that is read and thrown away to keep a connection; of a larger rest the connection is closed.
DISCARD_BYTES = 65536

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SWITCHING_PROTOCOLS = b"HTTP/1.1 101 Switching Protocols\r\n"


class HTTP1Connection:
    """Requests and responses of one connection, in order, one at a time.

    `next_event()` as in the parser; after END call it again only when `response_complete`. A response is
    `write_head`, then `write_data` until `end`, or `write_trailers`. Output is a list of bytes objects to send in order.
    """

    __slots__ = (
        "_block",
        "_flags",
        "_framing",
        "_remaining_bytes",
        "_status",
        "_trailers",
        "continue_pending",
        "head",
        "http10",
        "is_head",
        "keep_alive",
        "parser",
        "request_complete",
        "response_complete",
        "response_started",
    )

    def __init__(self, limits: HTTP1Limits) -> None:
        self.parser = RequestParser(limits)
        self.head: RequestHead | None = None
        #: the connection can carry another request after this response
        self.keep_alive = True
        #: the request's END has been seen
        self.request_complete = True
        #: the last byte of the final response has been given out
        self.response_complete = True
        #: the first byte of the final response has been given out
        self.response_started = False
        #: the client waits for `100 Continue` before it sends content
        self.continue_pending = False
        self.http10 = False
        self.is_head = False
        self._block: bytes | None = None
        self._flags = 0
        self._framing = NOTHING
        self._remaining_bytes = -1
        self._status = 0
        self._trailers = False

    # -- input

    def feed(self, data: bytes) -> None:
        """Take bytes that came from the peer. Parses nothing."""
        self.parser.feed(data)

    def feed_eof(self) -> None:
        """The peer will send nothing more."""
        self.parser.feed_eof()

    def next_event(self) -> int:
        """Return the next event; see `events`. HEAD begins a new exchange. Raises RemoteProtocolError."""
        event = self.parser.next_event()
        if event == HEAD:
            self._begin()
        elif event == END:
            self.request_complete = True
            self.continue_pending = False
        elif event == DATA:
            # RFC 9110 10.1.1: content has arrived, so nobody waits for the 100 any more.
            self.continue_pending = False
        return event

    def _begin(self) -> None:
        head = self.parser.head
        self.head = head
        self.http10 = head.http_version == "1.0"
        self.keep_alive = head.keep_alive
        self.continue_pending = head.expect_continue
        self.request_complete = False
        self.response_complete = False
        self.response_started = False
        self.is_head = head.method == "HEAD"
        self._block = None

    def begin_refusal(self) -> None:
        """A response is due to something that was no request: a plain one, and the last."""
        if self.request_complete:
            # Else it is the content of the running request that was none.
            self.is_head = self.parser.begun_is_head()
        self.head = None
        self.http10 = False
        self.keep_alive = False
        self.continue_pending = False
        self.request_complete = False
        self.response_complete = False
        self.response_started = False
        self._block = None

    # -- output

    def write_head(self, status: int, headers: Iterable[Iterable[bytes]], default_fields: bytes, trailers: bool = False) -> None:
        """Check, serialise and hold a final response head. Raises LocalProtocolError for one that may not be sent."""
        if status == 204 or status == 205:
            # RFC 9110 8.6 and 15.3.6: no Content-Length in a 204, none but 0 in a 205.
            headers = _without_length(headers)
        block, content_length, flags = encode_head(status, headers, default_fields)
        self._block = block
        self._remaining_bytes = content_length
        self._flags = flags
        self._status = status
        self._trailers = trailers

    def discard_head(self) -> bool:
        """Forget a held head. Returns False when it has already been given out."""
        self._block = None
        return not self.response_started

    def ends_by_close(self) -> bool:
        """Whether the running response has no other end than the connection's (RFC 9112 6.3)."""
        return self.response_started and not self.response_complete and self._framing == UNTIL_CLOSE

    def write_data(self, data: bytes, end: bool) -> list[bytes]:
        """Return what to send for content `data`; the first call includes the head.

        Raises LocalProtocolError when the content is longer, or at its end shorter, than the declared Content-Length. Nothing
        of that call has been given out then.
        """
        size = len(data)
        block = self._block
        if block is not None:
            return self._first_data(block, data, size, end)
        if self._framing == CHUNKED:
            return self._chunked(data, size, end)
        if self._framing == NOTHING:
            if end:
                self._finish()
            return []
        if self._framing == LENGTH:
            self._count(size, end)
        if end:
            self._finish()
        return [data] if size else []

    def write_trailers(self, headers: list[Iterable[bytes]]) -> list[bytes]:
        """End the response with a trailer section (RFC 9112 7.1.2), or without where the framing has no room for one.

        Raises LocalProtocolError for fields that may not be sent.
        """
        fields = encode_fields(headers)
        out = []
        if self._block is not None and self._choose_framing(0, False)[0] == CHUNKED:
            out = self.write_data(b"", False)
        if self._block is not None or self._framing != CHUNKED:
            return self.write_data(b"", True)
        self._finish()
        out.append(b"0\r\n" + fields + b"\r\n" if self._trailers else LAST_CHUNK)
        return out

    def write_informational(self, status: int, headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return an interim response, b"" for a client of HTTP/1.0 (RFC 9110 15.2). Raises LocalProtocolError."""
        if self.http10 or self.response_started:
            return b""
        return b"HTTP/1.1 %d Early Hints\r\n" % status + encode_fields(headers) + b"\r\n"

    def write_continue(self) -> bytes:
        """Return `100 Continue` if the client waits for it and the final response has not begun, else b""."""
        if not self.continue_pending or self.response_started:
            return b""
        self.continue_pending = False
        return CONTINUE

    def write_upgrade(self, headers: list[tuple[bytes, bytes]], default_fields: bytes) -> bytes:
        """Return the response that ends HTTP on this connection (RFC 9110 15.2.2); `headers` name the protocol that follows.

        Raises LocalProtocolError for fields that may not be sent.
        """
        head = SWITCHING_PROTOCOLS + default_fields + encode_fields(headers) + b"\r\n"
        self._block = None
        self.keep_alive = False
        self.response_started = True
        self.response_complete = True
        return head

    # -- the framing of a response

    def _first_data(self, block: bytes, data: bytes, size: int, end: bool) -> list[bytes]:
        declared = self._remaining_bytes
        framing, extra = self._choose_framing(size, end)
        if framing == LENGTH and declared >= 0:
            # Before anything is given out: the application can still be answered with a 500.
            self._count(size, end)
        if not self._may_keep_alive(end) or self._flags & CONNECTION_CLOSE:
            self.keep_alive = False
        if framing == UNTIL_CLOSE:
            self.keep_alive = False
        if not self.keep_alive and not self._flags & CONNECTION_CLOSE:
            extra = b"connection: close\r\n" + extra
        self._block = None
        self._framing = framing
        self.response_started = True
        if framing == NOTHING:
            data = b""
            size = 0
        elif framing == CHUNKED and size:
            data = chunk(data)
            if end:
                data += LAST_CHUNK
        elif framing == CHUNKED and end:
            data = LAST_CHUNK
        if end:
            self._finish()
        if size < JOIN_BYTES:
            return [join_message(block, extra, data)]
        return [join_message(block, extra, b""), data]

    def _choose_framing(self, size: int, end: bool) -> tuple[int, bytes]:
        status = self._status
        if self.is_head or status == 204 or status == 304:
            # RFC 9112 6.3: these end with the head, whatever the fields say.
            return NOTHING, b""
        if status == 205:
            return NOTHING, b"content-length: 0\r\n"
        if self._remaining_bytes >= 0:
            return LENGTH, b""
        if end:
            # The whole content is known, so a length costs less than a chunk and serves HTTP/1.0 too.
            return LENGTH, content_length_line(size)
        if self.http10:
            return UNTIL_CLOSE, b""
        return CHUNKED, b"transfer-encoding: chunked\r\n"

    def _may_keep_alive(self, end: bool) -> bool:
        """RFC 9112 9.3: a request that is answered before it was read is read to its end or the connection closes."""
        if not self.keep_alive:
            return False
        if self.request_complete:
            return True
        if self.continue_pending:
            # The client may now send its content or not: what follows cannot be told apart.
            return False
        return not end or self._may_discard()

    def _may_discard(self) -> bool:
        head = self.head
        return head is not None and not head.chunked and head.content_length <= DISCARD_BYTES

    def _count(self, size: int, end: bool) -> None:
        remaining = self._remaining_bytes - size
        if remaining < 0:
            raise LocalProtocolError("Response content longer than Content-Length")
        if end and remaining:
            raise LocalProtocolError("Response content shorter than Content-Length")
        self._remaining_bytes = remaining

    def _chunked(self, data: bytes, size: int, end: bool) -> list[bytes]:
        # An empty chunk would end the response (RFC 9112 7.1), so none is written in its middle.
        if end:
            self._finish()
        if not size:
            return [LAST_CHUNK] if end else []
        if size < JOIN_BYTES:
            return [chunk(data) + LAST_CHUNK] if end else [chunk(data)]
        return [b"%x\r\n" % size, data, b"\r\n" + LAST_CHUNK if end else b"\r\n"]

    def _finish(self) -> None:
        self.response_complete = True
        if not self.request_complete and (self.continue_pending or not self._may_discard()):
            self.keep_alive = False


def _without_length(headers: Iterable[Iterable[Any]]) -> list[tuple[Any, ...]]:
    """The fields but Content-Length. What is no field stays, for the writer to refuse."""
    try:
        fields = [tuple(field) for field in headers]
    except TypeError as error:
        raise LocalProtocolError(f"headers are not an iterable of pairs of bytes: {headers!r}") from error
    return [f for f in fields if len(f) != 2 or not isinstance(f[0], bytes) or f[0].lower() != b"content-length"]
