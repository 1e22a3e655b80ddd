"""Tells what it was told: its process, the server's address in the scope, and what a service manager has left in the environment.

FAIL_FILE: fails to start while the file of that name exists. START_FILE: the start-up waits until the file of that name exists.
GATE: /slow is answered once the file of that name exists.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any


def found() -> dict[str, Any]:
    prefixes = ("LISTEN_", "NOTIFY_", "WATCHDOG_", "PICOCORN_UPGRADE")
    return {name: value for name, value in os.environ.items() if name.startswith(prefixes)}


def is_told_to_fail() -> bool:
    return os.path.exists(os.environ.get("FAIL_FILE", ""))


async def there_is(variable: str) -> None:
    """Wait for a file. It tells nobody that it is there."""
    path = Path(os.environ.get(variable, "/"))
    while not path.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.01)


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    await there_is("START_FILE")
    if is_told_to_fail():
        await send({"type": "lifespan.startup.failed", "message": "told to fail"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    if scope["path"] == "/slow":
        print("slowly", flush=True)
        await there_is("GATE")
    body = json.dumps({"pid": os.getpid(), "parent": os.getppid(), "server": scope["server"], "environment": found()}).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
