"""HTTP/2 connections on which everything happens in any order: nothing is raised or left behind, whatever ends them."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import h2.exceptions
import pytest

from connection.applications import body, start
from connection.http2_peer import HTTP2Peer
from e2e.websocket_frames import BINARY, PING, TEXT, close_frame, frame
from picocorn.base.errors import ClientDisconnected
from picocorn.base.limits import HTTP1Limits, HTTP2Limits

CONVERSATIONS = 40
STEPS = 60
TE = (b"te", b"trailers")
SENDS = (
    start(),
    start(204),
    start(200, trailers=True),
    start(200, (b"content-length", b"5")),
    start(700),
    body(b"hello"),
    body(b"x" * 30_000, True),
    body(b"", True),
    body(),
    {"type": "http.response.early_hint", "links": [b"</a>"]},
    {"type": "http.response.push", "path": "/pushed", "headers": []},
    {"type": "http.response.trailers", "headers": [(b"a", b"b")]},
    {"type": "nonsense"},
)
WEBSOCKET_SENDS = (
    {"type": "websocket.accept"},
    {"type": "websocket.accept", "headers": [(b"a", b"b")]},
    {"type": "websocket.send", "text": "hello"},
    {"type": "websocket.send", "bytes": bytes(30_000)},
    {"type": "websocket.close", "code": 4000},
    {"type": "websocket.http.response.start", "status": 401},
    {"type": "websocket.http.response.body", "body": b"no", "more_body": True},
    {"type": "websocket.http.response.body"},
)
FRAMES = (frame(TEXT, b"hello"), frame(BINARY, bytes(20_000)), frame(PING, b"p"), close_frame(), frame(3))


class Whim:
    """An application that does whatever comes to its mind."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self.gates: list[asyncio.Event] = []
        self.running = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.running += 1
        try:
            await self.live(SENDS if scope["type"] == "http" else WEBSOCKET_SENDS, receive, send)
        finally:
            self.running -= 1

    async def live(self, sends: Any, receive: Any, send: Any) -> None:
        dice = self.dice
        for _ in range(dice.randrange(12)):
            does = dice.random()
            if does < 0.3:
                await receive()
            elif does < 0.4:
                gate = asyncio.Event()
                self.gates.append(gate)
                await gate.wait()
            elif does < 0.45:
                raise ValueError("on a whim")
            elif does < 0.5:
                await asyncio.sleep(0)
            else:
                message = dice.choice(sends)
                if "headers" in message and dice.random() < 0.1:
                    # Its fields are made while they are looked at, and more is sent meanwhile.
                    message = {**message, "headers": self.made_late(sends, send)}
                try:
                    await send(message)
                except RuntimeError:
                    if dice.random() < 0.5:
                        raise
        if dice.random() < 0.7 and sends is SENDS:
            await send(start())
            await send(body(b"done"))

    def made_late(self, sends: Any, send: Any) -> Any:
        # Awaited by nobody: a send that need not wait has done all it does when it is called.
        for message in self.dice.sample(sends, 2):
            try:
                waiting = send(message)
            except (RuntimeError, ClientDisconnected):
                continue
            if hasattr(waiting, "close"):
                waiting.close()
        yield b"late", b"field"


class Conversation:
    def __init__(self, bench: Any, dice: random.Random) -> None:
        self.dice = dice
        self.app = Whim(dice)
        limits = HTTP2Limits(max_concurrent_streams=dice.choice((2, 10)), stream_window_bytes=dice.choice((65536, 300_000)))
        self.peer = HTTP2Peer(
            bench,
            self.app,
            websocket=True,
            http2_limits=limits,
            limits=HTTP1Limits(request_body_bytes=dice.choice((0, 50_000))),
            limit_concurrency=dice.choice((None, 3)),
            settings={2: dice.randrange(2), 4: dice.choice((0, 100, 65535, 1_000_000))},
        )
        self.sockets: list[int] = []
        self.unfinished: list[int] = []

    def step(self) -> None:
        dice, peer = self.dice, self.peer
        does = dice.randrange(12)
        if does < 3:
            peer.get(b"/", TE, method=dice.choice((b"GET", b"HEAD", b"OPTIONS")))
        elif does == 3:
            self.unfinished.append(peer.post(b"x" * dice.choice((0, 10, 30_000)), end=False))
        elif does == 4 and self.unfinished:
            peer.data(dice.choice(self.unfinished), b"y" * dice.choice((0, 10, 20_000)), dice.random() < 0.5)
        elif does == 5 and peer.streams:
            peer.reset(dice.choice(list(peer.streams)))
        elif does == 6:
            self.sockets.append(peer.connect_websocket())
        elif does == 7 and self.sockets:
            peer.data(dice.choice(self.sockets), dice.choice(FRAMES), dice.random() < 0.1)
        elif does == 8 and self.app.gates:
            self.app.gates.pop(dice.randrange(len(self.app.gates))).set()
        elif does == 9:
            peer.takes = not peer.takes
        elif does == 10:
            peer.conn.increment_flow_control_window(dice.choice((1, 1000, 100_000)), dice.choice((None, *peer.streams)))
            peer.flush()
        elif not peer.transport.stuck:
            peer.transport.stuck = dice.random() < 0.2
        else:
            peer.transport.stuck = False
            peer.transport.drain()

    def end(self) -> None:
        peer = self.peer
        way = self.dice.randrange(5)
        peer.transport.stuck = False
        peer.transport.drain()
        if way == 0:
            peer.connection.protocol.shutdown()
        elif way == 1:
            peer.connection.protocol.disconnect()
        elif way == 2 and not peer.transport.closing:
            peer.connection.half_close()
        elif way == 3 and not peer.transport.closing:
            peer.connection.send(b"\xff" * 30)
        peer.transport.lose(ConnectionResetError())


@pytest.mark.parametrize("seed", range(CONVERSATIONS))
def test_anything_in_any_order(bench: Any, seed: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        dice = random.Random(seed)
        conversation = Conversation(bench, dice)
        peer = conversation.peer
        for _ in range(STEPS):
            try:
                conversation.step()
                if dice.random() < 0.7:
                    await bench.settle()
                    peer.read()
                if dice.random() < 0.05:
                    await bench.advance(dice.choice((1, 20)))
            except (h2.exceptions.H2Error, KeyError):
                # What the client may not do (any more), says the client.
                peer.conn.clear_outbound_data_buffer()
        protocol = peer.connection.protocol
        conversation.end()
        for _ in range(12):
            for gate in conversation.app.gates:
                gate.set()
            await bench.settle()
        assert not conversation.app.running
        assert not protocol.streams
        assert not protocol.abandoned_tasks
        assert not bench.state.tasks
        assert not bench.unhandled
