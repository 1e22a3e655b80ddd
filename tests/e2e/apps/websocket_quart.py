"""A Quart application of WebSockets: implicit and explicit accept, JSON, two tasks for one socket, refusals, a broadcast."""

from __future__ import annotations

import asyncio
from typing import Any

from probe import Probe
from quart import Quart, abort, jsonify, websocket

quart = Quart(__name__)
#: Who listens to /listen.
queues: set[asyncio.Queue[str]] = set()
#: What was noticed at the end of sessions.
ends: list[str] = []


@quart.websocket("/echo")
async def echo() -> None:
    # The first send or receive accepts.
    while True:
        await websocket.send(await websocket.receive())


@quart.websocket("/json")
async def json_echo() -> None:
    await websocket.accept(subprotocol="json" if "json" in websocket.requested_subprotocols else None, headers={"x-by": "quart"})
    while True:
        await websocket.send_json({"echo": await websocket.receive_json()})


@quart.websocket("/listen")
async def listen() -> None:
    queue: asyncio.Queue[str] = asyncio.Queue()
    queues.add(queue)
    try:
        await websocket.send("listening")
        while True:
            await websocket.send(await queue.get())
    except (asyncio.CancelledError, OSError):
        # This is how Quart tells of a disconnect; the server tells it to a send that comes before.
        ends.append("/listen")
        raise
    finally:
        queues.discard(queue)


@quart.websocket("/refuse")
async def refuse() -> None:
    abort(403)


@quart.websocket("/close")
async def close() -> None:
    await websocket.accept()
    await websocket.close(4002, "that was all")


@quart.websocket("/bug")
async def bug() -> None:
    await websocket.accept()
    raise ZeroDivisionError("on purpose")


@quart.get("/publish/<text>")
async def publish(text: str) -> Any:
    for queue in queues:
        queue.put_nowait(text)
    return jsonify(len(queues))


@quart.get("/ends")
async def told() -> Any:
    return jsonify(ends)


@quart.get("/")
async def index() -> str:
    return "hello"


app = Probe(quart)
