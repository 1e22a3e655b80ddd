"""Peers that say nothing, and peers that take nothing: keep-alive pings, and who is alive."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from connection.conftest import STEP_SECONDS
from connection.test_websocket_end import LATE_SECONDS, PING_SECONDS, SILENCE_SECONDS, closing, is_over
from connection.test_websocket_flow import messages, stuck
from connection.websockets import Peer, echo, opened, opened_puppet
from e2e.websocket_frames import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, frame, handshake
from picocorn.base.errors import ClientDisconnected
from picocorn.base.limits import HIGH_WATER_BYTES, WebSocketLimits
from picocorn.connection.lingering import LINGER_SECONDS, STALLED_SECONDS


def test_pings_and_life(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        await bench.advance(PING_SECONDS - LATE_SECONDS)
        assert await peer.frames() == []
        await bench.advance(2 * LATE_SECONDS)
        assert await peer.frames() == [Frame(PING, b"")]
        # Any byte is a sign of life.
        peer.send(frame(PONG)[:1])
        await bench.advance(PING_SECONDS + LATE_SECONDS)
        assert await peer.frames() == [Frame(PING, b"")]
        peer.send(frame(PONG)[1:])
        await bench.advance(PING_SECONDS - LATE_SECONDS)
        assert not peer.transport.ended
        await puppet.say("hello")
        assert await peer.frames() == [Frame(TEXT, b"hello")]


def test_silence_ends_it(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        await bench.advance(PING_SECONDS + SILENCE_SECONDS - LATE_SECONDS)
        assert await peer.frames() == [Frame(PING, b"")]
        await bench.advance(3 * LATE_SECONDS)
        assert await peer.frames() == [closing(1011, "keepalive ping timeout")]
        assert peer.transport.ended
        await is_over(puppet, 1011, "keepalive ping timeout")
        await bench.advance(LINGER_SECONDS + LATE_SECONDS)
        assert peer.transport.aborted


@pytest.mark.parametrize(("interval", "timeout"), [(20.0, 5.0), (5.0, 20.0)])
def test_interval_and_patience_are_two_things(bench: Any, interval: float, timeout: float) -> None:
    @bench
    async def _(bench: Any) -> None:
        limits = WebSocketLimits(ping_interval_seconds=interval, ping_timeout_seconds=timeout)
        _puppet, peer = await opened_puppet(bench, websocket_limits=limits)
        for _ in range(3):
            await bench.advance(interval + 2 * LATE_SECONDS)
            assert await peer.frames() == [Frame(PING, b"")]
            peer.send(frame(PONG))
        await bench.advance(interval + timeout - LATE_SECONDS)
        assert not peer.transport.ended
        # Each step may be late by a little, and there are more of them than one.
        await bench.advance(10 * LATE_SECONDS)
        assert peer.transport.ended


@pytest.mark.parametrize(
    ("interval", "timeout", "pings"), [(0.0, 20.0, 0), (0.0, 0.0, 0), (20.0, 0.0, 9), (float("inf"), 20.0, 0)]
)
def test_keep_alive_can_be_switched_off(bench: Any, interval: float, timeout: float, pings: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        limits = WebSocketLimits(ping_interval_seconds=interval, ping_timeout_seconds=timeout)
        _puppet, peer = await opened_puppet(bench, websocket_limits=limits)
        await bench.advance(9 * (20 + LATE_SECONDS))
        assert await peer.frames() == [Frame(PING, b"")] * pings
        assert not peer.transport.ended


def test_a_paused_reader_cannot_see_pongs(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench, websocket_limits=WebSocketLimits(max_queue=2))
        peer.send(messages(2))
        assert not peer.transport.reading
        await bench.advance(5 * PING_SECONDS)
        assert not peer.transport.ended
        assert {one.opcode for one in await peer.frames()} == {PING}
        # From here on it can.
        for _ in range(2):
            await puppet.hear()
        await bench.advance(SILENCE_SECONDS - LATE_SECONDS)
        assert peer.transport.reading
        assert not peer.transport.ended
        await bench.advance(PING_SECONDS + SILENCE_SECONDS)
        assert peer.transport.ended


def test_who_takes_nothing_is_not_kept_by_what_it_has_sent(bench: Any) -> None:
    """Reading is paused because the application waits for this very client, which could go on like that for ever."""

    @bench
    async def _(bench: Any) -> None:
        peer = await opened(bench, echo)
        peer.transport.stuck = True
        while peer.transport.reading:
            peer.send(frame(BINARY, bytes(HIGH_WATER_BYTES // 2)))
            await peer.settle()
        await bench.advance(PING_SECONDS + 2 * SILENCE_SECONDS)
        assert peer.transport.ended
        await bench.advance(STALLED_SECONDS + LINGER_SECONDS + 2 * LATE_SECONDS)
        assert peer.transport.lost


def test_who_takes_what_waits_for_it_is_alive(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        for left in range(10, 5, -1):
            peer.transport.drain(left * 5000)
            await bench.advance(PING_SECONDS)
        assert not peer.transport.ended
        assert not sending.done()
        await bench.advance(PING_SECONDS + 2 * SILENCE_SECONDS)
        assert peer.transport.ended
        with pytest.raises(ClientDisconnected):
            await sending
        await is_over(puppet, 1011, "keepalive ping timeout")
        # The output is still stuck, so that nobody can have read the close frame.
        await bench.advance(STALLED_SECONDS + LINGER_SECONDS + 2 * LATE_SECONDS)
        assert peer.transport.aborted


@pytest.mark.parametrize(
    "what", [frame(PONG), frame(PING, b"?"), frame(CONTINUATION, b"x", fin=False)], ids=["pong", "ping", "fragment"]
)
def test_who_takes_nothing_is_not_kept_by_what_it_goes_on_sending(bench: Any, what: bytes) -> None:
    """The application waits in `send`, and would for as long as the client likes."""

    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(BINARY, b"", fin=False))
        sending = await stuck(peer, puppet)
        for _ in range(int(PING_SECONDS + 2 * SILENCE_SECONDS)):
            if not peer.transport.ended:
                peer.send(what)
            await bench.advance(1.0)
        assert peer.transport.ended
        with pytest.raises(ClientDisconnected):
            await sending
        await is_over(puppet, 1011, "keepalive ping timeout")


def test_who_takes_what_the_kernel_holds_is_alive(bench: Any) -> None:
    """Megabytes may stand there before a ping: on a slow line, more than the time for its answer."""

    @bench
    async def _(bench: Any) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            puppet, peer = await opened_puppet(bench)
            peer.transport.info["socket"] = ours
            for _ in range(20):
                ours.send(bytes(1000))
            for _ in range(5):
                await bench.advance(PING_SECONDS)
                theirs.recv(2000)
            assert not peer.transport.ended
            # And the application may send on meanwhile, which is no sign of life.
            for _ in range(5):
                if not peer.transport.ended:
                    await puppet.say("x")
                    ours.send(bytes(1000))
                await bench.advance(PING_SECONDS / 2)
            assert peer.transport.ended
            await is_over(puppet, 1011, "keepalive ping timeout")


def test_sockets_that_were_opened_at_once_are_not_pinged_at_once(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        late = asyncio.Event()

        async def app(*asgi: Any) -> None:
            await late.wait()
            await echo(*asgi)

        context = bench.context(app, websocket=True)
        peers = [Peer(bench.connect(app, context=context)) for _ in range(100)]
        for peer in peers:
            peer.send(handshake(b"/"))
        late.set()
        for peer in peers:
            assert (await peer.head()).startswith(b"HTTP/1.1 101 ")
        pinged = []
        for _ in range(int((PING_SECONDS + 2 * LATE_SECONDS) / STEP_SECONDS)):
            await bench.advance(STEP_SECONDS)
            pings = [await peer.frames() for peer in peers]
            assert all(frames in ([], [Frame(PING, b"")]) for frames in pings)
            pinged.append(sum(map(len, pings)))
            for peer, frames in zip(peers, pings, strict=True):
                if frames:
                    peer.send(frame(PONG))
        assert sum(pinged) == len(peers)
        assert max(pinged) <= len(peers) / 10
