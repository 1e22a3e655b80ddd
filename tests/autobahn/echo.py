"""The applications under test: an echo in raw ASGI, and one with known faults that every judge must find.

Needs nothing but the standard library, so that any ASGI server can serve it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = await receive()
        await send({"type": f"{event['type']}.complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def app(scope: Event, receive: Receive, send: Send) -> None:
    """Send back every message as it came. What the server raises for a peer that has gone is the server's to handle."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") is not None:
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"]})


async def faulty_app(scope: Event, receive: Receive, send: Send) -> None:
    """Echo text as bytes, and bytes without the last one; answer 125 bytes with a close."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        if event.get("text") is not None:
            await send({"type": "websocket.send", "bytes": event["text"].encode()})
        elif len(event["bytes"]) == 125:
            await send({"type": "websocket.close", "code": 4000})
            return
        else:
            await send({"type": "websocket.send", "bytes": event["bytes"][:-1]})
