"""Server-sent events in plain ASGI: one event a second until the client leaves. Needs picocorn alone.

picocorn streaming:app --app-dir examples
curl -N localhost:8000/
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

INTERVAL_SECONDS = 1.0


async def client_left(receive: Any) -> None:
    """Return once the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def events(send: Any) -> None:
    """Send events for ever. `send` waits when the client reads more slowly than this writes."""
    number = 0
    while True:
        event = f"id: {number}\ndata: {time.strftime('%H:%M:%S')}\n\n"
        await send({"type": "http.response.body", "body": event.encode(), "more_body": True})
        number += 1
        await asyncio.sleep(INTERVAL_SECONDS)


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application: the same stream on every path. Without a lifespan: the server notices and goes on."""
    if scope["type"] != "http":
        raise NotImplementedError(f"{scope['type']} is not served here")
    headers = [(b"content-type", b"text/event-stream"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    stream = asyncio.create_task(events(send))
    try:
        await client_left(receive)
    finally:
        stream.cancel()
        await asyncio.gather(stream, return_exceptions=True)
