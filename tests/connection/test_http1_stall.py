"""Clients that take nothing of what waits for them, while the application waits in `send`."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any

import pytest

from connection.applications import body, hello, post, request, start
from connection.websockets import handshake
from picocorn.base.errors import ClientDisconnected
from picocorn.base.limits import HIGH_WATER_BYTES, WebSocketLimits
from picocorn.connection.lingering import LINGER_SECONDS, STALL_LOOK_SECONDS, STALLED_SECONDS

#: Deadlines are coarse: never early, and late by less than this.
LATE_SECONDS = 0.75
#: A client is given up so long after it has taken something at the latest: the first look finds out what there is.
LATEST_SECONDS = STALLED_SECONDS + STALL_LOOK_SECONDS + 5 * LATE_SECONDS


class Streaming:
    """Sends without end, as long as it is let, and keeps what becomes of it."""

    def __init__(self, last: bool = False) -> None:
        self.last = last
        self.sent = 0
        self.errors: list[BaseException] = []
        self.events: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        try:
            while True:
                await send(body(b"x" * HIGH_WATER_BYTES * 2, not self.last))
                self.sent += 1
                if self.last:
                    return
        except OSError as error:
            self.errors.append(error)
            self.events.append(await receive())
            raise


async def stuck(bench: Any, app: Any, data: bytes = request(), **options: Any) -> Any:
    """A connection whose client has asked, and takes nothing."""
    connection = bench.connect(app, **options)
    connection.transport.stuck = True
    connection.send(data)
    await bench.settle()
    assert connection.transport.paused_writing
    return connection


def is_reset(sock: socket.socket) -> bool:
    """Whether a close of it would be a TCP RST."""
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == struct.pack("ii", 1, 0)


@pytest.mark.parametrize("tls", [False, True])
def test_who_takes_nothing_is_given_up(bench: Any, tls: bool, caplog: pytest.LogCaptureFixture) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Streaming()
        connection = await stuck(bench, app, post(b"", length=1), tls=tls)
        await bench.advance(STALLED_SECONDS)
        assert not connection.transport.closing
        await bench.advance(LATEST_SECONDS - STALLED_SECONDS)
        assert connection.transport.aborted
        assert [type(error) for error in app.errors] == [ClientDisconnected]
        assert app.events == [{"type": "http.disconnect"}]
        assert not bench.state.tasks

    # As for any client that leaves.
    assert caplog.messages == []


@pytest.mark.parametrize("again", [b"x", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"], ids=["content", "requests"])
def test_nor_is_it_kept_by_what_it_sends(bench: Any, again: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        data = post(b"", length=100_000) if again == b"x" else request()
        connection = await stuck(bench, Streaming(), data, request_body_seconds=5)
        passed_seconds = 0.0
        while passed_seconds < LATEST_SECONDS:
            connection.send(again)
            await bench.advance(1.0)
            passed_seconds += 1.0
        assert connection.transport.aborted


def test_a_client_that_moves_is_never_cut(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Streaming()
        connection = await stuck(bench, app, keep_alive_seconds=1, request_body_seconds=1)
        for _ in range(20):
            connection.transport.drain(connection.transport.queued_bytes - 1)
            await bench.advance(STALLED_SECONDS - LATE_SECONDS)
        assert app.sent == 0
        assert not connection.transport.closing
        # And once it has taken enough, its time begins anew.
        for count in range(1, 4):
            connection.transport.drain()
            await bench.settle()
            assert app.sent == count
            await bench.advance(STALLED_SECONDS - LATE_SECONDS)
        assert not connection.transport.closing
        await bench.advance(LATEST_SECONDS)
        assert connection.transport.aborted


def test_output_that_looks_like_the_output_before_it_is_not_the_same(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = await stuck(bench, Streaming())
        for _ in range(10):
            await bench.advance(STALLED_SECONDS - 2 * LATE_SECONDS)
            # Exactly so much waits again.
            connection.transport.drain()
            await bench.settle()
            assert connection.transport.paused_writing
            assert not connection.transport.closing


def test_what_the_kernel_gets_rid_of_counts(bench: Any) -> None:
    """Megabytes may stand there: on a slow line nothing changes for minutes as the transport sees it."""

    @bench
    async def _(bench: Any) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            for _ in range(10):
                ours.send(bytes(1000))
            connection = await stuck(bench, Streaming(), info={"socket": ours})
            for _ in range(10):
                await bench.advance(STALLED_SECONDS - LATE_SECONDS)
                theirs.recv(1000)
                assert not connection.transport.closing
            await bench.advance(LATEST_SECONDS)
            assert connection.transport.aborted


def test_a_response_that_was_cut_does_not_pass_for_a_whole_one(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for app in (Streaming(), Streaming(last=True)):
            ours, theirs = socket.socketpair()
            with ours, theirs:
                # Of HTTP/1.0: the close is the end.
                connection = await stuck(bench, app, request(version=b"1.0"), info={"socket": ours})
                assert not is_reset(ours)
                await bench.advance(LATEST_SECONDS + LINGER_SECONDS)
                assert connection.transport.aborted
                assert is_reset(ours)


def test_idle_time_begins_when_the_client_has_the_answer(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = await stuck(bench, Streaming(last=True), keep_alive_seconds=5)
        await bench.advance(STALL_LOOK_SECONDS * 2)
        connection.transport.drain(1)
        await bench.advance(1)
        connection.transport.stuck = False
        connection.transport.drain()
        await bench.advance(3)
        assert not connection.transport.closing
        await bench.advance(2 + 2 * LATE_SECONDS)
        assert connection.transport.closing
        assert not connection.transport.aborted


def test_who_takes_nothing_of_a_complete_answer_is_given_up(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Streaming(last=True)
        connection = await stuck(bench, app, request() * 2)
        await bench.advance(STALLED_SECONDS)
        assert not connection.transport.closing
        await bench.advance(LATEST_SECONDS - STALLED_SECONDS)
        assert connection.transport.aborted
        assert app.sent == 1


def test_the_body_deadline_goes_on_where_the_client_takes_again(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 2, True))
            while (event := await receive())["type"] != "http.disconnect":
                events.append(event)
            events.append(event)

        events: list[Any] = []
        connection = await stuck(bench, app, post(b"", length=10), request_body_seconds=5)
        await bench.advance(20)
        assert not connection.transport.closing
        connection.transport.stuck = False
        connection.transport.drain()
        await bench.advance(5)
        assert not connection.transport.closing
        await bench.advance(LATE_SECONDS)
        assert connection.transport.aborted
        assert events == [{"type": "http.disconnect"}]


# -- meanwhile


def test_graceful_shutdown_meanwhile(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Streaming()
        connection = await stuck(bench, app)
        await bench.advance(STALLED_SECONDS / 2)
        connection.protocol.shutdown()
        await bench.advance(STALLED_SECONDS / 2)
        assert not connection.transport.closing
        await bench.advance(LATEST_SECONDS - STALLED_SECONDS)
        assert connection.transport.aborted
        assert [type(error) for error in app.errors] == [ClientDisconnected]


@pytest.mark.parametrize("how", ["reset", "disconnect"])
def test_an_end_meanwhile(bench: Any, how: str) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Streaming()
        connection = await stuck(bench, app)
        await bench.advance(STALLED_SECONDS / 2)
        if how == "reset":
            connection.transport.lose(ConnectionResetError())
        else:
            connection.protocol.disconnect()
        await bench.settle()
        assert [type(error) for error in app.errors] == [ClientDisconnected]
        # Nobody looks after it any more.
        connection.transport.aborted = False
        await bench.advance(LATEST_SECONDS)
        assert not connection.transport.aborted


@pytest.mark.parametrize("raises", [True, False])
def test_an_application_that_gives_up_meanwhile(bench: Any, raises: bool, caplog: pytest.LogCaptureFixture) -> None:
    @bench
    async def _(bench: Any) -> None:
        gone = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            sending = asyncio.ensure_future(send(body(b"x" * HIGH_WATER_BYTES * 2, True)))
            await gone.wait()
            sending.cancel()
            if raises:
                raise RuntimeError("no patience")

        connection = await stuck(bench, app)
        await bench.advance(STALLED_SECONDS / 2)
        gone.set()
        await bench.settle()
        assert connection.transport.aborted
        connection.transport.aborted = False
        await bench.advance(LATEST_SECONDS)
        assert not connection.transport.aborted

    assert len(caplog.messages) == 1


def test_an_application_that_ends_its_answer_meanwhile(bench: Any) -> None:
    """The bound goes on from where it was, whoever is waiting for it to pass."""

    @bench
    async def _(bench: Any) -> None:
        app = Streaming(last=True)
        connection = await stuck(bench, app, request(b"/", b"Connection: close"))
        await bench.advance(STALLED_SECONDS)
        assert not connection.transport.aborted
        await bench.advance(LATEST_SECONDS - STALLED_SECONDS + LINGER_SECONDS)
        assert connection.transport.aborted
        assert not bench.state.tasks


# -- WebSockets


def test_an_upgrade_afterwards(bench: Any) -> None:
    """A WebSocket has a rule of its own, which may be switched off."""

    @bench
    async def _(bench: Any) -> None:
        messages: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                await Streaming(last=True)(scope, receive, send)
                return
            await receive()
            await send({"type": "websocket.accept"})
            sending = asyncio.ensure_future(send({"type": "websocket.send", "bytes": bytes(HIGH_WATER_BYTES * 2)}))
            messages.append(await receive())
            with pytest.raises(ClientDisconnected):
                await sending

        limits = WebSocketLimits(ping_interval_seconds=0)
        connection = await stuck(bench, app, websocket=True, websocket_limits=limits)
        await bench.advance(STALLED_SECONDS / 2)
        connection.send(handshake(b"/"))
        await bench.settle()
        connection.transport.drain()
        assert b"HTTP/1.1 101 " in await connection.answer()
        assert connection.transport.paused_writing
        await bench.advance(2 * LATEST_SECONDS)
        assert not connection.transport.closing
        connection.transport.lose()
        await bench.settle()
        assert [message["code"] for message in messages] == [1006]


def denial(last: bool) -> Callable[..., Any]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        while True:
            await send({"type": "websocket.http.response.body", "body": bytes(HIGH_WATER_BYTES * 2), "more_body": not last})
            if last:
                break

    return app


@pytest.mark.parametrize("last", [False, True])
def test_who_takes_nothing_of_a_denial_is_given_up(bench: Any, last: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = await stuck(bench, denial(last), handshake(b"/"), websocket=True)
        await bench.advance(STALLED_SECONDS)
        assert not connection.transport.aborted
        await bench.advance(LATEST_SECONDS - STALLED_SECONDS + LINGER_SECONDS)
        assert connection.transport.aborted
        assert not bench.state.tasks


def test_a_client_that_takes_its_answers_is_not_looked_at(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, keep_alive_seconds=1000)
        asked = []
        connection.transport.get_write_buffer_size = lambda: asked.append(1) or 0
        for _ in range(10):
            connection.send(request())
            await bench.advance(STALL_LOOK_SECONDS)
        assert not asked
