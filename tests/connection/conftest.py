"""A connection without sockets and without a clock: a transport that keeps what is written, a loop whose time stands still."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES, HTTP1Limits

__all__ = ["Bench", "ClockLoop", "FakeTransport"]

STEP_SECONDS = 0.25


@contextlib.contextmanager
def between_tasks(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """As in a callback of the loop, which is where input comes from: with the test's own task out of the way."""
    task: Any = asyncio.current_task(loop)
    if task is not None:
        asyncio.tasks._leave_task(loop, task)
    try:
        yield
    finally:
        if task is not None:
            asyncio.tasks._enter_task(loop, task)


class ClockLoop(asyncio.SelectorEventLoop):
    """Its time moves only when it is told to. Never let it wait for a timer: it would, in real time."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.now


class FakeTransport:
    """Keeps what is written. While `stuck`, nothing leaves, and the protocol hears of the marks as from a real one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, protocol: Any, info: dict[str, Any], tls: bool) -> None:
        self.loop = loop
        self.protocol = protocol
        self.info = info
        self.tls = tls
        self.written: list[bytes] = []
        self.stuck = False
        #: as asyncio's own in Python 3.12 and 3.13: writelines() does not tell the protocol of the mark
        self.forgetful = False
        self.queued_bytes = 0
        self.paused_writing = False
        self.reading = True
        self.ended = False  # write_eof()
        self.closing = False  # close() or abort()
        self.aborted = False
        self.lost = False

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.info.get(name, default)

    def write(self, data: bytes, forgets_mark: bool = False) -> None:
        assert type(data) is bytes
        assert data, "an empty write"
        assert not self.ended, "write() after write_eof()"
        if self.closing:
            return
        self.written.append(data)
        if self.stuck:
            self.queued_bytes += len(data)
            if not forgets_mark:
                self._look_at_mark()

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.write(piece, self.forgetful)

    def _look_at_mark(self) -> None:
        if self.queued_bytes > HIGH_WATER_BYTES and not self.paused_writing:
            self.paused_writing = True
            self.protocol.pause_writing()

    def write_eof(self) -> None:
        assert not self.tls
        self.ended = True

    def can_write_eof(self) -> bool:
        return not self.tls

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        assert (high, low) == (HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self._look_at_mark()

    def get_write_buffer_size(self) -> int:
        return self.queued_bytes

    def pause_reading(self) -> None:
        assert self.reading, "paused twice"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.reading, "resumed twice"
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            if not self.queued_bytes:
                self.lose()

    def abort(self) -> None:
        if not self.lost:
            self.closing = self.aborted = True
            self.lose()

    # -- for tests

    def lose(self, error: Exception | None = None) -> None:
        """The connection ends; the protocol hears of it from the loop, as from a real transport."""
        if not self.lost:
            self.lost = self.closing = True
            self.loop.call_soon(self.protocol.connection_lost, error)

    def drain(self, to_bytes: int = 0) -> None:
        """The client has taken all but so much."""
        self.queued_bytes = min(self.queued_bytes, to_bytes)
        if self.paused_writing and self.queued_bytes <= LOW_WATER_BYTES:
            self.paused_writing = False
            self.protocol.resume_writing()
        if self.closing and not self.queued_bytes:
            self.lose()


class Connection:
    """One connection under test, from the client's side."""

    def __init__(self, bench: Bench, context: Any, *, tls: bool = False, info: dict[str, Any] | None = None) -> None:
        self.bench = bench
        protocol = bench.room("connection.http1").HTTP1Protocol(context)
        info = info if info is not None else {"peername": ("10.0.0.1", 4242), "sockname": ("127.0.0.1", 8000)}
        self.transport = FakeTransport(bench.loop, protocol, info, tls)
        protocol.connection_made(self.transport)
        self._taken = 0

    @property
    def protocol(self) -> Any:
        """Who has the connection: after an upgrade another than before."""
        return self.transport.protocol

    def send(self, *pieces: bytes) -> Connection:
        """Bytes arrive, in so many pieces."""
        for piece in pieces:
            if self.transport.lost:
                break
            assert self.transport.reading, "data for a connection that does not read"
            if not self.transport.closing:
                with between_tasks(self.bench.loop):
                    self.protocol.data_received(piece)
        return self

    def half_close(self) -> bool:
        """The client's FIN arrives."""
        with between_tasks(self.bench.loop):
            keeps_open = bool(self.protocol.eof_received())
        if not keeps_open:
            self.transport.close()
        return keeps_open

    def output(self) -> bytes:
        """What was written since the last look."""
        written = self.transport.written
        data = b"".join(written[self._taken :])
        self._taken = len(written)
        return data

    async def answer(self) -> bytes:
        """As `output`, once the loop has nothing to do."""
        await self.bench.settle()
        return self.output()


class Bench:
    """What a test works at: `connect(app, **options)`, `settle()`, `advance(seconds)`."""

    def __init__(self, room: Callable[[str], ModuleType], loop: ClockLoop) -> None:
        self.room = room
        self.loop = loop
        self.state = room("connection.context").ServerState()
        self.connections: list[Connection] = []
        self.apps: list[Any] = []
        self.unhandled: list[dict[str, Any]] = []
        loop.set_exception_handler(lambda _, context: self.unhandled.append(context))

    def context(self, app: Any, *, app_state: Any = None, limits: Any = None, websocket: bool = False, **options: Any) -> Any:
        self.apps.append(app)
        context = self.room("connection.context").ConnectionContext(
            app=app,
            loop=self.loop,
            server_state=self.state,
            app_state={} if app_state is None else app_state,
            limits=limits or HTTP1Limits(),
            **options,
        )
        if websocket:
            context.websocket = functools.partial(self.room("connection.websocket_http1").WebSocketProtocol, context)
        return context

    def connect(self, app: Any, *, tls: bool = False, info: Any = None, context: Any = None, **options: Any) -> Connection:
        connection = Connection(self, context or self.context(app, is_tls=tls, **options), tls=tls, info=info)
        self.connections.append(connection)
        return connection

    async def settle(self) -> None:
        """Let everything run that can run without time passing."""
        for _ in range(30):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        """Let so much time pass, in small steps."""
        end = self.loop.now + seconds
        while self.loop.now < end:
            self.loop.now = min(self.loop.now + STEP_SECONDS, end)
            await self.settle()

    async def end(self) -> None:
        """Every client goes; nothing may be left."""
        for connection in self.connections:
            connection.transport.stuck = False
            connection.transport.abort()
        for app in self.apps:
            # Those that wait to be told (`applications.Held`) wait no longer.
            for gate in getattr(app, "gates", ()):
                gate.set()
        await self.settle()
        assert not self.state.connections
        assert not self.state.tasks, "a request outlives its connection"
        assert not self.unhandled, self.unhandled


@pytest.fixture
def bench(room: Callable[[str], ModuleType]) -> Callable[[Callable[[Bench], Coroutine[Any, Any, None]]], None]:
    """`@bench` runs an `async def (bench)` at once, as the whole of a test."""

    def run(main: Callable[[Bench], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, ClockLoop)
            one = Bench(room, loop)
            await main(one)
            await one.end()

        with asyncio.Runner(loop_factory=ClockLoop) as runner:
            runner.run(whole())

    return run
