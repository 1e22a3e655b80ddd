"""What the tests of TLS talk by: a transport, a protocol, a loop and a client that are all in memory. No test."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from typing import Any

from certificates import client_context, server_context
from picocorn.transport.tls_settings import TLSSettings

__all__ = ["HIGH_BYTES", "PLAIN", "AnsweringContext", "Conversation", "Upper"]

HIGH_BYTES = 65536
PLAIN = b"HTTP/1.1 400 Bad Request\r\n\r\n"


class Lower:
    """The transport below, as far as anybody asks: keeps what is written until the client takes it."""

    def __init__(self) -> None:
        self.protocol: Any = None
        self.written = bytearray()
        self.calls: list[str] = []
        self.is_reading = True
        self.high, self.low = HIGH_BYTES, HIGH_BYTES // 4
        self._is_paused = False
        self._is_closing = False

    def write(self, data: bytes) -> None:
        assert "eof" not in self.calls
        self.written += data
        if len(self.written) > self.high and not self._is_paused:
            self._is_paused = True
            self.protocol.pause_writing()

    def take(self, size: int = -1) -> bytes:
        """What the client receives: at most `size` bytes."""
        size = len(self.written) if size < 0 else size
        data = bytes(self.written[:size])
        del self.written[:size]
        if self._is_paused and len(self.written) <= self.low:
            self._is_paused = False
            self.protocol.resume_writing()
        return data

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        self.high, self.low = high, low

    def pause_reading(self) -> None:
        assert self.is_reading
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self.calls.append("close")
        self._is_closing = True

    def abort(self) -> None:
        self.calls.append("abort")
        self._is_closing = True

    def write_eof(self) -> None:
        self.calls.append("eof")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 1)}.get(name, default)


class Upper:
    """The protocol behind."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.received = b""
        self.largest = 0
        self.keep_open = False
        self.on_data: Callable[[], None] = lambda: None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self.received += data
        self.largest = max(self.largest, len(data))
        self.on_data()

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keep_open

    def connection_lost(self, error: Exception | None) -> None:
        self.calls.append("lost")

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def shutdown(self) -> None:
        self.calls.append("shutdown")


class Timer:
    def __init__(self, act: Callable[[], None]) -> None:
        self.act = act

    def cancel(self) -> None:
        self.act = lambda: None


class Loop:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.timers: list[Timer] = []
        #: of the last one
        self.timer_seconds = 0.0
        self.soon: list[Callable[[], None]] = []
        self.reports: list[dict[str, Any]] = []

    def call_later(self, seconds: float, act: Callable[..., None], *arguments: Any) -> Timer:
        timer = Timer(lambda: act(*arguments))
        self.timer_seconds = seconds
        self.timers.append(timer)
        return timer

    def call_soon(self, act: Callable[[], None]) -> None:
        self.soon.append(act)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.reports.append(context)

    def pass_time(self) -> None:
        timers, self.timers = self.timers, []
        for timer in timers:
            timer.act()

    def turn(self) -> None:
        soon, self.soon = self.soon, []
        for act in soon:
            act()


class Conversation:
    """A connection with a client at its other end. `pump()` carries bytes both ways until there are no more."""

    def __init__(self, connection_class: Any, client: ssl.SSLContext | None = None, server: Any = None) -> None:
        self.lower, self.loop, self.connections = Lower(), Loop(), set[Any]()
        self.upper = Upper()
        self.chosen: list[str | None] = []
        server = server or server_context()
        settings = TLSSettings(
            loop=self.loop,  # type: ignore[arg-type]
            context=lambda: server,
            protocol=self._choose,
            plain_answer=PLAIN,
            handshake_seconds=10,
            shutdown_seconds=1,
            connections=self.connections,
        )
        self.connection = connection_class(settings)
        self.lower.protocol = self.connection
        self.connection.connection_made(self.lower)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = (client or client_context()).wrap_bio(self._in, self._out, server_hostname="localhost")

    def _choose(self, name: str | None) -> Callable[[], Any]:
        self.chosen.append(name)
        return lambda: self.upper

    def to_server(self, piece_bytes: int = 0) -> None:
        data = self._out.read()
        size = piece_bytes or len(data) or 1
        for start in range(0, len(data), size):
            self.connection.data_received(data[start : start + size])

    def pump(self, piece_bytes: int = 0) -> None:
        while self._out.pending or self.lower.written:
            self.to_server(piece_bytes)
            self._in.write(self.lower.take())

    def shake_hands(self, piece_bytes: int = 0) -> Conversation:
        for _ in range(4):
            with contextlib.suppress(ssl.SSLWantReadError):
                self.client.do_handshake()
            self.pump(piece_bytes)
        assert self.upper.calls == ["made"]
        assert self.connections == set()
        return self

    def say(self, data: bytes, piece_bytes: int = 0) -> None:
        """The client sends `data`."""
        self.client.write(data)
        self.to_server(piece_bytes)

    def hear(self) -> bytes:
        """What the client has received and not read yet; a close_notify ends it."""
        self._in.write(self.lower.take())
        heard = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := self.client.read(65536):
                heard += data
        return heard

    def heard_goodbye(self) -> bool:
        """Whether a close_notify has come, with nothing before it."""
        self._in.write(self.lower.take())
        try:
            return self.client.read(1) == b""
        except ssl.SSLWantReadError:
            return False

    def say_goodbye(self) -> None:
        with contextlib.suppress(ssl.SSLError):
            self.client.unwrap()
        self.to_server()

    def lose(self) -> None:
        self.connection.connection_lost(None)


class AnsweringTLS:
    """Stands for `ssl` where a client asks TLS itself for something (KeyUpdate), which Python's own client cannot."""

    def __init__(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO) -> None:
        self.incoming, self.outgoing = incoming, outgoing

    def do_handshake(self) -> None:
        self.incoming.read()

    def selected_alpn_protocol(self) -> None:
        return None

    def pending(self) -> int:
        return 0

    def write(self, data: bytes) -> int:
        return self.outgoing.write(data)

    def read(self, size: int) -> bytes:
        if self.incoming.read():
            self.outgoing.write(b"updated")
        raise ssl.SSLWantReadError


class AnsweringContext:
    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, server_side: bool) -> AnsweringTLS:
        return AnsweringTLS(incoming, outgoing)
