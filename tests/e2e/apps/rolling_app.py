"""What the clients of `rolling.py` ask: answers that name their worker, streams, WebSockets that echo; and ways to go wrong.

ROLLING_START_SECONDS makes the start-up that long; ROLLING_FAIL_FILE makes it fail while the file of that name exists.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

WORKER = (b"x-worker", b"%d" % os.getpid())
GENERATION = (b"x-generation", os.environ.get("ROLLING_GENERATION", "").encode())
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
    await asyncio.sleep(float(os.environ.get("ROLLING_START_SECONDS", "0")))
    if is_told_to_fail():
        await send({"type": "lifespan.startup.failed", "message": "told to fail"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def is_told_to_fail() -> bool:
    return os.path.exists(os.environ.get("ROLLING_FAIL_FILE", ""))


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-length", b"%d" % len(body)), WORKER, GENERATION]
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


async def stuck(scope: Any, receive: Any, send: Any) -> None:
    """Blocks the event loop for good."""
    block_the_loop()


def block_the_loop() -> None:
    while True:
        time.sleep(1)


async def for_a_while(scope: Any, receive: Any, send: Any) -> None:
    """Blocks the event loop for a second and a half."""
    time.sleep(1.5)  # noqa: ASYNC251
    await answer(send, b"back")


async def exit_now(scope: Any, receive: Any, send: Any) -> None:
    os._exit(5)


async def wait_for_ever(scope: Any, receive: Any, send: Any) -> None:
    """A client that has to be left behind: neither its disconnect nor a cancellation ends it."""
    print("waiting", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass


async def grow(scope: Any, receive: Any, send: Any) -> None:
    HELD.append(bytearray(os.urandom(1024)) * (64 * 1024))
    await answer(send, b"grown")


async def echo(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept", "headers": [WORKER]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


HELD: list[bytearray] = []
ROUTES = {
    "/slow": slow,
    "/stream": stream,
    "/stuck": stuck,
    "/for-a-while": for_a_while,
    "/exit": exit_now,
    "/for-ever": wait_for_ever,
    "/grow": grow,
}
