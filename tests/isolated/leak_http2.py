"""Connections of HTTP/2 of every kind and end leave nothing behind: no object and no memory block, on each body.

As `leak_requests.py`, which see: a reference too many in a stream, its cycle, the session or its handler shows as a growth with
the number of rounds.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import sys
from pathlib import Path
from typing import Any

from measured_growth import BATCHES, ROUNDS, assert_nothing_grows

sys.path.insert(0, str(Path(__file__).parent.parent))

from e2e.http2_frames import frame, request, settings, uint32
from picocorn.base.limits import HTTP1Limits
from picocorn.base.native import NATIVE
from picocorn.http2 import engine
from picocorn.http2.codes import (
    CONNECTION_PREFACE,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    WINDOW_UPDATE,
)

BEGIN = CONNECTION_PREFACE + settings(_4=65535)
SHUT = CONNECTION_PREFACE + settings(_4=0, _2=0)
POST = request(1, b"/echo", end=False, method=b"POST")
# :method CONNECT, :protocol websocket, :scheme http, :path, :authority, and the version.
CONNECT = frame(
    HEADERS,
    END_HEADERS,
    1,
    b"\x00\x07:method\x07CONNECT\x00\x09:protocol\x09websocket\x86\x00\x05:path\x07/socket\x00\x0a:authority\x01a"
    b"\x00\x15sec-websocket-version\x0213",
)
TEXT = b"\x81\x83" + bytes(4) + b"abc"
RESET = frame(RST_STREAM, 0, 1, uint32(8))
#: Input, and what ends the connection.
CONVERSATIONS = (
    (BEGIN + request(1, b"/hello") + request(3, b"/hello") + request(5, b"/trailers", (b"te", b"trailers")), "loss"),
    (BEGIN + request(1, b"/hello", method=b"HEAD") + request(3, b"/events", method=b"HEAD"), "shutdown"),
    (BEGIN + POST + frame(DATA, 0, 1, b"x" * 1000) + frame(DATA, END_STREAM, 1, b"y"), "eof"),
    (BEGIN + POST + frame(DATA, 0, 1, b"x" * 1000), "loss"),
    (BEGIN + POST + frame(DATA, 0, 1, b"x" * 1000) + RESET, "shutdown"),
    (BEGIN + request(1, b"/early", end=False, method=b"POST") + frame(DATA, 0, 1, b"x"), "loss"),
    (BEGIN + request(1, b"/wait") + request(3, b"/wait") + RESET, "disconnect"),
    (BEGIN + request(1, b"/wait") + frame(GOAWAY, 0, 0, bytes(8)), "loss"),
    (BEGIN + request(1, b"/raise") + request(3, b"/break") + request(5, b"/long"), "loss"),
    (BEGIN + request(1, b"/push"), "loss"),
    (SHUT + request(1, b"/large") + request(3, b"/push"), "loss"),
    (SHUT + request(1, b"/large") + frame(WINDOW_UPDATE, 0, 1, uint32(100_000)), "disconnect"),
    (BEGIN + CONNECT + frame(DATA, 0, 1, TEXT), "loss"),
    (BEGIN + CONNECT + frame(DATA, END_STREAM, 1, TEXT), "shutdown"),
    (BEGIN + CONNECT + frame(DATA, 0, 1, b"\xf1\x80\0\0\0\0"), "eof"),
    (BEGIN + request(1, b"no/slash") + frame(PING, 0, 0, bytes(8)), "loss"),
    (BEGIN + request(1, b"/wait") + frame(DATA, 0, 0, b"x"), "loss"),
    (CONNECTION_PREFACE[:20], "loss"),
    (BEGIN[:-3], "eof"),
)


class Nowhere:
    """A transport that forgets what is written."""

    protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name in ("peername", "sockname") else default

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def _nothing(self, *arguments: Any) -> None:
        pass

    write = writelines = _nothing
    close = abort = write_eof = pause_reading = resume_reading = set_write_buffer_limits = _nothing

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    path = scope["path"]
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})
        return
    if path == "/raise":
        raise ValueError("as asked")
    event = {"more_body": True} if path != "/early" else {}
    while event.get("more_body") or (path == "/wait" and event["type"] == "http.request"):
        event = await receive()
    if path == "/push":
        await send({"type": "http.response.push", "path": "/hello", "headers": [(b"a", b"b")]})
    await send({"type": "http.response.early_hint", "links": [b"</a>"]})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")], "trailers": path == "/trailers"})
    while path in ("/events", "/large"):
        await send({"type": "http.response.body", "body": b"x" * 20_000, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b"x", "more_body": path in ("/break", "/long")})
    if path == "/break":
        raise ValueError("as asked")
    if path == "/long":
        await receive()
    if path == "/trailers":
        await send({"type": "http.response.trailers", "headers": [(b"a", b"b")]})


async def settle() -> None:
    for _ in range(14):
        await asyncio.sleep(0)


async def one_round(protocol_class: Any, context: Any) -> None:
    for sent, end in CONVERSATIONS:
        transport = Nowhere()
        transport.protocol = protocol_class(context)
        transport.protocol.connection_made(transport)
        transport.protocol.data_received(sent)
        await settle()
        if end == "eof":
            transport.protocol.eof_received()
        elif end in ("shutdown", "disconnect"):
            getattr(transport.protocol, end)()
        await settle()
        transport.protocol.connection_lost(ConnectionResetError() if end == "loss" else None)
        await settle()


async def measure(suffix: str, session: Any) -> None:
    contexts = importlib.import_module(f"picocorn.connection.context_{suffix}")
    state = contexts.ServerState()
    loop = asyncio.get_running_loop()
    context = contexts.ConnectionContext(app=app, loop=loop, server_state=state, app_state={}, limits=HTTP1Limits())
    context.http2 = functools.partial(importlib.import_module(f"picocorn.connection.http2_{suffix}").HTTP2Protocol, context)
    context.new_http2_session = session
    context.websocket = object
    protocol_class = importlib.import_module(f"picocorn.connection.http1_{suffix}").HTTP1Protocol
    for _ in range(50):
        await one_round(protocol_class, context)
    await assert_nothing_grows(f"{suffix} {session.__name__}", lambda: one_round(protocol_class, context))
    assert not state.connections, state.connections
    assert not state.tasks, state.tasks
    assert state.total_requests >= BATCHES * ROUNDS * len(CONVERSATIONS) / 2


logging.disable()
if NATIVE:
    asyncio.run(measure("c", engine.new_session))
asyncio.run(measure("py", engine.new_pure_session))
