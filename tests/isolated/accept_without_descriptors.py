"""A process out of descriptors: the poller says so once per back-off, does not spin, keeps serving, and recovers by itself."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import sys
from typing import Any

from picocorn.base.native import NATIVE
from picocorn.transport.listen import listen

SPARE_DESCRIPTORS = 4
DEADLINE_SECONDS = 60


lost: list[asyncio.Protocol] = []
all_lost = asyncio.Event()


class Echo(asyncio.Protocol):
    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        lost.append(self)
        if len(lost) == 3:
            all_lost.set()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Warnings(logging.Handler):
    """Counts the lines and wakes whoever waits for one."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.changed = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.changed.set()


async def echo(client: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(client, data)
    return await loop.sock_recv(client, 100)


async def main() -> None:
    loop = asyncio.get_running_loop()
    warnings = Warnings()
    logger = logging.getLogger("picocorn.error")
    logger.addHandler(warnings)
    logger.propagate = False
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    address = sock.getsockname()
    server = await listen(Echo, sock, backlog=100, native=True)
    poller = server._listener.poller  # type: ignore[attr-defined]

    async def connected() -> socket.socket:
        client = socket.socket()
        client.setblocking(False)
        await loop.sock_connect(client, address)
        return client

    old = await connected()
    assert await echo(old, b"before") == b"before"

    # Connected by the kernel; the loop gets no turn to accept it before there are no descriptors left.
    waiting = socket.socket()
    waiting.connect(address)
    waiting.setblocking(False)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (waiting.fileno() + 1 + SPARE_DESCRIPTORS, hard))
    hoard = []
    try:
        while True:
            hoard.append(socket.socket())
    except OSError:
        pass

    while len(warnings.lines) < 3:
        warnings.changed.clear()
        await warnings.changed.wait()
    assert "Too many open files" in warnings.lines[0], warnings.lines
    assert "0.1 s" in warnings.lines[0], warnings.lines
    assert "0.4 s" in warnings.lines[2], warnings.lines
    assert await echo(old, b"meanwhile") == b"meanwhile"

    for one in hoard:
        one.close()
    assert watched(poller) == 1, "the listening socket is still watched while backing off"
    assert await echo(waiting, b"at last") == b"at last"
    before = len(warnings.lines)
    fresh = await connected()
    assert await echo(fresh, b"fresh") == b"fresh"
    assert len(warnings.lines) == before

    server.close()
    for client in (old, fresh, waiting):
        client.close()
    await all_lost.wait()


def watched(poller: Any) -> int:
    """How many descriptors the kernel watches for the poller."""
    with open(f"/proc/self/fdinfo/{poller.fileno()}", encoding="ascii") as lines:
        return sum(line.startswith("tfd:") for line in lines)


if NATIVE and sys.platform == "linux":
    with asyncio.Runner() as runner:
        runner.run(asyncio.wait_for(main(), DEADLINE_SECONDS))
