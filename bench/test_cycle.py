"""Micro-benchmarks of the ASGI cycle, both twins: an application's `receive` and `send` against a wire that only counts.

python -m pytest bench/test_cycle.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest

from apps.raw import BODY, app

Room = Callable[[str], ModuleType]

PIECE = b"x" * 1024


def null_wire(room: Room) -> Any:
    """A wire that takes everything at once."""

    class NullWire(room("asgi.wire").Wire):  # type: ignore[misc]
        def __init__(self) -> None:
            self.heads = self.sent_bytes = self.ends = 0

        def write_head(self, status: int, headers: Any, trailers: bool) -> None:
            self.heads += 1

        def write_data(self, data: bytes, end: bool) -> bool:
            self.sent_bytes += len(data)
            self.ends += end
            return False

        def is_blocked(self) -> bool:
            return False

        def consume(self, size_bytes: int) -> None:
            """Nothing was held back."""

    return NullWire()


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    """To its end, in one step: nothing here has to wait."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise AssertionError("the application waits")


def checked_benchmark(benchmark: Any, room: Room, request: Callable[[Any, Any], None]) -> Any:
    """Time `request(new cycle's class, wire)`; returns (heads, bytes, ends) of one of them."""
    cycle_class = room("asgi.http_cycle").HTTPCycle
    wire = null_wire(room)
    benchmark(request, cycle_class, wire)
    wire = null_wire(room)
    request(cycle_class, wire)
    return wire.heads, wire.sent_bytes, wire.ends


def test_get(benchmark: Any, room: Room) -> None:
    """A response in two events; `receive` is never called."""

    def request(cycle_class: Any, wire: Any) -> None:
        scope = {"type": "http", "method": "GET"}
        cycle = cycle_class(wire, scope, False)
        cycle.feed_end()
        run(app(scope, cycle.receive, cycle.send))

    assert checked_benchmark(benchmark, room, request) == (1, len(BODY), 1)


@pytest.mark.parametrize("pieces", [1, 16])
def test_post(benchmark: Any, room: Room, pieces: int) -> None:
    """Content that has come in so many pieces, read and sent back."""

    def request(cycle_class: Any, wire: Any) -> None:
        scope = {"type": "http", "method": "POST"}
        cycle = cycle_class(wire, scope, False)
        for _ in range(pieces):
            cycle.feed_data(PIECE)
        cycle.feed_end()
        run(app(scope, cycle.receive, cycle.send))

    assert checked_benchmark(benchmark, room, request) == (1, pieces * len(PIECE), 1)


def test_stream(benchmark: Any, room: Room) -> None:
    """A response in 16 pieces and an empty last one."""

    async def stream(send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(16):
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await send({"type": "http.response.body"})

    def request(cycle_class: Any, wire: Any) -> None:
        cycle = cycle_class(wire, {"type": "http", "method": "GET"}, False)
        cycle.feed_end()
        run(stream(cycle.send))

    assert checked_benchmark(benchmark, room, request) == (1, 16 * len(PIECE), 1)
