"""Framework-free applications, each with one answer: bodies of several sizes, a stream, a file, a handler that waits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]

PATTERN = bytes(range(256))
TYPE = (b"content-type", b"application/octet-stream")
#: a file of 50 KiB; the suite has written it
FILE = os.environ.get("PICOCORN_BENCH_FILE", "")


def length(size: int) -> tuple[bytes, bytes]:
    return b"content-length", b"%d" % size


def fixed(size: int, *, framed: bool) -> App:
    """Answer with `size` bytes, and say how many there are or leave that to the server."""
    body = PATTERN * (size // len(PATTERN))
    headers = [TYPE, length(size)] if framed else [TYPE]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only http")
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


one_kib = fixed(1024, framed=True)
one_kib_unframed = fixed(1024, framed=False)
ten_kib = fixed(10240, framed=True)
ten_kib_unframed = fixed(10240, framed=False)
one_mib = fixed(1 << 20, framed=True)

EXPECTED = PATTERN * 4096


async def upload(scope: Any, receive: Any, send: Any) -> None:
    """Answer with how many bytes were sent, or with 400 when they were not the first of `EXPECTED`."""
    if scope["type"] != "http":
        raise RuntimeError("only http")
    size, is_right, more = 0, True, True
    while more:
        message = await receive()
        piece = message.get("body", b"")
        # A comparison in place: a copy would cost more than what is measured.
        is_right = is_right and EXPECTED.startswith(piece, size)
        size += len(piece)
        more = message.get("more_body", False)
    body = b"%d" % size
    await send({"type": "http.response.start", "status": 200 if is_right else 400, "headers": [TYPE, length(len(body))]})
    await send({"type": "http.response.body", "body": body})


PIECE = PATTERN * 64


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Answer with 8 pieces of 16 KiB of unstated length."""
    if scope["type"] != "http":
        raise RuntimeError("only http")
    await send({"type": "http.response.start", "status": 200, "headers": [TYPE]})
    for _ in range(8):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def file(scope: Any, receive: Any, send: Any) -> None:
    """Answer with FILE: by its path where the server offers that, otherwise piece by piece."""
    if scope["type"] != "http":
        raise RuntimeError("only http")
    headers = [TYPE, length(os.stat(FILE).st_size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if "http.response.pathsend" in scope.get("extensions", {}):
        await send({"type": "http.response.pathsend", "path": FILE})
        return
    with open(FILE, "rb") as opened:  # noqa: ASYNC230 - in the page cache; a thread would be all that is measured
        more = True
        while more:
            piece = opened.read(65536)
            more = len(piece) == 65536
            await send({"type": "http.response.body", "body": piece, "more_body": more})


async def sleeps(scope: Any, receive: Any, send: Any) -> None:
    """Answer after a millisecond, as one does who asks a database."""
    if scope["type"] != "http":
        raise RuntimeError("only http")
    await asyncio.sleep(0.001)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain"), length(13)]})
    await send({"type": "http.response.body", "body": b"Hello, World!"})
