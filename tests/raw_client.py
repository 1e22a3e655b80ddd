"""A client that sends exactly the bytes it is told to, and reads strictly: what it cannot parse is a failed test."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl as ssl_module
import struct
from dataclasses import dataclass, field
from typing import Any

__all__ = ["DEADLINE_SECONDS", "Client", "Response", "get"]

#: For everything that must happen: generous, because no test is about time.
DEADLINE_SECONDS = 20.0

_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\x20-\x7e]*)")
_FIELD_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*?)[ \t]*")


@dataclass
class Response:
    """A response as it came: `headers` and `trailers` are lists of (lower-cased name, value), `interim` the 1xx before it."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)
    #: the end was marked by the close of the connection
    until_close: bool = False

    def all(self, name: bytes) -> list[bytes]:
        """Every value of a field."""
        return [value for key, value in self.headers if key == name]

    def get(self, name: bytes) -> bytes | None:
        """The value of a field that may be there once, None when it is not."""
        values = self.all(name)
        assert len(values) <= 1, f"{name!r} came {len(values)} times: {values}"
        return values[0] if values else None


def get(target: bytes = b"/", *fields: bytes, method: bytes = b"GET", version: bytes = b"1.1", body: bytes = b"") -> bytes:
    """The bytes of a simple request."""
    lines = [b"%b %b HTTP/%b" % (method, target, version), b"Host: a", *fields]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Client:
    """One connection. Reading past the deadline raises TimeoutError; a reset raises ConnectionResetError."""

    def __init__(self, address: Any, *, receive_buffer_bytes: int = 0, tls: ssl_module.SSLContext | None = None) -> None:
        if isinstance(address, tuple):
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        else:
            family = socket.AF_UNIX
        self.sock: socket.socket = socket.socket(family, socket.SOCK_STREAM)
        if receive_buffer_bytes:
            # Before the connect: afterwards the window is agreed on.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.settimeout(DEADLINE_SECONDS)
        try:
            self.sock.connect(address)
            if family != socket.AF_UNIX:
                self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if tls is not None:
                self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
        except BaseException:
            self.sock.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def address(self) -> Any:
        """Our end."""
        return self.sock.getsockname()

    # -- out

    def send(self, *pieces: bytes) -> None:
        """Send each piece whole, in its own call."""
        for piece in pieces:
            self.sock.sendall(piece)

    def request(self, target: bytes = b"/", *fields: bytes, **options: Any) -> Response:
        """Send a simple request (see `get`) and read its response."""
        self.send(get(target, *fields, **options))
        return self.response(method=options.get("method", b"GET"))

    def half_close(self) -> None:
        """Send no more; still read."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Close with a TCP RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self) -> None:
        """Close. Repeats are harmless."""
        self.sock.close()

    # -- in

    def _more(self) -> bool:
        data = self.sock.recv(65536)
        self._buffer += data
        return bool(data)

    def read_until(self, mark: bytes) -> bytes:
        """Everything up to and with `mark`."""
        while mark not in self._buffer:
            assert self._more(), f"closed before {mark!r}: {self._buffer[:500]!r}"
        end = self._buffer.index(mark) + len(mark)
        data, self._buffer = self._buffer[:end], self._buffer[end:]
        return data

    def read_exactly(self, size_bytes: int) -> bytes:
        """So many bytes."""
        while len(self._buffer) < size_bytes:
            assert self._more(), f"closed after {len(self._buffer)} of {size_bytes} bytes"
        data, self._buffer = self._buffer[:size_bytes], self._buffer[size_bytes:]
        return data

    def read_to_end(self) -> bytes:
        """Everything until the server closes."""
        pieces = [self._buffer]
        while piece := self.sock.recv(65536):
            pieces.append(piece)
        self._buffer = b""
        return b"".join(pieces)

    def closed(self) -> bool:
        """Whether the server has closed, with nothing more to read: waits for its close or for bytes."""
        if self._buffer:
            return False
        with contextlib.suppress(ConnectionResetError):
            return not self._more()
        return True

    def has_input(self) -> bool:
        """Whether bytes (or the end) are there already. For asserting silence after something that came later has been seen."""
        if self._buffer:
            return True
        self.sock.setblocking(False)
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK)) or True
        except BlockingIOError:
            return False
        finally:
            self.sock.settimeout(DEADLINE_SECONDS)

    def head(self) -> Response:
        """The next head, interim or final, without content."""
        lines = self.read_until(b"\r\n\r\n")[:-4].split(b"\r\n")
        status = _STATUS_LINE.fullmatch(lines[0])
        assert status is not None, f"no status line: {lines[0]!r}"
        return Response(int(status[1]), status[2], [_field(line) for line in lines[1:]])

    def response(self, method: bytes = b"GET") -> Response:
        """The next final response with its content (RFC 9112 6.3), strictly."""
        interim = []
        response = self.head()
        while 100 <= response.status < 200:
            interim.append(response)
            response = self.head()
        response.interim = interim
        length, coding = response.get(b"content-length"), response.get(b"transfer-encoding")
        assert length is None or coding is None, response.headers
        if method == b"HEAD" or response.status in (204, 304):
            return response
        if coding is not None:
            assert coding == b"chunked"
            self._chunked(response)
        elif length is not None:
            response.body = self.read_exactly(int(length))
        else:
            response.until_close = True
            response.body = self.read_to_end()
        return response

    def _chunked(self, response: Response) -> None:
        pieces = []
        while size := int(self.read_until(b"\r\n")[:-2], 16):
            pieces.append(self.read_exactly(size))
            assert self.read_exactly(2) == b"\r\n"
        while (line := self.read_until(b"\r\n")) != b"\r\n":
            response.trailers.append(_field(line[:-2]))
        response.body = b"".join(pieces)


def _field(line: bytes) -> tuple[bytes, bytes]:
    match = _FIELD_LINE.fullmatch(line)
    assert match is not None, f"no field line: {line!r}"
    return match[1].lower(), match[2]
