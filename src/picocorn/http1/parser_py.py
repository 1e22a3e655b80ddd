"""The HTTP/1 request parser, pure Python: bytes in, events out. Twin of `parser_c.pyx`.

Holds the buffer, the place in the message and the limits; the grammar is in `head_py`, `framing_py` and `chunked_py`. Knows
no socket, no clock, no response, and not when a connection ends: the caller asks for the next request when it wants one.

The same bytes give the same events and the same verdict however they are split. Hence the rules of judgement: a line is
judged when its LF has come, or when it can no longer keep its limit; limits before syntax; the first byte of a message at
once. Every byte is looked at a bounded number of times, also when a 64 KiB head comes one byte at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.errors import RemoteProtocolError
from ..base.request_head_py import RequestHead
from .chunked_py import read_chunk_line
from .events import CLOSED, DATA, END, HEAD, NEED_DATA
from .framing_py import FRAMING_FIELDS, decide
from .head_py import HEAD as WHOLE_HEAD
from .head_py import (
    TCHAR,
    RequestLine,
    field_line_verdict,
    read_request_line,
    split_field_block,
    split_field_line,
    split_target,
)
from .verdicts import remote_error

if TYPE_CHECKING:
    import re
    from collections.abc import Callable

    from ..base.limits import HTTP1Limits

__all__ = ["CLOSED", "DATA", "END", "HEAD", "NEED_DATA", "RequestParser"]

_CRLF = b"\r\n"
_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE")}
_VERSIONS = ("1.0", "1.1")

# Places in a message: what the parser waits for. Each is an index into _STEPS.
_REQUEST_LINE, _FIELDS, _NO_CONTENT, _CONTENT, _CHUNK_LINE, _CHUNK, _CHUNK_CRLF, _TRAILERS = range(8)


class RequestParser:
    """Turns bytes into HEAD, DATA and END events of one request after the other.

    `limits` bounds what is kept and accepted. Attributes: `head`, `data`, `trailers` belong to the last HEAD, DATA and END.
    """

    __slots__ = (
        "_buffer",
        "_content_left",
        "_content_total",
        "_cursor",
        "_empty_lines",
        "_eof",
        "_error",
        "_extensions_total",
        "_fields",
        "_limits",
        "_place",
        "_pos",
        "_request_line",
        "_scanned",
        "data",
        "head",
        "trailers",
    )

    head: RequestHead
    data: bytes
    trailers: list[tuple[bytes, bytes]]

    def __init__(self, limits: HTTP1Limits) -> None:
        self.data = b""
        self.trailers = []
        self._limits = limits
        self._buffer: bytes | bytearray = b""
        self._pos = 0  # first byte that no event has consumed
        self._cursor = 0  # first byte of the line being waited for
        self._scanned = 0  # no LF between _cursor and here
        self._place = _REQUEST_LINE
        self._eof = False
        self._error = ""
        self._empty_lines = 0
        self._request_line: RequestLine | None = None
        self._fields: list[tuple[bytes, bytes]] = []
        self._content_left = 0
        self._content_total = 0
        self._extensions_total = 0

    # -- bytes in ------------------------------------------------------------------------------------------------------

    def buffered_bytes(self) -> int:
        """Bytes fed and not yet consumed by an event."""
        return len(self._buffer) - self._pos

    def mid_message(self) -> bool:
        """Whether a request has begun, beyond empty lines, and its END has not been returned."""
        if self._place != _REQUEST_LINE:
            return True
        pos = self._pos
        while self._buffer.startswith(_CRLF, pos):
            pos += 2
        return pos < len(self._buffer)

    def begun_is_head(self) -> bool:
        """Whether a HEAD was begun whose head has not come to its end, be it that it was refused (RFC 9110 9.3.2)."""
        return self._request_line is not None and self._request_line.method == "HEAD"

    def feed(self, data: bytes) -> None:
        """Keep `data` for `next_event`. Parses nothing; copies nothing while the buffer is empty."""
        if self._error:
            return
        pos = self._pos
        if pos == len(self._buffer):
            self._buffer = data
            self._pos = self._cursor = self._scanned = 0
            return
        self._compact()
        if isinstance(self._buffer, bytes):
            # A growable buffer from the second piece on, or one-byte pieces would cost their square.
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    def feed_eof(self) -> None:
        """The peer will send no more bytes."""
        self._eof = True

    def take_rest(self) -> bytes:
        """Give up what no event has consumed: after an upgrade it belongs to another protocol (RFC 9110 7.8)."""
        rest = bytes(self._buffer[self._pos :])
        self._consume(len(self._buffer))
        return rest

    # -- events out ----------------------------------------------------------------------------------------------------

    def next_event(self) -> int:
        """HEAD, then DATA any number of times, then END; NEED_DATA when bytes are missing; CLOSED at the end between requests.

        Raises RemoteProtocolError when the peer broke a rule, and from then on at every call.
        """
        if self._error:
            raise remote_error(self._error)
        try:
            return _STEPS[self._place](self)
        except RemoteProtocolError as error:
            self._error = error.code
            if error.code != "VERSION_NOT_SUPPORTED":
                # Else `take_rest()` is for who speaks that version.
                self._buffer = b""
                self._pos = self._cursor = self._scanned = 0
            raise

    def _wait(self) -> int:
        if self._eof:
            if self._place == _REQUEST_LINE and self._pos == len(self._buffer):
                return CLOSED
            raise remote_error("INCOMPLETE")
        # A rest of a few bytes must not keep a large piece alive while the connection is idle.
        self._compact()
        return NEED_DATA

    def _compact(self) -> None:
        pos = self._pos
        if pos:
            if isinstance(self._buffer, bytes):
                self._buffer = self._buffer[pos:]
            else:
                del self._buffer[:pos]
            self._cursor -= pos
            self._scanned -= pos
            self._pos = 0

    def _consume(self, end: int) -> None:
        if end == len(self._buffer):
            self._buffer = b""
            end = 0
        self._pos = self._cursor = self._scanned = end

    def _line_end(self) -> int:
        """Index after the LF of the line at `_cursor`, or 0 while it has not come. Scans no byte twice."""
        end = self._buffer.find(b"\n", self._scanned) + 1
        self._scanned = end or len(self._buffer)
        return end

    # -- head ----------------------------------------------------------------------------------------------------------

    def _skip_empty_lines(self) -> None:
        pos = self._pos
        while self._buffer.startswith(_CRLF, pos):
            self._empty_lines += 1
            if self._empty_lines > self._limits.leading_empty_lines:
                raise remote_error("LEADING_EMPTY_LINES")
            pos += 2
        self._consume(pos)

    def _read_request_line(self) -> int:
        buffer = self._buffer
        if self._scanned == self._pos:  # the first look at this request
            if buffer.startswith(_CRLF, self._pos):
                self._skip_empty_lines()
                buffer = self._buffer
            pos = self._pos
            if pos == len(buffer):
                return self._wait()
            match = WHOLE_HEAD.match(buffer, pos, pos + self._limits.request_head_bytes + 2)
            if match is not None and self._fits(match):
                return self._take_whole_head(match)
            first = buffer[pos]
            if first not in TCHAR and first != 0x0D:
                raise remote_error("LINE_ENDING" if first == 0x0A else "METHOD")
        end = self._line_end()
        if (end or len(buffer)) - self._pos > self._limits.request_line_bytes + (2 if end else 1):
            raise remote_error("REQUEST_LINE_TOO_LONG")
        if not end:
            return self._wait()
        if end - self._pos == 2 and buffer.startswith(_CRLF, self._pos):
            # The empty line came in two pieces: only now is it one.
            self._scanned = self._pos
            return self._read_request_line()
        self._request_line = read_request_line(bytes(buffer[self._pos : end]))
        self._fields = []
        self._cursor = end
        self._place = _FIELDS
        return self._read_fields()

    def _fits(self, match: re.Match[bytes]) -> bool:
        limits = self._limits
        return match.start(4) - match.start() <= limits.request_line_bytes + 2 and (
            match.end(4) - match.start() <= limits.request_head_bytes or match.start(4) == match.end(4)
        )

    def _take_whole_head(self, match: re.Match[bytes]) -> int:
        name, target, minor, block = match.groups()
        method = _METHODS.get(name) or name.decode("ascii").upper()
        raw_path, query_string, authority = split_target(method, target)
        self._request_line = RequestLine(method, target, raw_path, query_string, authority, minor == b"1")
        self._fields = split_field_block(block)
        if len(self._fields) > self._limits.request_fields:
            raise remote_error("TOO_MANY_FIELDS")
        return self._finish_head(match.end())

    def _collect_fields(self, limit_bytes: int, too_large: str, too_many: str, malformed: str) -> int:
        """Collect field lines up to the empty line. Index after that, or 0 while it has not come.

        `malformed` replaces the verdict on a line unless it is "". The empty line itself is not held against the limit.
        """
        buffer, start, fields = self._buffer, self._pos, self._fields
        while end := self._line_end():
            line = bytes(buffer[self._cursor : end])
            if line == _CRLF:
                return end
            if end - start > limit_bytes:
                raise remote_error(too_large)
            if len(fields) >= self._limits.request_fields:
                raise remote_error(too_many)
            if code := field_line_verdict(line):
                raise remote_error(malformed or code)
            fields.append(split_field_line(line))
            self._cursor = end
        # Two bytes without LF are not the empty line; and wherever its LF comes, it comes beyond the limit.
        if len(buffer) - self._cursor > 1 and len(buffer) - start >= limit_bytes:
            raise remote_error(too_large)
        return 0

    def _read_fields(self) -> int:
        end = self._collect_fields(self._limits.request_head_bytes, "HEAD_TOO_LARGE", "TOO_MANY_FIELDS", "")
        return self._finish_head(end) if end else self._wait()

    def _finish_head(self, end: int) -> int:
        line, fields = self._request_line, self._fields
        assert line is not None
        special = [field for field in fields if field[0] in FRAMING_FIELDS]
        framing = decide(special, line.http11, self._limits.request_body_bytes)
        if line.authority is not None:
            # RFC 9112 3.2.2: the target's authority counts, the Host field is ignored.
            fields = [(name, line.authority if name == b"host" else value) for name, value in fields]
        head = RequestHead()
        head.method, head.target, head.raw_path, head.query_string, _, http11 = line
        head.http_version = _VERSIONS[http11]
        head.headers = fields
        head.content_length, head.chunked, head.keep_alive, head.expect_continue, head.upgrade, head.forwarded = framing
        self.head = head
        self.data = b""
        self.trailers = []
        self._request_line = None
        self._empty_lines = self._content_total = self._extensions_total = 0
        self._content_left = framing.content_length
        self._place = _CHUNK_LINE if framing.chunked else _CONTENT if framing.content_length > 0 else _NO_CONTENT
        self._consume(end)
        return HEAD

    # -- content -------------------------------------------------------------------------------------------------------

    def _finish_message(self) -> int:
        self.data = b""
        self._place = _REQUEST_LINE
        return END

    def _take_data(self) -> int:
        """One DATA event of as much of the content or chunk as has come, 0 when nothing has."""
        buffer, pos = self._buffer, self._pos
        size = min(len(buffer) - pos, self._content_left)
        if size == 0:
            return self._wait()
        self._content_left -= size
        # A piece that is all content is handed on as the very object that was fed.
        piece = buffer if size == len(buffer) else buffer[pos : pos + size]
        self.data = piece if isinstance(piece, bytes) else bytes(piece)
        self._consume(pos + size)
        return DATA

    def _read_content(self) -> int:
        return self._take_data() if self._content_left else self._finish_message()

    def _read_chunk_line(self) -> int:
        buffer, pos, limits = self._buffer, self._pos, self._limits
        end = self._line_end()
        if (end or len(buffer)) - pos > limits.chunk_line_bytes + (2 if end else 1):
            raise remote_error("CHUNK_EXTENSION_TOO_LARGE")
        if not end:
            return self._wait()
        size, extensions = read_chunk_line(bytes(buffer[pos:end]))
        if extensions:
            self._extensions_total += extensions
            if self._extensions_total > limits.chunk_extension_total_bytes:
                raise remote_error("CHUNK_EXTENSION_TOO_LARGE")
        self._content_total += size
        if self._content_total > limits.request_body_bytes > 0:
            raise remote_error("BODY_TOO_LARGE")
        self._consume(end)
        self._content_left = size
        if size:
            self._place = _CHUNK
            return self._read_chunk()
        self._place = _TRAILERS
        self._fields = []
        return self._read_trailers()

    def _read_chunk(self) -> int:
        event = self._take_data()
        if not self._content_left:
            self._place = _CHUNK_CRLF
        return event

    def _read_chunk_crlf(self) -> int:
        buffer, pos = self._buffer, self._pos
        if buffer.startswith(_CRLF, pos):
            self._consume(pos + 2)
            self._place = _CHUNK_LINE
            return self._read_chunk_line()
        if pos == len(buffer) or (pos + 1 == len(buffer) and buffer[pos] == 0x0D):
            return self._wait()
        raise remote_error("CHUNK_DATA")

    def _read_trailers(self) -> int:
        end = self._collect_fields(self._limits.trailer_bytes, "TRAILER_TOO_LARGE", "TRAILER_TOO_LARGE", "TRAILER")
        if not end:
            return self._wait()
        self.trailers, self._fields = self._fields, []
        self._consume(end)
        return self._finish_message()


_STEPS: tuple[Callable[[RequestParser], int], ...] = (
    RequestParser._read_request_line,
    RequestParser._read_fields,
    RequestParser._finish_message,
    RequestParser._read_content,
    RequestParser._read_chunk_line,
    RequestParser._read_chunk,
    RequestParser._read_chunk_crlf,
    RequestParser._read_trailers,
)
