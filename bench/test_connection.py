"""Micro-benchmarks of a whole connection, both twins: bytes in, the application run, bytes out, over a null transport.

python -m pytest bench/test_connection.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import traffic
from null_stack import NullTransport, QueueLoop, protocol_factory

Room = Callable[[str], ModuleType]

ANSWERED = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture
def loop() -> Iterator[QueueLoop]:
    """A loop that tasks believe to be running."""
    loop: Any = QueueLoop()
    asyncio._set_running_loop(loop)
    yield loop
    asyncio._set_running_loop(None)


def connected(loop: QueueLoop, room: Room) -> tuple[Any, NullTransport]:
    protocol = protocol_factory(loop, room)()
    transport = NullTransport()
    protocol.connection_made(transport)
    return protocol, transport


@pytest.mark.parametrize("name", traffic.TRAFFIC)
def test_keep_alive(benchmark: Any, room: Room, loop: QueueLoop, name: str) -> None:
    """The same client again and again on one connection."""
    protocol, transport = connected(loop, room)
    data = traffic.TRAFFIC[name]

    def serve() -> None:
        protocol.data_received(data)
        loop.run_ready()

    benchmark(serve)
    transport.keep = []
    serve()
    answer = b"".join(transport.keep)
    assert answer.count(ANSWERED) == traffic.REQUESTS[name]
    assert answer.endswith((b"\r\n\r\nHello, World!", traffic.POST_1_KIB[-1024:], b"x" * 512 + b"y" * 256 + b"z" * 256))
    assert transport.written_bytes % len(answer) == 0, "not all answers were alike"


def test_field_sections_differ(benchmark: Any, room: Room, loop: QueueLoop) -> None:
    """As behind a proxy that shares its connections among many browsers."""
    protocol, transport = connected(loop, room)
    requests = [traffic.browser_get(f"/articles/{n}", f"{n:032x}") for n in range(64)]

    def serve() -> None:
        for request in requests:
            protocol.data_received(request)
            loop.run_ready()

    benchmark(serve)
    transport.keep = []
    serve()
    assert b"".join(transport.keep).count(ANSWERED) == len(requests)


def test_new_connection(benchmark: Any, room: Room, loop: QueueLoop) -> None:
    """One request each."""
    factory = protocol_factory(loop, room)

    def serve() -> NullTransport:
        protocol, transport = factory(), NullTransport()
        protocol.connection_made(transport)
        protocol.data_received(traffic.RAW_GET)
        loop.run_ready()
        protocol.connection_lost(None)
        return transport

    transport = benchmark(serve)
    assert transport.last.startswith(ANSWERED)
    assert transport.last.endswith(b"Hello, World!")
