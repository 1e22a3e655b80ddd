"""Micro-benchmarks of the HTTP/1 response writer, both twins, no sockets: the application's fields to one bytes object.

python -m pytest bench/test_http1_writer.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

Room = Callable[[str], ModuleType]

DEFAULT_FIELDS = b"server: picocorn\r\ndate: Sat, 21 Nov 2026 11:00:00 GMT\r\n"

#: What applications really send: hello world, a JSON answer of a framework, a page with cookies and policies.
HEADERS = {
    "plain": [(b"content-type", b"text/plain"), (b"content-length", b"13")],
    "json": [(b"content-length", b"1234"), (b"content-type", b"application/json")],
    "page": [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", b"45120"),
        (b"cache-control", b"max-age=0, private, must-revalidate"),
        (b"etag", b'W/"0815-4711"'),
        (b"vary", b"accept-encoding, cookie"),
        (b"set-cookie", b"session=0123456789abcdef0123456789abcdef; Path=/; HttpOnly; Secure; SameSite=Lax"),
        (b"x-request-id", b"7b1c2a3d-5b0e-4c53-9a53-1f2f8d3f6a10"),
        (b"strict-transport-security", b"max-age=63072000; includeSubDomains; preload"),
        (b"content-security-policy", b"default-src 'self'; img-src * data:; style-src 'self' 'unsafe-inline'"),
    ],
}


@pytest.mark.parametrize("name", HEADERS)
def test_encode_head(benchmark: Any, room: Room, name: str) -> None:
    encode_head = room("http1.writer").encode_head
    block, _, flags = benchmark(encode_head, 200, HEADERS[name], DEFAULT_FIELDS)
    assert block.startswith(b"HTTP/1.1 200 OK\r\nserver: ")
    assert flags == 0


def test_encode_head_from_generator(benchmark: Any, room: Room) -> None:
    """ASGI allows any iterable; this is the price of one that is no list."""
    encode_head = room("http1.writer").encode_head
    block, length, _ = benchmark(lambda: encode_head(200, (pair for pair in HEADERS["page"]), DEFAULT_FIELDS))
    assert block.endswith(b"\r\n")
    assert length == 45120


@pytest.mark.parametrize("size", [64, 1024, 65536])
def test_chunk(benchmark: Any, room: Room, size: int) -> None:
    chunk = room("http1.writer").chunk
    assert len(benchmark(chunk, b"x" * size)) == size + len(f"{size:x}") + 4
