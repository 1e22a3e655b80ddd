"""WebSockets of every kind and end leave nothing behind: no object and no memory block, on each body, in a process of their own.

As `leak_requests.py`, which see: a reference too many in a session, its cycle, codec or waiter shows as a growth with the number
of rounds.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import logging
import random
from typing import Any

from measured_growth import BATCHES, ROUNDS, assert_nothing_grows

from picocorn.base.limits import HTTP1Limits
from picocorn.base.native import NATIVE

MASK = bytes(4)
#: "/..." says what the application does, the frames what the client does, the last what ends it.
HANDSHAKE = (
    b"GET %b HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)
TEXT = b"\x81\x83" + MASK + b"abc"
LARGE = b"\x82\xfe\xff\xff" + MASK + bytes(65535)
PING = b"\x89\x81" + MASK + b"x"
CLOSE = b"\x88\x82" + MASK + b"\x03\xe8"
WRONG = b"\x83\x80" + MASK
#: Nothing that could be compressed.
RANDOM = random.Random(1).randbytes(2000)
CONVERSATIONS = (
    (b"/echo", TEXT + LARGE + PING + CLOSE, "close"),
    (b"/echo", TEXT, "eof"),
    (b"/echo", TEXT + LARGE[:1000], "loss"),
    (b"/echo", TEXT * 100 + WRONG, "loss"),
    (b"/echo", b"", "shutdown"),
    (b"/deaf", TEXT * 100 + CLOSE, "loss"),
    (b"/deaf", LARGE, "disconnect"),
    (b"/silent", TEXT + LARGE * 2, "loss"),
    (b"/silent", b"", "shutdown"),
    (b"/refuse", TEXT, "loss"),
    (b"/deny", TEXT, "loss"),
    (b"/deny-half", b"", "eof"),
    (b"/raise", TEXT, "close"),
    (b"/return", b"", "close"),
    (b"/return-early", b"", "loss"),
    (b"/close", TEXT + CLOSE, "loss"),
    (b"/flood", b"", "loss"),
)


class Nowhere:
    """A transport that forgets what is written, and takes nothing more after a while if it is told to."""

    def __init__(self, is_stuck: bool) -> None:
        self.is_stuck = is_stuck
        self.protocol: Any = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name in ("peername", "sockname") else default

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def write(self, data: bytes) -> None:
        if self.is_stuck and len(data) > 1000:
            self.protocol.pause_writing()

    def writelines(self, pieces: list[bytes]) -> None:
        for piece in pieces:
            self.write(piece)

    def _nothing(self, *arguments: Any) -> None:
        pass

    close = abort = write_eof = pause_reading = resume_reading = set_write_buffer_limits = _nothing

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    path = scope["path"]
    await receive()
    if path == "/refuse":
        await send({"type": "websocket.close"})
    elif path.startswith("/deny"):
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"a", "more_body": True})
        if path == "/deny":
            await send({"type": "websocket.http.response.body", "body": b"b"})
        else:
            await receive()
    elif path == "/silent":
        await receive()
    elif path != "/return-early":
        await send({"type": "websocket.accept", "headers": [(b"x", b"y")]})
        await opened(path, receive, send)


async def opened(path: str, receive: Any, send: Any) -> None:
    if path == "/raise":
        raise ValueError("as asked")
    if path == "/close":
        await send({"type": "websocket.close", "code": 4000, "reason": "why not"})
    while path == "/flood":
        await send({"type": "websocket.send", "bytes": RANDOM})
    if path == "/deaf":
        await asyncio.sleep(0)
        return
    while path == "/echo" and (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


async def settle() -> None:
    for _ in range(12):
        await asyncio.sleep(0)


async def one_round(protocol_class: Any, context: Any) -> None:
    for path, frames, end in CONVERSATIONS:
        protocol = protocol_class(context)
        transport = Nowhere(path == b"/flood")
        transport.protocol = protocol
        protocol.connection_made(transport)
        protocol.data_received(HANDSHAKE % path)
        await settle()
        if frames:
            transport.protocol.data_received(frames)
        await settle()
        if end == "eof":
            transport.protocol.eof_received()
        elif end in ("shutdown", "disconnect"):
            getattr(transport.protocol, end)()
        await settle()
        transport.protocol.connection_lost(ConnectionResetError() if end == "loss" else None)
        await settle()


async def measure(suffix: str) -> None:
    protocol_class = importlib.import_module(f"picocorn.connection.http1_{suffix}").HTTP1Protocol
    contexts = importlib.import_module(f"picocorn.connection.context_{suffix}")
    state = contexts.ServerState()
    loop = asyncio.get_running_loop()
    context = contexts.ConnectionContext(app=app, loop=loop, server_state=state, app_state={}, limits=HTTP1Limits())
    websocket_class = importlib.import_module(f"picocorn.connection.websocket_http1_{suffix}").WebSocketProtocol
    context.websocket = functools.partial(websocket_class, context)
    for _ in range(50):
        await one_round(protocol_class, context)
    await assert_nothing_grows(suffix, lambda: one_round(protocol_class, context))
    assert not state.connections, state.connections
    assert not state.tasks, state.tasks
    assert state.total_requests >= BATCHES * ROUNDS * len(CONVERSATIONS)


logging.disable()
for body in ("c", "py") if NATIVE else ("py",):
    asyncio.run(measure(body))
