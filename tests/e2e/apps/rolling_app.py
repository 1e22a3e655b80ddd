"""What the clients of `rolling.py` ask: answers and streams that name their worker, WebSockets that echo."""

from __future__ import annotations

import asyncio
import os
from typing import Any

WORKER = (b"x-worker", b"%d" % os.getpid())
PIECE = b"0123456789" * 100


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    elif scope["type"] == "websocket":
        await echo(receive, send)
    else:
        await ROUTES.get(scope["path"], hello)(scope, receive, send)


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body)), WORKER]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"hello")


async def slow(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(0.1)
    await answer(send, b"slow")


async def stream(scope: Any, receive: Any, send: Any) -> None:
    """Twenty pieces in about half a second, with no length told beforehand."""
    await send({"type": "http.response.start", "status": 200, "headers": [WORKER]})
    for _ in range(20):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await asyncio.sleep(0.025)
    await send({"type": "http.response.body", "body": b""})


async def echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", "headers": [WORKER]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


ROUTES = {"/slow": slow, "/stream": stream}
