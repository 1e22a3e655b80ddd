"""The ways in which a WebSocket ends: close handshakes from both sides, failures, silence, losses, the end of the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connection.test_websocket_flow import messages, stuck
from connection.websockets import Peer, Puppet, echo, opened, opened_puppet
from e2e.websocket_frames import BINARY, CLOSE, PING, TEXT, Frame, close_frame, frame, handshake
from picocorn.base.errors import ClientDisconnected, LocalProtocolError
from picocorn.base.limits import HIGH_WATER_BYTES, WebSocketLimits
from picocorn.connection.lingering import LINGER_BYTES, LINGER_SECONDS

#: Deadlines are coarse: never early, and late by less than this.
LATE_SECONDS = 0.75
CLOSE_SECONDS = WebSocketLimits().close_timeout_seconds
PING_SECONDS = WebSocketLimits().ping_interval_seconds
SILENCE_SECONDS = WebSocketLimits().ping_timeout_seconds


def closing(code: int, reason: str = "") -> Frame:
    return Frame(CLOSE, code.to_bytes(2, "big") + reason.encode())


async def is_over(puppet: Puppet, code: int, reason: str = "") -> None:
    """The application is told so, again and again, and can send nothing more."""
    for _ in range(2):
        assert await puppet.hear() == (code, reason)
    for message in ({"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}):
        with pytest.raises(ClientDisconnected):
            await puppet.send(message)


# -- closed by the client


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going"), (3000, "ü" * 61), (4999, "x" * 123)])
def test_close_by_the_client_is_answered_and_tcp_ends_first_here(bench: Any, code: int, reason: str) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(TEXT, b"last"), close_frame(code, reason))
        assert await puppet.hear() == "last"
        assert await peer.frames() == [closing(code, reason)]
        assert peer.transport.lost
        assert not peer.transport.aborted
        await is_over(puppet, code, reason)


def test_close_without_a_code(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(close_frame(None))
        assert await peer.frames() == [Frame(CLOSE, b"")]
        await is_over(puppet, 1005)


def test_messages_before_the_close_are_heard_even_late(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(TEXT, b"a") + frame(TEXT, b"b") + close_frame(4000))
        assert await peer.frames() == [closing(4000)]
        assert peer.transport.lost
        assert [await puppet.hear() for _ in range(2)] == ["a", "b"]
        await is_over(puppet, 4000)


def test_what_comes_before_the_close_is_answered_through_queues_of_a_framework(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            queue: asyncio.Queue[Any] = asyncio.Queue()

            async def take() -> None:
                while True:
                    await queue.put(await asyncio.create_task(receive()))

            taking = asyncio.ensure_future(take())
            await queue.get()
            await send({"type": "websocket.accept"})
            while (event := await queue.get())["type"] == "websocket.receive":
                await send({**event, "type": "websocket.send"})
            taking.cancel()

        peer = await opened(bench, app)
        peer.send(messages(5) + close_frame())
        got = await peer.frames() + await peer.frames()
        assert got[-1] == closing(1000)
        assert len(got) >= 5
        assert got[:-1] == [Frame(BINARY, b"x")] * (len(got) - 1)


def test_close_that_is_held_behind_messages(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(messages(100) + close_frame(4000, "bye"))
        assert not peer.transport.reading
        assert [await puppet.hear() for _ in range(100)] == [b"x"] * 100
        assert await peer.frames() == [closing(4000, "bye")]
        await is_over(puppet, 4000, "bye")


def test_a_client_that_resets_behind_its_close_has_closed(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(TEXT, b"a") + close_frame(4000, "bye"))
        # The application is still to take what came before, so the close is not answered yet.
        peer.transport.lose(ConnectionResetError())
        await peer.settle()
        assert await puppet.hear() == "a"
        await is_over(puppet, 4000, "bye")


# -- closed by the application


def test_close_by_the_application(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        await puppet.close(code=4001, reason="enough")
        assert await peer.frames() == [closing(4001, "enough")]
        await is_over(puppet, 4001, "enough")
        assert not peer.transport.closing
        # What was on its way is dropped, however much it is.
        for data in (messages(1000), frame(PING), frame(BINARY, bytes(3 * HIGH_WATER_BYTES)), close_frame(4001)):
            peer.send(data)
            await peer.settle()
        assert await peer.frames() == []
        assert peer.transport.lost
        assert not peer.transport.aborted


def test_close_that_may_not_be_sent(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        for code in (999, 1005, 1006, 1015, 5000):
            with pytest.raises(LocalProtocolError):
                await puppet.close(code=code)
        await puppet.say("still here")
        assert await peer.frames() == [Frame(TEXT, b"still here")]


def test_close_while_messages_are_held_finds_the_close_of_the_client(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(messages(100) + close_frame(4000))
        assert not peer.transport.reading
        await puppet.close()
        assert await peer.frames() == [closing(1000)]
        assert peer.transport.ended
        # First what was queued already, as ever.
        assert [await puppet.hear() for _ in range(32)] == [b"x"] * 32
        await is_over(puppet, 1000)


def test_a_client_that_does_not_answer_the_close(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        await puppet.close()
        await bench.advance(CLOSE_SECONDS - LATE_SECONDS)
        peer.send(messages(3), frame(PING))
        assert not peer.transport.ended
        await bench.advance(2 * LATE_SECONDS)
        assert peer.transport.ended
        assert not peer.transport.closing
        # It may still notice, but not for ever.
        peer.send(close_frame())
        await bench.advance(LINGER_SECONDS + LATE_SECONDS)
        assert peer.transport.aborted


def test_a_client_that_closes_tcp_in_place_of_an_answer(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for how in ("half-close", "loss"):
            puppet, peer = await opened_puppet(bench)
            await puppet.close(code=4001)
            if how == "half-close":
                assert not peer.connection.half_close()
            else:
                peer.transport.lose(ConnectionResetError())
            await peer.settle()
            assert peer.transport.lost
            await is_over(puppet, 4001)


def test_an_application_that_returns_closes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        puppet.gate.set()
        assert await peer.frames() == [closing(1000)]
        peer.send(close_frame())
        await peer.settle()
        assert peer.transport.lost


def test_an_application_that_raises(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        puppet.raises = ValueError("as asked")
        puppet.gate.set()
        assert await peer.frames() == [closing(1011)]
        peer.send(close_frame())
        await peer.settle()
        assert peer.transport.lost

    assert caplog.messages == ["Exception in ASGI application\n"]


def test_an_application_that_is_cancelled(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        _puppet, peer = await opened_puppet(bench)
        for task in bench.state.tasks:
            task.cancel()
        assert await peer.frames() == [closing(1012)]


# -- failed


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"x", mask=None), 1002),
        (frame(TEXT, b"x", reserved=4), 1002),
        (frame(3), 1002),
        (frame(TEXT, b"\xff"), 1007),
        (frame(BINARY, length=1001), 1009),
        (frame(CLOSE, b"x"), 1002),
    ],
)
def test_failures(bench: Any, data: bytes, code: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench, websocket_limits=WebSocketLimits(max_size_bytes=1000))
        peer.send(frame(TEXT, b"right") + data)
        assert await puppet.hear() == "right"
        got = await peer.frames()
        assert [one.close_code for one in got] == [code]
        assert got[0].close_reason
        # In stages: a reset must not overtake the close frame.
        assert peer.transport.ended
        assert not peer.transport.closing
        await is_over(puppet, code, got[0].close_reason)
        for _ in range(LINGER_BYTES // 1_000_000 + 1):
            peer.send(bytes(1_000_000))
        assert peer.transport.aborted


@pytest.mark.parametrize("before", [0, 100])
def test_failure_for_lack_of_memory(
    bench: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, before: int
) -> None:
    """Of this message, maybe not of others: found in a read, or in a turn of the loop's own, which must not fail."""

    def none_left(*_: Any) -> Any:
        raise MemoryError

    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench, b"Sec-WebSocket-Extensions: permessage-deflate")
        monkeypatch.setattr("picocorn.websocket.deflate.zlib.decompressobj", none_left)
        peer.send(messages(before) + frame(BINARY, b"x", reserved=4) + messages(1))
        assert [await puppet.hear() for _ in range(before)] == [b"x"] * before
        got = await peer.frames()
        assert [one.close_code for one in got] == [1009]
        assert peer.transport.ended
        await is_over(puppet, 1009, got[0].close_reason)

    assert caplog.messages == ["Out of memory for a message of a WebSocket."]


def test_failure_after_our_close(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        await puppet.close()
        peer.send(frame(3))
        assert await peer.frames() == [closing(1000)]
        assert peer.transport.ended


def test_failure_behind_held_messages(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(messages(50) + frame(3))
        assert [await puppet.hear() for _ in range(50)] == [b"x"] * 50
        assert [one.close_code for one in await peer.frames()] == [1002]


# -- lost


@pytest.mark.parametrize("how", ["half-close", "reset", "close"])
def test_lost_without_a_close(bench: Any, how: str) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(TEXT, b"last") + frame(TEXT, b"half a mes")[:-3])
        if how == "half-close":
            peer.connection.half_close()
        else:
            peer.transport.lose(ConnectionResetError() if how == "reset" else None)
        assert await puppet.hear() == "last"
        await is_over(puppet, 1006)
        await peer.settle()
        assert peer.transport.lost
        assert await peer.frames() == []


def test_half_close_is_heard_behind_the_messages(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        # The rest of what came with the handshake is more than the queue holds when the end comes.
        peer = Peer(bench.connect(echo, websocket=True))
        peer.send(handshake(b"/"))
        await peer.head()
        peer.send(messages(100))
        assert not peer.transport.reading
        assert peer.connection.half_close()
        assert await peer.frames() + await peer.frames() + await peer.frames() == [Frame(BINARY, b"x")] * 100
        assert peer.transport.lost


def test_half_close_before_its_turn_comes_to_what_was_sent_before(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet = Puppet()
        peer = Peer(bench.connect(puppet, websocket=True))
        peer.send(handshake(b"/") + frame(TEXT, b"early") + close_frame(4000, "done"))
        await peer.settle()
        await puppet.accept()
        # The loop has had no turn since: what came with the handshake has not been looked at.
        peer.connection.half_close()
        assert await puppet.hear() == "early"
        await is_over(puppet, 4000, "done")


def test_half_close_over_tls(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench, tls=True)
        assert not peer.connection.half_close()
        await is_over(puppet, 1006)


# -- the end of the server


def test_shutdown(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.protocol.shutdown()
        peer.protocol.shutdown()
        assert await peer.frames() == [closing(1012)]
        await is_over(puppet, 1012)
        peer.send(messages(3), close_frame(1012))
        await peer.settle()
        assert peer.transport.lost
        # Its application has not ended, and is waited for.
        assert bench.state.tasks


def test_shutdown_wakes_who_waits_to_send(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        peer.protocol.shutdown()
        with pytest.raises(ClientDisconnected):
            await sending
        await is_over(puppet, 1012)
        # The client reads on, and finds everything.
        peer.transport.stuck = False
        peer.transport.drain()
        assert await peer.frames() == [Frame(BINARY, bytes(HIGH_WATER_BYTES)), closing(1012)]


def test_shutdown_of_a_client_that_never_reads(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        peer.protocol.shutdown()
        with pytest.raises(ClientDisconnected):
            await sending
        await bench.advance(CLOSE_SECONDS + LATE_SECONDS)
        assert peer.transport.ended
        assert not peer.transport.lost
        peer.protocol.disconnect()
        assert peer.transport.aborted
        await is_over(puppet, 1012)


def test_shutdown_after_a_close(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        await puppet.close(code=4000)
        peer.protocol.shutdown()
        assert await peer.frames() == [closing(4000)]
        await is_over(puppet, 4000)
        peer.send(close_frame())
        await peer.settle()
        assert peer.transport.lost


def test_shutdown_with_the_close_of_the_client_half_done(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        peer.send(frame(TEXT, b"a") + close_frame(4000))
        peer.protocol.shutdown()
        assert await peer.frames() == [closing(1012)]
        assert peer.transport.lost
        assert await puppet.hear() == "a"
        await is_over(puppet, 1012)


def test_disconnect(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        sending = await stuck(peer, puppet)
        peer.protocol.disconnect()
        peer.protocol.disconnect()
        assert peer.transport.aborted
        with pytest.raises(ClientDisconnected):
            await sending
        await is_over(puppet, 1006)


def test_disconnect_after_the_loss(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        puppet, peer = await opened_puppet(bench)
        protocol = peer.protocol
        peer.transport.lose()
        await peer.settle()
        protocol.shutdown()
        protocol.disconnect()
        await is_over(puppet, 1006)
