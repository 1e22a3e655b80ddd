"""Messages both ways, at the pace of the slower end: queue marks, turns of the loop, back-pressure, pings."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connection.websockets import Peer, Puppet, echo, opened, opened_puppet
from e2e.websocket_frames import BINARY, CONTINUATION, PING, PONG, TEXT, Frame, close_frame, frame
from picocorn.base.errors import ClientDisconnected, LocalProtocolError
from picocorn.base.limits import HIGH_WATER_BYTES, WebSocketLimits
from picocorn.connection.websocket_http1_py import SENDS_PER_LOOK
from picocorn.connection.websocket_py import EVENTS_PER_TURN


def messages(count: int, data: bytes = b"x") -> bytes:
    return frame(BINARY, data) * count


# -- messages


def test_echo(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = await opened(bench, echo)
        pieces = frame(TEXT, "grü".encode(), fin=False) + frame(PING, b"in between") + frame(CONTINUATION, "ße".encode())
        for number in range(len(pieces)):
            peer.send(pieces[number : number + 1])
        assert await peer.frames() == [Frame(PONG, b"in between"), Frame(TEXT, "grüße".encode())]
        peer.send(messages(3, b""), frame(BINARY, b"y" * 100_000))
        assert await peer.frames() == [Frame(BINARY, b"")] * 3 + [Frame(BINARY, b"y" * 100_000)]


def test_message_that_cannot_be_sent(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        with pytest.raises(LocalProtocolError):
            await puppet.say("\ud800")
        await puppet.say("right")
        assert await peer.frames() == [Frame(TEXT, b"right")]


def test_unasked_pongs_are_ignored(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(PONG, b"?"), frame(TEXT, b"a"))
        assert await puppet.hear() == "a"
        assert await peer.frames() == []


# -- reading


def test_reading_stops_at_so_many_messages(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench, websocket_limits=WebSocketLimits(max_queue=4))
        peer.send(messages(3))
        assert peer.transport.reading
        peer.send(messages(3))
        assert not peer.transport.reading
        await puppet.hear()
        await peer.settle()
        assert not peer.transport.reading
        # At half; then the two that were held make it full again.
        await puppet.hear()
        await peer.settle()
        assert not peer.transport.reading
        for _ in range(2):
            await puppet.hear()
        await peer.settle()
        assert peer.transport.reading
        assert [await puppet.hear() for _ in range(2)] == [b"x", b"x"]


def test_reading_stops_at_so_many_bytes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(BINARY, bytes(HIGH_WATER_BYTES - 1)))
        assert peer.transport.reading
        peer.send(messages(1))
        assert not peer.transport.reading
        assert await puppet.hear() == bytes(HIGH_WATER_BYTES - 1)
        await peer.settle()
        assert peer.transport.reading


def test_one_message_at_a_time(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for max_queue in (0, 1):
            puppet, peer = await opened_puppet(bench, websocket_limits=WebSocketLimits(max_queue=max_queue))
            peer.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
            assert not peer.transport.reading
            assert [await puppet.hear() for _ in range(2)] == ["a", "b"]
            await peer.settle()
            assert peer.transport.reading


def test_a_message_that_is_half_there_does_not_stop_reading(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        whole = frame(BINARY, bytes(5 * HIGH_WATER_BYTES))
        for start in range(0, len(whole), 10_000):
            peer.send(whole[start : start + 10_000])
        assert await puppet.hear() == bytes(5 * HIGH_WATER_BYTES)


def test_nothing_is_read_while_input_is_held(bench: Any) -> None:
    """An application that takes all it gets must not make a client's burst grow in memory."""

    @bench
    async def _(bench: Any) -> None:
        limits = WebSocketLimits(max_queue=4)
        puppet, peer = await opened_puppet(bench, websocket_limits=limits)
        peer.send(messages(100))
        for heard in range(1, 101):
            assert await puppet.hear() == b"x"
            if heard < 95:
                assert not peer.transport.reading
        await peer.settle()
        assert peer.transport.reading


def test_an_application_that_never_waits_is_not_fed_for_ever(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        counts = [0]

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] == "websocket.receive":
                counts[-1] += 1
                await send({"type": "websocket.send", "text": "got it"})

        peer = await opened(bench, app)
        peer.send(messages(1000))
        while sum(counts) < 1000:
            counts.append(0)
            await asyncio.sleep(0)
        assert max(counts) <= 32
        assert len(await peer.frames()) == 1000


def test_control_frames_do_not_take_a_turn_for_themselves(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        _puppet, peer = await opened_puppet(bench)
        count = 3 * EVENTS_PER_TURN
        peer.send(frame(PING) * count)
        assert not peer.transport.reading
        taken = 0
        while taken < count:
            answered = len(peer.transport.written) - 1
            assert answered - taken <= EVENTS_PER_TURN
            taken = answered
            await asyncio.sleep(0)
        await peer.settle()
        assert peer.transport.reading
        assert await peer.frames() == [Frame(PONG, b"")] * count


def test_messages_wait_for_a_late_receiver(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        waiting = asyncio.ensure_future(puppet.hear())
        await peer.settle()
        peer.send(frame(TEXT, b"a") + frame(TEXT, b"b"))
        await peer.settle()
        assert waiting.result() == "a"
        assert await puppet.hear() == "b"


# -- writing


async def stuck(peer: Peer, puppet: Puppet) -> asyncio.Future[None]:
    """A send that waits, because the client takes nothing."""
    peer.transport.stuck = True
    sending = asyncio.ensure_future(puppet.say(bytes(HIGH_WATER_BYTES)))
    await peer.settle()
    assert not sending.done()
    return sending


def test_send_waits_for_a_slow_client(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        first = await stuck(peer, puppet)
        second = asyncio.ensure_future(puppet.say("second"))
        await peer.settle()
        assert not second.done()
        assert len(await peer.frames()) == 1
        peer.transport.stuck = False
        peer.transport.drain()
        await first
        await second
        assert await peer.frames() == [Frame(TEXT, b"second")]


def test_sends_that_are_cancelled_do_not_get_past_the_mark(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        for _ in range(10):
            impatient = asyncio.ensure_future(puppet.say(bytes(1000)))
            await peer.settle()
            impatient.cancel()
        assert peer.transport.queued_bytes < HIGH_WATER_BYTES + 1000
        peer.transport.drain()
        await sending


def test_while_the_output_is_stuck_one_ping_is_answered(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        for number in range(10):
            peer.send(frame(PING, b"%d" % number))
        assert [one.opcode for one in await peer.frames()] == [BINARY]
        peer.transport.stuck = False
        peer.transport.drain()
        await sending
        assert await peer.frames() == [Frame(PONG, b"9")]
        peer.send(frame(PING, b"a"))
        assert await peer.frames() == [Frame(PONG, b"a")]


def test_a_client_that_is_lost_while_send_waits(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        peer.transport.lose(ConnectionResetError())
        with pytest.raises(ClientDisconnected):
            await sending
        with pytest.raises(ClientDisconnected):
            await puppet.say("more")
        assert await puppet.hear() == (1006, "")


def test_an_application_that_only_sends_hears_of_a_loss(bench: Any) -> None:
    """connection_lost() needs a turn of the loop, which this application would never give it."""

    @bench
    async def _(bench: Any) -> None:
        sent = 0

        async def app(scope: Any, receive: Any, send: Any) -> None:
            nonlocal sent
            await receive()
            await send({"type": "websocket.accept"})
            await receive()
            peer.transport.lose()
            while True:
                await send({"type": "websocket.send", "text": "x"})
                sent += 1
                assert sent < SENDS_PER_LOOK

        peer = await opened(bench, app)
        peer.send(frame(TEXT, b"begin"))
        await peer.settle()
        assert not bench.state.tasks


def test_pings_of_a_client_that_has_been_told_the_end_are_not_answered(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        peer.send(frame(PING, b"a"))
        await puppet.close()
        with pytest.raises(ClientDisconnected):
            await sending
        peer.send(frame(PING, b"b"))
        peer.transport.drain()
        frames = await peer.frames()
        assert [one.opcode for one in frames] == [BINARY, 8]
        peer.send(close_frame())
        await peer.settle()
        assert peer.transport.lost
