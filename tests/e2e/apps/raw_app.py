"""A plain ASGI application whose routes do what attackers like best, and which tells how its requests ended.

E2E_NOFILE, when set, is the process's limit on descriptors, lowered before the server binds.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import resource
import signal
import time
from collections import Counter
from typing import Any

from probe import Probe

if os.environ.get("E2E_NOFILE"):
    resource.setrlimit(resource.RLIMIT_NOFILE, (int(os.environ["E2E_NOFILE"]),) * 2)

PIECE = bytes(65536)

#: What has happened: routes begun, disconnects seen, send() errors, bytes that send() has taken.
seen: Counter[str] = Counter()
#: /open?NAME lets those go who wait in /wait?NAME; who comes later waits for the next one.
gates: dict[bytes, asyncio.Event] = {}


def gate(name: bytes) -> asyncio.Event:
    return gates.setdefault(name, asyncio.Event())


async def start(send: Any, status: int = 200, *headers: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def answer(send: Any, body: bytes, status: int = 200) -> None:
    await start(send, status, (b"content-length", b"%d" % len(body)))
    await send({"type": "http.response.body", "body": body})


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"hello")


async def digest(scope: Any, receive: Any, send: Any) -> None:
    """Reads its whole content and answers with its length and SHA-256, or notes that it broke off."""
    sha, size = hashlib.sha256(), 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            seen["broken off"] += 1
            return
        sha.update(message["body"])
        size += len(message["body"])
        seen["received"] += len(message["body"])
        if not message["more_body"]:
            await answer(send, b"%d %s" % (size, sha.hexdigest().encode()))
            return


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    """Answers without having read."""
    await answer(send, b"too much", 413)


async def wait(scope: Any, receive: Any, send: Any) -> None:
    """Neither reads nor answers until its gate is opened."""
    seen["waiting"] += 1
    try:
        await gate(scope["query_string"]).wait()
        await answer(send, b"at last")
    except OSError:
        seen["send refused"] += 1
    finally:
        seen["waiting"] -= 1


async def listen(scope: Any, receive: Any, send: Any) -> None:
    """Waits for the disconnect, as a long poll does."""
    seen["listening"] += 1
    while (await receive())["type"] != "http.disconnect":
        pass
    seen["listening"] -= 1
    seen["disconnected"] += 1


async def open_gate(scope: Any, receive: Any, send: Any) -> None:
    gates.pop(scope["query_string"], asyncio.Event()).set()
    await answer(send, b"open")


async def large(scope: Any, receive: Any, send: Any) -> None:
    """/large?N: N bytes in pieces."""
    left = int(scope["query_string"])
    await start(send, 200, (b"content-length", b"%d" % left))
    seen["writing"] += 1
    try:
        while left > 0:
            piece = PIECE[:left]
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": left > 0})
            seen["sent"] += len(piece)
    except OSError:
        seen["send refused"] += 1
    finally:
        seen["writing"] -= 1


async def events(scope: Any, receive: Any, send: Any) -> None:
    """Server-sent events as fast as `send` takes them, without an end."""
    await start(send, 200, (b"content-type", b"text/event-stream"))
    event = b"data: " + b"x" * 1000 + b"\n\n"
    seen["writing"] += 1
    try:
        while True:
            await send({"type": "http.response.body", "body": event, "more_body": True})
            seen["sent"] += len(event)
            await asyncio.sleep(0)
    except OSError:
        seen["send refused"] += 1
    finally:
        seen["writing"] -= 1


async def torrent(scope: Any, receive: Any, send: Any) -> None:
    """Sends for ever and waits for nothing but `send`: when that never waits and never raises, nobody else has a turn."""
    await start(send)
    seen["writing"] += 1
    try:
        while True:
            await send({"type": "http.response.body", "body": PIECE, "more_body": True})
    except OSError:
        seen["send refused"] += 1
    finally:
        seen["writing"] -= 1


async def break_off(scope: Any, receive: Any, send: Any) -> None:
    """Dies in the middle of its response."""
    await start(send)
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    raise RuntimeError("in the middle, on purpose")


async def raise_early(scope: Any, receive: Any, send: Any) -> None:
    raise RuntimeError("at once, on purpose")


async def never(scope: Any, receive: Any, send: Any) -> None:
    """Never returns, whatever it is told, cancellation included, for as long as the test is patient."""
    seen["never"] += 1
    print("never: begun", flush=True)
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("never: cancelled", flush=True)


async def block(scope: Any, receive: Any, send: Any) -> None:
    """Holds the loop itself."""
    print("block: begun", flush=True)
    signal.sigtimedwait([signal.SIGUSR1], 60)


async def nap(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(1)
    await answer(send, b"rested")


async def tell(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, json.dumps(seen).encode())


async def scope_of(scope: Any, receive: Any, send: Any) -> None:
    """The scope as it came, for comparing one body with the other."""
    state = {**scope, "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]]}
    state.pop("client")
    state.pop("server")
    await answer(send, json.dumps(state, default=lambda value: value.decode("latin-1"), sort_keys=True).encode())


async def with_status(scope: Any, receive: Any, send: Any) -> None:
    """/status?N: status N with content, even where there may be none."""
    await start(send, int(scope["query_string"]))
    await send({"type": "http.response.body", "body": b"content"})


async def stream(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    for piece in (b"one ", b"", b"two ", b"three"):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body"})


ROUTES = {
    "/": hello,
    "/digest": digest,
    "/refuse": refuse,
    "/wait": wait,
    "/listen": listen,
    "/open": open_gate,
    "/large": large,
    "/events": events,
    "/torrent": torrent,
    "/break-off": break_off,
    "/raise": raise_early,
    "/nap": nap,
    "/never": never,
    "/block": block,
    "/seen": tell,
    "/scope": scope_of,
    "/status": with_status,
    "/stream": stream,
}


async def route(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print("lifespan: shut down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    found = ROUTES.get(scope["path"])
    if found is None:
        await answer(send, b"no such route", 404)
    else:
        await found(scope, receive, send)


app = Probe(route)
