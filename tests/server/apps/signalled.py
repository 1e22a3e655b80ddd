"""Applications for tests that send signals: each says on stdout where it is, so that nobody has to guess."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any


def say(text: str) -> None:
    print(text, flush=True)


async def gate() -> None:
    """Wait until the test opens the named pipe for writing."""
    await asyncio.get_running_loop().run_in_executor(None, lambda: open(os.environ["GATE"]).close())


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    while True:
        event = (await receive())["type"]
        say(event)
        await send({"type": event + ".complete"})
        if event == "lifespan.shutdown":
            return


async def answer(send: Any, body: bytes = b"ok") -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Does what the path says."""
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["path"] == "/wait":
        say("waiting")
        while (await receive())["type"] != "http.disconnect":
            pass
        say("disconnected")
    elif scope["path"] == "/sleep":
        say("sleeping")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            say(f"cancelled: {error}")
            raise
    elif scope["path"] == "/stubborn":
        say("stubborn")
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                say("ignored")
    elif scope["path"] == "/block":
        say("blocking")
        while True:
            time.sleep(3600)  # noqa: ASYNC251
    elif scope["path"] == "/slow":
        say("slow")
        await gate()
        await answer(send, b"finished")
    else:
        await answer(send)


async def no_lifespan(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await answer(send)


async def fails_to_start(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def exits_in_startup(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    sys.exit(7)


async def never_ends(scope: Any, receive: Any, send: Any) -> None:
    """Its lifespan's shutdown waits for ever."""
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("stuck in shutdown")
    await asyncio.Event().wait()


async def starts_slowly(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "lifespan"
    await receive()
    say("starting")
    await gate()
    await send({"type": "lifespan.startup.complete"})
    say((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})


def factory() -> Any:
    return no_lifespan
