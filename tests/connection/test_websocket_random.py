"""WebSockets to which everything happens in any order: nothing is raised or left behind, and both bodies do the same."""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from bodies import TWINS
from connection.conftest import Bench, ClockLoop
from connection.websockets import Peer, Puppet
from e2e.websocket_frames import BINARY, CONTINUATION, PING, PONG, TEXT, close_frame, frame, handshake
from picocorn.base.errors import ClientDisconnected, LocalProtocolError
from picocorn.base.limits import WebSocketLimits

CONVERSATIONS = 60
STEPS = 40
FRAMES = (
    frame(TEXT, b"hello"),
    frame(BINARY, bytes(20_000)),
    frame(TEXT, b"half ", fin=False) + frame(CONTINUATION, b"whole"),
    frame(PING, b"p"),
    frame(PONG),
    frame(BINARY, bytes(5)) * 20,
    frame(PING) * 300,
)
#: Rarely, or there would be nothing else.
LAST_FRAMES = (
    close_frame(),
    close_frame(4000, "bye"),
    close_frame(None),
    frame(3),
    frame(TEXT, b"\xff"),
    frame(BINARY, length=10**9),
)


class Conversation:
    """One WebSocket, what happens to it, and all that can be seen of it."""

    def __init__(self, bench: Bench, dice: random.Random) -> None:
        self.bench = bench
        self.dice = dice
        self.puppet = Puppet()
        self.seen: list[Any] = []
        self.calls: list[asyncio.Task[None]] = []
        limits = WebSocketLimits(max_queue=dice.choice((1, 4, 32)), max_size_bytes=100_000)
        self.peer = Peer(bench.connect(self.puppet, websocket=True, websocket_limits=limits, tls=dice.random() < 0.2))
        #: sent by the client and not arrived yet
        self.input = handshake(b"/", *([b"Sec-WebSocket-Extensions: permessage-deflate"] if dice.random() < 0.5 else []))

    async def _call(self, name: str, call: Any, *arguments: Any, **fields: Any) -> None:
        try:
            result = await call(*arguments, **fields)
        except (ClientDisconnected, LocalProtocolError) as error:
            result = type(error).__name__
        self.seen.append((name, result))

    def call(self, name: str, *arguments: Any, **fields: Any) -> None:
        if self.puppet.send is not None and not self.puppet.ended:
            call = getattr(self.puppet, name)
            self.calls.append(asyncio.ensure_future(self._call(name, call, *arguments, **fields)))

    def arrive(self) -> None:
        transport = self.peer.transport
        size = self.dice.choice((1, 10, 1000, len(self.input)))
        if transport.reading and not transport.lost and self.input:
            piece, self.input = self.input[:size], self.input[size:]
            self.peer.send(piece)

    async def step(self) -> None:
        dice, peer, transport = self.dice, self.peer, self.peer.transport
        what = dice.randrange(100)
        if what < 20:
            self.input += dice.choice(FRAMES)
        elif what < 23:
            self.input += dice.choice(LAST_FRAMES)
        elif what < 50:
            self.arrive()
        elif what < 58:
            self.call("receive")
        elif what < 66:
            self.call("say", dice.choice(("text", bytes(100), dice.randbytes(70_000))))
        elif what < 69:
            self.call("close", code=dice.choice((1000, 4001, 1005)))
        elif what < 74:
            transport.stuck = not transport.stuck
        elif what < 80:
            transport.drain(dice.choice((0, 30_000)))
        elif what < 90:
            await self.bench.advance(dice.choice((0.5, 5.0, 25.0)))
        elif what < 92 and not transport.lost and transport.reading:
            peer.connection.half_close()
        elif what < 93:
            transport.lose(ConnectionResetError())
        elif what < 94:
            peer.protocol.shutdown()
        elif what < 95:
            peer.protocol.disconnect()
        elif what < 96:
            self.puppet.gate.set()
        if dice.random() < 0.7:
            await peer.settle()

    async def run(self) -> list[Any]:
        while self.input and self.dice.random() < 0.9:
            self.arrive()
            await self.peer.settle()
        if self.dice.random() < 0.9:
            self.call("send", {"type": "websocket.accept" if self.dice.random() < 0.95 else "websocket.close"})
        for _ in range(STEPS):
            await self.step()
        self.peer.transport.stuck = False
        self.peer.transport.abort()
        self.puppet.gate.set()
        await self.peer.settle()
        await asyncio.wait_for(asyncio.gather(*self.calls), None)
        transport = self.peer.transport
        return [self.seen, b"".join(transport.written), transport.ended, transport.aborted, type(self.puppet.error).__name__]


def transcript(twin: str, seed: int) -> list[Any]:
    suffix = "_c" if twin == "native" else "_py"
    room: Callable[[str], ModuleType] = lambda name: importlib.import_module(f"picocorn.{name}{suffix}")  # noqa: E731

    async def whole() -> list[Any]:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, ClockLoop)
        bench = Bench(room, loop)
        seen = await Conversation(bench, random.Random(seed)).run()
        await bench.end()
        return seen

    with asyncio.Runner(loop_factory=ClockLoop) as runner:
        return runner.run(whole())


@pytest.mark.parametrize("seed", range(CONVERSATIONS))
def test_both_bodies_do_the_same(seed: int) -> None:
    assert [transcript(twin, seed) for twin in TWINS[1:]] == [transcript(TWINS[0], seed)] * (len(TWINS) - 1)
