"""Requests of every kind leave nothing behind: no object and no memory block, on each body, in a process of their own.

Drives the protocol over a transport that keeps nothing, so that what grows can only be ours: a reference too many in a parser,
scope, cycle or writer shows as a growth with the number of rounds, whatever the interpreter caches meanwhile.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from typing import Any

from measured_growth import BATCHES, ROUNDS, assert_nothing_grows

from picocorn.base.limits import HTTP1Limits
from picocorn.base.native import NATIVE

HOST = b"Host: a\r\n"
CONVERSATIONS = (
    b"GET /a%20b?c HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n",
    b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n" + b"GET /raise HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /wait HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /odd HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
)


class Nowhere:
    """A transport that forgets what is written."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name in ("peername", "sockname") else default

    def _nothing(self, *arguments: Any) -> None:
        pass

    write = writelines = close = abort = write_eof = pause_reading = resume_reading = set_write_buffer_limits = _nothing

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/raise":
        raise ValueError("as asked")
    if scope["path"] == "/wait":
        await receive()
        return
    headers = [(b"bad name", b"x")] if scope["path"] == "/odd" else [(b"x", b"y")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"a", "more_body": True})
    await send({"type": "http.response.body", "body": b"b"})


async def one_round(protocol_class: Any, context: Any) -> None:
    for conversation in CONVERSATIONS:
        protocol = protocol_class(context)
        protocol.connection_made(Nowhere())
        protocol.data_received(conversation)
        for _ in range(3):
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        for _ in range(3):
            await asyncio.sleep(0)


async def measure(suffix: str) -> None:
    protocol_class = importlib.import_module(f"picocorn.connection.http1_{suffix}").HTTP1Protocol
    contexts = importlib.import_module(f"picocorn.connection.context_{suffix}")
    state = contexts.ServerState()
    loop = asyncio.get_running_loop()
    context = contexts.ConnectionContext(app=app, loop=loop, server_state=state, app_state={}, limits=HTTP1Limits())
    for _ in range(100):
        await one_round(protocol_class, context)
    await assert_nothing_grows(suffix, lambda: one_round(protocol_class, context))
    assert not state.connections, state.connections
    assert not state.tasks, state.tasks
    assert state.total_requests >= BATCHES * ROUNDS * (len(CONVERSATIONS) - 1)


logging.disable()
for body in ("c", "py") if NATIVE else ("py",):
    asyncio.run(measure(body))
