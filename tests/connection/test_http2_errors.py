"""What goes wrong on an HTTP/2 connection, by the application or by the client, and what each is held to."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connection.applications import Held, body, echo, hello, start
from connection.http2_peer import HTTP2Peer, Response
from picocorn.base.errors import ClientDisconnected, LocalProtocolError
from picocorn.base.limits import HTTP1Limits, HTTP2Limits
from picocorn.connection.lingering import UPLOAD_SECONDS
from picocorn.http2.codes import CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM

# -- what goes wrong ------------------------------------------------------------------------------------------------------


def test_an_error_before_the_response_is_a_500(bench: Any, caplog: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            raise ValueError("oops")

        peer = HTTP2Peer(bench, app)
        response = await peer.response(peer.get())
        assert (response.status, response.body, response.ended) == (500, b"Internal Server Error", True)
        assert response.get(b"connection") is None

    assert "ValueError: oops" in caplog.text


def test_an_error_within_the_response_resets_the_stream_alone(bench: Any, caplog: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"part", True))
            if scope["path"] == "/bad":
                raise ValueError("oops")
            await send(body(b" whole"))

        peer = HTTP2Peer(bench, app)
        bad, good = peer.head(b"/bad"), peer.head(b"/good")
        peer.flush()
        await peer.settle()
        assert (peer.streams[bad].error_code, peer.streams[bad].ended) == (INTERNAL_ERROR, False)
        assert peer.streams[good].body == b"part whole"

    assert "ValueError: oops" in caplog.text


@pytest.mark.parametrize(("content", "more"), [(b"1234", False), (b"12", False), (b"1234", True)])
def test_content_that_belies_its_length(bench: Any, content: bytes, more: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        errors = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"content-length", b"3")))
            try:
                await send(body(content, more))
            except LocalProtocolError as error:
                errors.append(str(error))

        peer = HTTP2Peer(bench, app)
        response = await peer.response(peer.get())
        assert response.status == 500
        assert len(errors) == 1


def test_a_reset_is_a_disconnect(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        events: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x", True))
            events.append(await receive())
            events.append(await receive())
            try:
                await send(body(b"y"))
            except ClientDisconnected as error:
                events.append(error)
                raise

        peer = HTTP2Peer(bench, app)
        stream = peer.get()
        await peer.settle()
        peer.reset(stream)
        await peer.settle()
        assert [event["type"] for event in events[:2]] == ["http.request", "http.disconnect"]
        assert len(events) == 3
        assert (await peer.response(peer.get(b"/next"))).status == 200
        peer.transport.abort()
        await bench.settle()


def test_a_request_that_is_reset_at_once_never_runs(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.head()
        peer.conn.reset_stream(stream, CANCEL)
        peer.flush()
        await peer.settle()
        assert not app.calls


def test_an_answer_before_the_request_is_complete_stops_the_upload(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello)
        stream = peer.post(b"x" * 1000, b"/early", end=False)
        response = await peer.response(stream)
        assert (response.status, response.body, response.ended) == (200, b"/early", True)
        # It may end by itself, if it does so soon.
        assert response.error_code is None
        peer.data(stream, b"x" * 1000)
        await peer.advance(UPLOAD_SECONDS + 1)
        assert response.error_code == NO_ERROR


def test_other_connects_are_refused(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello)
        await peer.settle()
        streams = []
        for control in ([], [(b":protocol", b"chat"), (b":scheme", b"http"), (b":path", b"/")]):
            stream = peer.conn.get_next_available_stream_id()
            peer.conn.send_headers(stream, [(b":method", b"CONNECT"), (b":authority", b"a:1"), *control])
            streams.append(stream)
            peer.streams[stream] = Response()
        peer.flush()
        await peer.settle()
        assert [peer.streams[stream].status for stream in streams] == [501, 501]


def test_malformed_requests_end_their_stream_alone(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, hello)
        bad = peer.get(b"no slash")
        good = peer.get(b"/good")
        await peer.settle()
        assert peer.streams[bad].error_code == PROTOCOL_ERROR
        assert peer.streams[good].body == b"/good"


def test_a_broken_connection_ends_with_the_reason(bench: Any, caplog: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        peer.get()
        await peer.settle()
        # DATA on stream 0.
        peer.connection.send(bytes.fromhex("000001000000000000") + b"x")
        await peer.settle()
        assert peer.goaways == [(PROTOCOL_ERROR, 1)]
        assert peer.transport.ended
        with pytest.raises(ClientDisconnected):
            await app.calls[0]["send"](start())

    assert "Invalid HTTP request received." in caplog.text


def test_a_reset_with_the_end_behind_it(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.head(end=False)
        peer.flush()
        await peer.settle()
        waiting = asyncio.ensure_future(app.calls[0]["receive"]())
        await bench.settle()
        peer.conn.reset_stream(stream)
        # DATA on stream 0, in the same read.
        peer.connection.send(peer.conn.data_to_send() + bytes.fromhex("000001000000000000") + b"x")
        assert (await waiting)["type"] == "http.disconnect"


# -- limits ---------------------------------------------------------------------------------------------------------------


def test_content_over_the_limit(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, echo, limits=HTTP1Limits(request_body_bytes=10))
        declared = peer.post(b"", b"/", (b"content-length", b"11"), end=False)
        await peer.settle()
        sent = peer.post(b"x" * 6, end=False)
        await peer.settle()
        peer.data(sent, b"x" * 6)
        fits = peer.post(b"x" * 10)
        await peer.settle()
        assert [peer.streams[stream].status for stream in (declared, sent, fits)] == [413, 413, 200]


def test_more_than_the_server_takes_is_503(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app, limit_concurrency=1)
        first = peer.get(b"/1")
        await peer.settle()
        second = peer.get(b"/2")
        assert (await peer.response(second)).status == 503
        app.gates[0].set()
        assert (await peer.response(first)).status == 200


def test_resets_do_not_make_room_for_more_tasks(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app, http2_limits=HTTP2Limits(max_concurrent_streams=3))
        for _ in range(3):
            stream = peer.get()
            await peer.settle()
            peer.reset(stream)
        await peer.settle()
        assert len(app.calls) == 3
        refused = peer.get(b"/refused")
        assert (await peer.response(refused)).error_code == REFUSED_STREAM
        for gate in app.gates:
            gate.set()
        await peer.settle()
        assert not bench.state.tasks
        stream = peer.get(b"/after")
        await peer.settle()
        app.gates[-1].set()
        assert (await peer.response(stream)).status == 200


def test_one_turn_begins_only_so_many(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        begun = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.append(scope["path"])
            await hello(scope, receive, send)

        peer = HTTP2Peer(bench, app)
        await peer.settle()
        streams = [peer.head(b"/%d" % number) for number in range(100)]
        peer.flush()
        assert bench.state.total_requests == 32
        await peer.settle()
        assert len(begun) == 100
        assert all(peer.streams[stream].ended for stream in streams)
