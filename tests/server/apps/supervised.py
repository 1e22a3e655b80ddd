"""An application for workers: tells who answers, and goes wrong in the ways that a supervisor has to deal with.

FAIL_FILE: fails to start while the file of that name exists. START_SECONDS: how long its start-up takes. GATE: a named pipe,
which lets /slow go when it is opened.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from typing import Any

HELD: list[bytes] = []


def say(text: str) -> None:
    print(text, flush=True)


say(f"imported by {os.getpid()}")
if os.environ.get("EXIT_AT_IMPORT"):
    sys.exit(int(os.environ["EXIT_AT_IMPORT"]))


def is_told_to_fail() -> bool:
    return os.path.exists(os.environ.get("FAIL_FILE", ""))


async def lifespan(receive: Any, send: Any) -> None:
    await receive()
    await asyncio.sleep(float(os.environ.get("START_SECONDS", "0")))
    if is_told_to_fail():
        await send({"type": "lifespan.startup.failed", "message": "told to fail"})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say(f"shut down by {os.getpid()}")
    await send({"type": "lifespan.shutdown.complete"})


def block_the_loop(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(0.01)


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Does what the path says, and answers with its process id and the variable GENERATION."""
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
        return
    path = scope["path"]
    say(f"asked for {path}")
    if path == "/slow":
        await asyncio.get_running_loop().run_in_executor(None, lambda: open(os.environ["GATE"]).close())
    elif path == "/block":
        block_the_loop(1)
    elif path == "/stuck":
        block_the_loop(3600)
    elif path == "/exit":
        os._exit(5)
    elif path == "/wait":
        await asyncio.Event().wait()
    elif path == "/grow":
        HELD.append(os.urandom(32 * 1024 * 1024))
    elif path == "/orphan":
        # It outlives its parent, and ends when somebody opens the gate.
        subprocess.run(["sh", "-c", "cat $GATE & echo orphan $!"], check=True)  # noqa: ASYNC221
    body = f"{os.getpid()} {os.environ.get('GENERATION', '')}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
