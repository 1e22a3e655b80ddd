"""20,000 connections through the poller leave the counts of objects and descriptors and the size of the process as they were."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import socket
import struct
import sys
from collections import Counter
from typing import Any

from picocorn.base.native import NATIVE
from picocorn.transport.listen import listen

ROUNDS = 10
CONNECTIONS_PER_ROUND = 2_000
AT_ONCE = 50
#: What the allocator may keep; one leaked transport per connection would be three times as much.
RSS_GROWTH_BYTES = 2_000_000
DEADLINE_SECONDS = 240
PAGE_BYTES = resource.getpagesize()


class Answer(asyncio.Protocol):
    """Answers, and ends in one of several ways."""

    made = 0
    alive = 0
    all_gone: asyncio.Event

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        Answer.made += 1
        Answer.alive += 1
        self.number = Answer.made
        transport.get_extra_info("peername")
        transport.get_extra_info("sockname")
        if self.number % 3 == 0:
            transport.get_extra_info("socket")

    def data_received(self, data: bytes) -> None:
        self.transport.writelines([data, b"!", bytearray(b"?")])
        if self.number % 5 == 0:
            self.transport.close()
        elif self.number % 7 == 0:
            self.transport.write(b"x" * 3_000_000)
        elif self.number % 11 == 0:
            raise ValueError("as broken applications do")

    def eof_received(self) -> bool:
        if self.number % 2:
            self.transport.write_eof()
            return True
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        Answer.alive -= 1
        if Answer.alive == 0:
            Answer.all_gone.set()


async def one(address: Any, number: int) -> None:
    loop = asyncio.get_running_loop()
    client = socket.socket()
    client.setblocking(False)
    try:
        await loop.sock_connect(client, address)
        await loop.sock_sendall(client, b"hello")
        if number % 2:
            client.shutdown(socket.SHUT_WR)
        if number % 4:
            await loop.sock_recv(client, 1000)
    except OSError:
        pass
    if number % 13 == 0:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def one_round(address: Any) -> None:
    for start in range(0, CONNECTIONS_PER_ROUND, AT_ONCE):
        Answer.all_gone.clear()
        made = Answer.made
        await asyncio.gather(*(one(address, number) for number in range(start, start + AT_ONCE)))
        # All have been accepted when a connection made after them is answered.
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"last")
        await reader.read(1)
        writer.close()
        await writer.wait_closed()
        while Answer.made < made + AT_ONCE + 1 or Answer.alive:
            Answer.all_gone.clear()
            await Answer.all_gone.wait()


def rss_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * PAGE_BYTES


def objects() -> Counter[str]:
    gc.collect()
    return Counter(type(thing).__name__ for thing in gc.get_objects())


async def main() -> None:
    Answer.all_gone = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    async with await listen(Answer, sock, backlog=200, native=True):
        address = sock.getsockname()
        await one_round(address)
        await one_round(address)
        before, rss_before, descriptors = objects(), rss_bytes(), len(os.listdir("/proc/self/fd"))
        for _ in range(ROUNDS - 2):
            await one_round(address)
        after, rss_after = objects(), rss_bytes()
        assert len(os.listdir("/proc/self/fd")) == descriptors
    grown = {name: count - before[name] for name, count in after.items() if count - before[name] > 50}
    assert not grown, grown
    assert rss_after - rss_before < RSS_GROWTH_BYTES, f"grew by {rss_after - rss_before:,} bytes"


if NATIVE and sys.platform == "linux":
    asyncio.run(asyncio.wait_for(main(), DEADLINE_SECONDS))
