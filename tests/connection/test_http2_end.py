"""How HTTP/2 connections end: by the server, by the client, by the clock. On both bodies."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from connection.applications import Held, Reader, body, hello, start
from connection.http2_peer import HTTP2Peer
from e2e.http2_frames import request
from picocorn.base.errors import ClientDisconnected, HTTP2Error
from picocorn.base.limits import HTTP2Limits
from picocorn.connection.lingering import LINGER_SECONDS, STALLED_SECONDS
from picocorn.http2.codes import CANCEL, MAX_STREAM_ID, NO_ERROR

#: Deadlines are coarse: never early, and late by less than this.
LATE_SECONDS = 0.75


# -- the server ends ------------------------------------------------------------------------------------------------------


def test_the_server_ends_in_two_steps(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        first = peer.get(b"/1")
        await peer.settle()
        peer.connection.protocol.wind_down()
        await peer.settle()
        assert peer.goaways == [(NO_ERROR, MAX_STREAM_ID)]
        # It was on its way when the client heard.
        second = peer.get(b"/2")
        await peer.settle()
        peer.connection.protocol.shutdown()
        await peer.settle()
        assert peer.goaways[1:] == [(NO_ERROR, second)]
        peer.get(b"/late")
        await peer.settle()
        assert app.paths() == ["/1", "/2"]
        for gate in app.gates:
            gate.set()
        await peer.settle()
        assert [peer.streams[stream].body for stream in (first, second)] == [b"/1", b"/2"]
        assert peer.transport.ended
        assert peer.transport.reading
        await bench.advance(LINGER_SECONDS + LATE_SECONDS)
        assert peer.transport.lost


def test_the_second_step_comes_by_itself(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.get(b"/1")
        await peer.settle()
        peer.connection.protocol.wind_down()
        await peer.advance(2)
        assert peer.goaways == [(NO_ERROR, MAX_STREAM_ID), (NO_ERROR, stream)]
        app.gates[0].set()
        assert (await peer.response(stream)).body == b"/1"
        assert peer.transport.ended


def test_who_connects_while_the_server_ends_is_told_at_once(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.winding_down = True
        peer = HTTP2Peer(bench, hello)
        assert (await peer.response(peer.get(b"/1"))).body == b"/1"
        assert peer.goaways == [(NO_ERROR, MAX_STREAM_ID)]
        await peer.advance(2)
        assert peer.goaways[1:] == [(NO_ERROR, 1)]
        assert peer.transport.closing or peer.transport.ended


def test_an_idle_connection_ends_at_once(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello)
        await peer.response(peer.get())
        peer.connection.protocol.shutdown()
        await peer.settle()
        assert peer.goaways == [(NO_ERROR, 1)]
        assert peer.transport.lost


def test_disconnect_does_not_wait(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        peer.get()
        await peer.settle()
        peer.connection.protocol.disconnect()
        assert peer.transport.aborted
        with pytest.raises(ClientDisconnected):
            await app.calls[0]["send"](start())


# -- the client ends ------------------------------------------------------------------------------------------------------


def test_a_client_that_leaves_gets_what_it_has_asked_for(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.get(b"/asked")
        await peer.settle()
        # GOAWAY, NO_ERROR.
        peer.connection.send(bytes.fromhex("0000080700000000000000000000000000"))
        await peer.settle()
        assert not peer.transport.ended
        app.gates[0].set()
        assert (await peer.response(stream)).body == b"/asked"
        assert peer.transport.ended


def test_a_client_that_closes_its_side_is_gone(bench: Any) -> None:
    """Without windows nothing large could reach it, and a close looks the same."""

    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        peer.get(b"/asked")
        await peer.settle()
        assert not peer.connection.half_close()
        assert (await app.calls[0]["receive"]())["type"] == "http.request"
        assert (await app.calls[0]["receive"]())["type"] == "http.disconnect"
        with pytest.raises(ClientDisconnected):
            await app.calls[0]["send"](start())
        await bench.settle()
        assert peer.transport.lost


def test_an_idle_connection_that_is_closed_is_closed(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello)
        await peer.response(peer.get())
        peer.connection.half_close()
        await bench.settle()
        assert peer.transport.lost


def test_a_lost_connection_disconnects_all(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        for _ in range(3):
            peer.get()
        await peer.settle()
        for call in app.calls:
            await call["receive"]()
        waiting = [asyncio.ensure_future(call["receive"]()) for call in app.calls]
        peer.transport.lose(ConnectionResetError())
        assert [event["type"] for event in await asyncio.gather(*waiting)] == ["http.disconnect"] * 3


@pytest.mark.parametrize("how", ["lost", "reset and lost", "broken and lost", "disconnected"])
def test_a_task_that_goes_on_keeps_no_session(bench: Any, how: str) -> None:
    """It may for hours, and what a session holds is tens of kilobytes. What it is told is what it was told before."""

    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.head(b"/1", method=b"POST", end=False)
        peer.data(stream, b"x" * 5000)
        await peer.settle()
        kept = sessions()
        if how == "reset and lost":
            peer.reset(stream)
            await peer.settle()
        if how == "broken and lost":
            # PING on a stream.
            peer.connection.send(bytes.fromhex("000008060000000001") + bytes(8))
        if how == "disconnected":
            peer.connection.protocol.disconnect()
        peer.transport.lose()
        await bench.settle()
        assert len(bench.state.tasks) == 1
        assert sessions() == kept - 1
        receive, send = app.calls[0]["receive"], app.calls[0]["send"]
        assert (await receive())["type"] == "http.disconnect"
        with pytest.raises(ClientDisconnected):
            await send(start())
        app.gates[0].set()
        await bench.settle()
        assert [type(error) for error in app.errors] == [ClientDisconnected]
        assert not bench.state.tasks


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
def test_a_response_goes_on_when_its_connection_is_lost(bench: Any, method: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        gate = asyncio.Event()
        errors: list[BaseException] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * 1000, True))
            await gate.wait()
            for message in (body(b"y", True), body(b"z")):
                try:
                    await send(message)
                except ClientDisconnected as error:
                    errors.append(error)

        app.gates = [gate]  # type: ignore[attr-defined]
        peer = HTTP2Peer(bench, app)
        peer.get(method=method)
        await peer.settle()
        kept = sessions()
        peer.transport.lose()
        await bench.settle()
        assert sessions() == kept - 1
        gate.set()
        await bench.settle()
        assert len(errors) == 2


def sessions() -> int:
    gc.collect()
    return sum(type(one).__name__ in ("H2Engine", "NGHTTP2Engine") for one in gc.get_objects())


def test_the_error_of_a_connection_is_gone_with_it(bench: Any) -> None:
    """Without a collector: it would know its traceback, the traceback the frame, and the frame the error."""

    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello)
        await peer.settle()
        gc.collect()
        gc.disable()
        try:
            # PING on a stream.
            peer.connection.send(bytes.fromhex("000008060000000001") + bytes(8))
            await peer.settle()
            assert peer.transport.ended
            assert not [one for one in gc.get_objects() if isinstance(one, HTTP2Error)]
        finally:
            gc.enable()


# -- the clock ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks", [True, False])
def test_a_connection_without_requests_is_closed(bench: Any, asks: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello, keep_alive_seconds=5.0, request_header_seconds=10.0)
        if asks:
            await peer.response(peer.get())
        seconds = 5 if asks else 10
        await peer.advance(seconds - 1)
        peer.conn.ping(b"12345678")
        peer.flush()
        await peer.settle()
        assert peer.pings == 1
        assert not peer.transport.closing
        # A ping is no request.
        await peer.advance(1 + LATE_SECONDS)
        assert peer.goaways == [(NO_ERROR, 1 if asks else 0)]
        assert peer.transport.lost


def test_each_request_gives_more_time(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello, keep_alive_seconds=5.0)
        for _ in range(4):
            assert (await peer.response(peer.get())).status == 200
            await peer.advance(4)
            assert not peer.transport.closing


def test_no_keep_alive_at_all(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello, keep_alive_seconds=0)
        assert (await peer.response(peer.get())).status == 200
        assert peer.goaways == [(NO_ERROR, 1)]
        assert peer.transport.ended


def test_a_request_may_run_as_long_as_it_likes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.get()
        await peer.settle()
        await peer.advance(600)
        app.gates[0].set()
        assert (await peer.response(stream)).status == 200


@pytest.mark.parametrize("answered", [True, False])
def test_content_that_does_not_come(bench: Any, answered: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        events = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if answered:
                await send(start())
                await send(body(b"x", True))
            while not events or events[-1]["type"] != "http.disconnect":
                events.append(await receive())

        peer = HTTP2Peer(bench, app, request_body_seconds=20.0)
        stream = peer.post(b"abc", end=False)
        await peer.advance(15)
        peer.data(stream, b"def")
        await peer.advance(15)
        assert len(events) == 2
        await peer.advance(5 + LATE_SECONDS)
        assert events[-1] == {"type": "http.disconnect"}
        response = peer.streams[stream]
        assert (response.status, response.error_code) == ((200, CANCEL) if answered else (408, None))
        assert not peer.transport.closing


def test_content_that_nobody_wants_may_take_its_time(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        peer = HTTP2Peer(bench, app, request_body_seconds=20.0)
        stream = peer.post(b"abc", end=False)
        await peer.advance(60)
        app.read()
        await peer.settle()
        peer.data(stream, b"def", True)
        app.read()
        assert (await peer.response(stream)).body == b"read"


async def large(scope: Any, receive: Any, send: Any) -> None:
    await send(start())
    for _ in range(20):
        await send(body(b"x" * 65536, True))
    await send(body())


def test_a_client_without_window_is_given_up(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, large)
        peer.takes = False
        stuck = peer.get()
        await peer.settle()
        await peer.advance(STALLED_SECONDS * 0.8)
        assert peer.streams[stuck].error_code is None
        await peer.advance(STALLED_SECONDS * 0.6)
        assert peer.streams[stuck].error_code == CANCEL
        assert not bench.state.tasks


def test_a_slow_client_is_not(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, large)
        peer.takes = False
        stream = peer.get()
        await peer.settle()
        for _ in range(12):
            peer.conn.acknowledge_received_data(16384, stream)
            peer.flush()
            await peer.advance(STALLED_SECONDS * 0.4)
            assert peer.streams[stream].error_code is None
        peer.transport.abort()
        await bench.settle()


def test_a_client_that_takes_nothing_from_the_socket_is_given_up(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, large, settings={4: 2**31 - 1})
        peer.conn.increment_flow_control_window(2**30)
        peer.transport.stuck = True
        peer.get()
        await bench.advance(STALLED_SECONDS * 0.8)
        assert not peer.transport.aborted
        await bench.advance(STALLED_SECONDS * 0.6)
        assert peer.transport.aborted
        assert not bench.state.tasks


def test_a_client_that_takes_nothing_is_not_asked_for_more_and_more(bench: Any) -> None:
    """Each request is answered by the session itself, in frames that no window holds back."""

    @bench
    async def _(bench: Any) -> None:
        window_bytes = 65535
        limits = HTTP2Limits(connection_window_bytes=window_bytes)
        peer = HTTP2Peer(bench, large, settings={4: 2**31 - 1}, http2_limits=limits)
        peer.conn.increment_flow_control_window(2**30)
        peer.transport.stuck = True
        peer.get()
        await bench.settle()
        assert peer.transport.reading
        sent_bytes = 0
        for first in range(3, 20000, 200):
            many = b"".join(request(number, b"/", (b"expect", b"nothing")) for number in range(first, first + 200, 2))
            peer.connection.send(many)
            sent_bytes += len(many)
            if not peer.transport.reading:
                break
        # A client may take nothing before it has sent all that it may.
        assert window_bytes < sent_bytes < 4 * window_bytes
        peer.transport.stuck = False
        peer.transport.drain()
        await bench.settle()
        assert peer.transport.reading


def test_nothing_is_left_of_many_requests(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello, http2_limits=HTTP2Limits(max_concurrent_streams=8))
        for _ in range(50):
            streams = [peer.head() for _ in range(8)]
            peer.flush()
            await peer.settle()
            assert all(peer.streams[stream].ended for stream in streams)
        protocol = peer.connection.protocol
        assert not protocol.streams
        assert not protocol.abandoned_tasks
        assert protocol.session.open_streams() == 0
        assert protocol.session.total_queued_bytes() == 0
