"""Lets a test look into the process that serves an application: descriptors, tasks, live connections, memory.

`Probe(app)` answers `/__probe__` itself and passes everything else on. It knows no server: what it counts by class name is
simply zero where there is no such class.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from collections import Counter
from typing import Any

PROBE_PATH = "/__probe__"
#: Objects a server keeps per connection or per request, by class name: what must not outlive its client.
WATCHED = frozenset(
    {
        "HTTP1Protocol",
        "HTTPCycle",
        "PollerTransport",
        "RequestParser",
        "Transport",
        "WebSocketConnection",
        "WebSocketCycle",
        "WebSocketProtocol",
        "WebSocketSession",
    }
)


def descriptors() -> Counter[str]:
    """Open descriptors of this process by kind: socket, pipe, anon_inode:[eventpoll], file ..."""
    kinds: Counter[str] = Counter()
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
        kinds[target.split(":[")[0] if ":[" in target else "file"] += 1
    return kinds


def resident_bytes() -> int:
    """Resident memory of this process."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def report() -> dict[str, Any]:
    """What is alive right now. The connection that asks is among it."""
    gc.collect()
    kinds = descriptors()
    objects = Counter(name for item in gc.get_objects() if (name := type(item).__name__) in WATCHED)
    try:
        tasks = [repr(task) for task in asyncio.all_tasks()]
    except RuntimeError:  # asked from a thread, by a WSGI application
        tasks = []
    return {
        "sockets": kinds["socket"],
        "descriptors": sum(kinds.values()),
        "kinds": dict(kinds),
        "tasks": len(tasks),
        "task_names": tasks,
        "threads": threading.active_count(),
        "objects": dict(objects),
        "resident_bytes": resident_bytes(),
    }


class Probe:
    """ASGI middleware that answers PROBE_PATH."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].endswith(PROBE_PATH):
            await self.app(scope, receive, send)
            return
        body = json.dumps(report()).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
