"""Both loops and both transports for the tests of this folder, and a protocol that writes down what happens to it."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import struct
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from picocorn.base.native import NATIVE
from picocorn.transport.listen import listen

DEADLINE_SECONDS = 30.0
BACKLOG = 256


def loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.SelectorEventLoop}
    try:
        import uvloop
    except ImportError:
        pass
    else:
        factories["uvloop"] = uvloop.new_event_loop
    return factories


def poller_is_there() -> bool:
    """False where the poller cannot be, or was deselected; where it should be, a missing one is an error of the test."""
    return NATIVE and sys.platform == "linux"


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0


def reset(sock: socket.socket) -> None:
    """Close so that the peer gets a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Recorder(asyncio.Protocol):
    """Writes down its callbacks; `until()` waits for a state of affairs."""

    def __init__(self, keep_open: bool = False) -> None:
        self.keep_open = keep_open
        self.calls: list[str] = []
        self.received = b""
        self.error: BaseException | None = None
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    def note(self, call: str) -> None:
        self.calls.append(call)
        for condition, future in self._waiters:
            if not future.done() and condition():
                future.set_result(None)

    async def until(self, condition: Callable[[], bool]) -> None:
        if condition():
            return
        waiter = (condition, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        await waiter[1]
        self._waiters.remove(waiter)

    async def until_called(self, call: str) -> None:
        await self.until(lambda: call in self.calls)

    async def until_received(self, size: int) -> None:
        await self.until(lambda: len(self.received) >= size)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.note("made")

    def data_received(self, data: bytes) -> None:
        self.received += data
        self.note("data")

    def eof_received(self) -> bool:
        self.note("eof")
        return self.keep_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self.note("lost")

    def pause_writing(self) -> None:
        self.note("pause")

    def resume_writing(self) -> None:
        self.note("resume")


class Echo(Recorder):
    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.transport.write(data)


class Serving:
    """A listening server, its protocols in the order in which they were made, and clients for it."""

    def __init__(self, native: bool) -> None:
        self.native = native
        self.protocols: list[Any] = []
        self.clients: list[socket.socket] = []
        self.server: Any = None
        self.address: Any = None
        self.family = socket.AF_INET
        self.kind = socket.SOCK_STREAM
        self._made = asyncio.Event()

    @property
    def poller(self) -> Any:
        return self.server._listener.poller

    def make(self, factory: Callable[[], Any]) -> Any:
        protocol = factory()
        self.protocols.append(protocol)
        self._made.set()
        return protocol

    async def start(self, factory: Callable[[], Any], sock: socket.socket) -> None:
        self.family, self.kind = sock.family, sock.type
        self.address = sock.getsockname()
        self.server = await listen(lambda: self.make(factory), sock, backlog=BACKLOG, native=self.native)

    def connect_only(self) -> socket.socket:
        """A client that the kernel has let in; the loop knows nothing of it yet."""
        client = socket.socket(self.family, self.kind)
        client.connect(self.address)
        client.setblocking(False)
        self.clients.append(client)
        return client

    async def connect(self) -> tuple[socket.socket, Any]:
        """A client and its protocol."""
        client = self.connect_only()
        return client, await self.protocol_of(client)

    async def protocol_of(self, client: socket.socket) -> Any:
        """The protocol that was made for `client`: connections are accepted in the order in which they arrive."""
        number = self.clients.index(client)
        while len(self.protocols) <= number:
            self._made.clear()
            await self._made.wait()
        await self.protocols[number].until_called("made")
        return self.protocols[number]

    async def turn(self) -> None:
        """Wait until the loop has seen everything that happened so far: a new connection makes the round through it."""
        client, protocol = await self.connect()
        client.sendall(b"?")
        await protocol.until_received(1)
        client.close()
        await protocol.until_called("lost")


async def read_to_end(client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    received = bytearray()
    while data := await loop.sock_recv(client, 1 << 20):
        received += data
    return bytes(received)


async def read_exactly(client: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < size:
        data = await loop.sock_recv(client, size - len(received))
        assert data, f"the connection ended after {len(received)} of {size} bytes"
        received += data
    return received


def wait_for_data(*protocols: Any) -> None:
    """Block, without a turn of the loop, until the kernel has delivered something to each of them."""
    for protocol in protocols:
        poll = select.poll()
        poll.register(protocol.transport.fileno(), select.POLLIN)
        assert poll.poll(DEADLINE_SECONDS * 1000)


def receive_blocking(client: socket.socket, size: int = 100) -> bytes:
    """What has been sent to `client`, without a turn of the loop: it must be on its way already."""
    client.settimeout(DEADLINE_SECONDS)
    try:
        return client.recv(size)
    finally:
        client.setblocking(False)


class Bench:
    """Runs a coroutine on a fresh loop and looks after what it leaves behind."""

    def __init__(self, loop_factory: Callable[[], asyncio.AbstractEventLoop], native: bool) -> None:
        self.loop_factory = loop_factory
        self.native = native
        self.reports: list[dict[str, Any]] = []

    def run(self, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            runner.run(asyncio.sleep(0))  # some loops open descriptors once per process
        gc.collect()
        before = open_descriptors()
        with asyncio.Runner(loop_factory=self.loop_factory) as runner:
            runner.get_loop().set_exception_handler(lambda _, context: self.reports.append(context))

            async def within() -> None:
                await asyncio.wait_for(main(), DEADLINE_SECONDS)

            runner.run(within())
        gc.collect()
        assert open_descriptors() == before

    @asynccontextmanager
    async def serving(self, factory: Callable[[], Any] = Recorder, sock: socket.socket | None = None) -> AsyncIterator[Serving]:
        """A server that ends with all of its connections."""
        if sock is None:
            sock = socket.socket()
            sock.bind(("127.0.0.1", 0))
        serving = Serving(self.native)
        await serving.start(factory, sock)
        try:
            yield serving
        finally:
            serving.server.close()
            await serving.server.wait_closed()
            for protocol in serving.protocols:
                if "made" in protocol.calls and "lost" not in protocol.calls:
                    protocol.transport.abort()
                    await protocol.until_called("lost")
            for client in serving.clients:
                client.close()


@pytest.fixture(params=sorted(loop_factories()))
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return loop_factories()[request.param]


@pytest.fixture(params=["poller", "loop"])
def bench(request: pytest.FixtureRequest, loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Bench]:
    """Either transport. Fails when something was reported to the loop that the test did not take out of `reports`."""
    if request.param == "poller" and not poller_is_there():
        pytest.skip("no native poller in use")
    bench = Bench(loop_factory, native=request.param == "poller")
    yield bench
    assert bench.reports == []


@pytest.fixture
def native_bench(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Bench]:
    """The poller's transport only."""
    if not poller_is_there():
        pytest.skip("no native poller in use")
    bench = Bench(loop_factory, native=True)
    yield bench
    assert bench.reports == []


def watched(serving: Serving) -> dict[int, int]:
    """What the kernel was told to watch: descriptor -> epoll events."""
    found = {}
    for line in Path(f"/proc/self/fdinfo/{serving.poller.fileno()}").read_text(encoding="ascii").splitlines():
        if line.startswith("tfd:"):
            words = line.split()
            found[int(words[1])] = int(words[3], 16)
    return found
