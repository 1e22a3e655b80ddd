"""Micro-benchmarks of the HTTP/1 request parser, both twins, no sockets: bytes fed to END returned.

python -m pytest bench/test_http1_parser.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from types import ModuleType
from typing import Any

import pytest

import traffic
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import END, NEED_DATA

Room = Callable[[str], ModuleType]


def drain(parser: Any) -> int:
    """Events until more bytes are needed; returns how many requests came to their end."""
    ended = 0
    while (event := parser.next_event()) != NEED_DATA:
        ended += event == END
    return ended


@pytest.mark.parametrize("name", traffic.TRAFFIC)
def test_keep_alive(benchmark: Any, room: Room, name: str) -> None:
    """The same client again and again on one connection."""
    data = traffic.TRAFFIC[name]
    parser = room("http1.parser").RequestParser(HTTP1Limits())

    def serve() -> int:
        parser.feed(data)
        return drain(parser)

    assert benchmark(serve) == traffic.REQUESTS[name]


@pytest.mark.parametrize("name", traffic.TRAFFIC)
def test_new_connection(benchmark: Any, room: Room, name: str) -> None:
    """A parser for each: nothing can be remembered from an earlier request."""
    data = traffic.TRAFFIC[name]
    limits = HTTP1Limits()
    new_parser = room("http1.parser").RequestParser

    def serve() -> int:
        parser = new_parser(limits)
        parser.feed(data)
        return drain(parser)

    assert benchmark(serve) == traffic.REQUESTS[name]


def test_field_sections_differ(benchmark: Any, room: Room) -> None:
    """As behind a proxy that shares its connections among many browsers."""
    requests = cycle([traffic.browser_get(f"/articles/{n}", f"{n:032x}") for n in range(64)])
    parser = room("http1.parser").RequestParser(HTTP1Limits())

    def serve() -> int:
        parser.feed(next(requests))
        return drain(parser)

    assert benchmark(serve) == 1


def test_head_in_two_pieces(benchmark: Any, room: Room) -> None:
    """A head that a packet boundary cuts."""
    parser = room("http1.parser").RequestParser(HTTP1Limits())
    first, second = traffic.BROWSER_GET[:400], traffic.BROWSER_GET[400:]

    def serve() -> int:
        parser.feed(first)
        drain(parser)
        parser.feed(second)
        return drain(parser)

    assert benchmark(serve) == 1


def test_dribbled_bytes(benchmark: Any, room: Room) -> None:
    """One byte at a time: the price must be linear."""
    parser = room("http1.parser").RequestParser(HTTP1Limits())
    pieces = [traffic.BROWSER_GET[i : i + 1] for i in range(len(traffic.BROWSER_GET))]

    def serve() -> int:
        ended = 0
        for piece in pieces:
            parser.feed(piece)
            ended += drain(parser)
        return ended

    assert benchmark(serve) == 1
