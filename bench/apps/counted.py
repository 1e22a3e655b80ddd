"""A raw ASGI application whose workers say at their end how many requests and connections they have served.

/work takes half a millisecond of the processor, as a real handler might; anything else takes as little as possible.
"""

from __future__ import annotations

import os
import time
from typing import Any

HEADERS = [(b"content-length", b"13"), (b"content-type", b"text/plain")]
WORK_SECONDS = 0.0005

clients: set[tuple[str, int]] = set()
requests = 0


async def app(scope: Any, receive: Any, send: Any) -> None:
    global requests
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print(f"worker {os.getpid()}: {requests} requests, {len(clients)} connections", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    requests += 1
    clients.add(scope["client"])
    if scope["path"] == "/work":
        end = time.thread_time() + WORK_SECONDS
        while time.thread_time() < end:
            pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": b"Hello, World!"})
