"""Requests over HTTP/2: from the preface to the last frame of the response, on both bodies."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import Any

import pytest

from connection.applications import Held, body, echo, hello, request, start
from connection.http2_peer import HTTP2Peer, context_of
from e2e import http2_frames
from picocorn.base.limits import HTTP2Limits
from picocorn.connection.lingering import LINGER_SECONDS
from picocorn.http2.codes import CONNECTION_PREFACE

TE = (b"te", b"trailers")


# -- the beginning --------------------------------------------------------------------------------------------------------


def test_a_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.default_headers = [(b"Server", b"picocorn")]
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.get(b"/a%20b?x=1", (b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2"))
        await peer.settle()
        app.gates[0].set()
        response = await peer.response(stream)
        scope = app.calls[0]["scope"]
        assert (scope["type"], scope["http_version"], scope["scheme"], scope["method"]) == ("http", "2", "http", "GET")
        assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/a b", b"/a%20b", b"x=1")
        assert scope["headers"] == [(b"host", b"a"), (b"cookie", b"a=1; b=2"), (b"accept", b"*/*")]
        assert (scope["client"], scope["server"]) == (("10.0.0.1", 4242), ("127.0.0.1", 8000))
        assert (response.status, response.body, response.ended) == (200, b"/a b", True)
        assert response.headers == [(b"server", b"picocorn")]
        assert bench.state.total_requests == 1


def test_the_preface_may_come_in_pieces(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        for size in (1, 15, 16, 23, 24):
            connection = bench.connect(hello, context=context_of(bench, hello))
            data = CONNECTION_PREFACE + bytes.fromhex("000000040000000000")
            for at in range(0, len(data), size):
                connection.send(data[at : at + size])
            # Our SETTINGS, and the acknowledgement of theirs.
            written = await connection.answer()
            assert written[3:5] == b"\x04\x00", size
            assert written.endswith(bytes.fromhex("000000040100000000")), size
            assert not connection.transport.closing


def test_an_application_that_begins_with_the_preface_handles_no_error(bench: Any) -> None:
    """Where tasks start at once, it runs inside of what has made this connection one of HTTP/2: what was refused as HTTP/1."""
    handled: list[BaseException | None] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        handled.append(sys.exception())
        await hello(scope, receive, send)

    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(app, context=context_of(bench, app))
        connection.send(CONNECTION_PREFACE + bytes.fromhex("000000040000000000") + http2_frames.request(1))
        await connection.answer()
        assert handled == [None]


@pytest.mark.parametrize(
    "data",
    [
        CONNECTION_PREFACE[:18] + b"XX\r\n\r\n" + bytes(9),
        b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n",
    ],
)
def test_another_preface_is_refused(bench: Any, data: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, context=context_of(bench, hello)).send(data)
        # GOAWAY with PROTOCOL_ERROR (RFC 9113 3.4).
        assert (await connection.answer()).endswith(bytes.fromhex("0000080700000000000000000000000001"))
        assert connection.transport.ended


@pytest.mark.parametrize("options", [{}, {"tls": True}])
def test_http2_is_not_spoken_where_it_is_off_or_not_agreed_upon(bench: Any, options: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        context = context_of(bench, hello, is_tls=True) if options else bench.context(hello)
        connection = bench.connect(hello, context=context, **options).send(CONNECTION_PREFACE)
        assert (await connection.answer()).startswith(b"HTTP/1.1 505 ")


def test_a_preface_is_only_for_the_beginning(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, context=context_of(bench, hello)).send(request(b"/1"))
        assert b"/1" in await connection.answer()
        connection.send(CONNECTION_PREFACE)
        assert (await connection.answer()).startswith(b"HTTP/1.1 505 ")


def test_http1_goes_on_beside_it(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, context=context_of(bench, hello)).send(request(b"/1"))
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")


# -- content --------------------------------------------------------------------------------------------------------------


def test_many_at_once(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        streams = [peer.head(b"/%d" % number) for number in range(100)]
        peer.flush()
        await peer.settle()
        assert len(app.calls) == 100
        assert len({id(call["scope"]) for call in app.calls}) == 100
        for gate in reversed(app.gates):
            gate.set()
        await peer.settle()
        assert [peer.streams[stream].body for stream in streams] == [b"/%d" % number for number in range(100)]


def test_content_comes_whole_however_it_is_framed(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, echo)
        content = bytes(range(256)) * 1000
        first = peer.post(content[:100], end=False)
        second = peer.post(b"other")
        for at in range(100, len(content), 50000):
            peer.data(first, content[at : at + 50000], at + 50000 >= len(content))
            await peer.settle()
        assert peer.streams[first].body == content
        assert peer.streams[second].body == b"other"


def test_content_is_read_no_faster_than_the_application_reads(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app, http2_limits=HTTP2Limits(stream_window_bytes=65536))
        await peer.settle()
        stream = peer.post(b"x" * 65535, end=False)
        await peer.settle()
        assert peer.conn.local_flow_control_window(stream) <= 1
        event = await app.calls[0]["receive"]()
        assert (len(event["body"]), event["more_body"]) == (65535, True)
        await peer.settle()
        assert peer.conn.local_flow_control_window(stream) > 32768


def test_single_bytes_are_put_together(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        await peer.settle()
        stream = peer.post(b"first", end=False)
        content = bytes(range(256)) * 100
        for number in range(20_000):
            peer.conn.send_data(stream, content[number : number + 1])
        peer.data(stream, content[20_000:22_000])
        peer.data(stream, content[22_000:22_001], True)
        await peer.settle()
        receive, events = app.calls[0]["receive"], []
        while not events or events[-1]["more_body"]:
            events.append(await receive())
        assert b"".join(event["body"] for event in events) == b"first" + content[:22_001]
        assert len(events) < 4
        app.gates[0].set()
        assert (await peer.response(stream)).status == 200


def test_a_large_response_waits_for_the_client(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        sent = []

        async def large(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            for number in range(100):
                sent.append(number)
                await send(body(b"x" * 16384, True))
            await send(body())

        peer = HTTP2Peer(bench, large)
        peer.takes = False
        stream = peer.get()
        await peer.settle()
        # The window, a high-water mark, and what was over it.
        assert len(peer.streams[stream].body) == 65535
        assert len(sent) <= (65535 + 65536) // 16384 + 2
        peer.takes = True
        peer.conn.acknowledge_received_data(65535, stream)
        peer.flush()
        await peer.settle()
        assert len(peer.streams[stream].body) == 100 * 16384
        assert peer.streams[stream].ended


def test_one_turn_sends_only_so_much(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app, settings={4: 2**31 - 1})
        peer.conn.increment_flow_control_window(2**30)
        streams = [peer.head() for _ in range(8)]
        peer.flush()
        await peer.settle()
        sending = []
        for call in app.calls:
            await call["send"](start())
            sending.append(asyncio.ensure_future(call["send"](body(b"x" * 1_000_000))))
        turns = []
        for _ in range(20):
            before = len(peer.transport.written)
            await asyncio.sleep(0)
            turns.append(sum(map(len, peer.transport.written[before:])))
        assert 1_000_000 < max(turns) < 2_000_000
        await peer.settle()
        await asyncio.gather(*sending)
        assert [len(peer.streams[stream].body) for stream in streams] == [1_000_000] * 8


def test_the_transport_holds_back_too(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def endless(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            while True:
                await send(body(b"x" * 16384, True))

        peer = HTTP2Peer(bench, endless, settings={4: 2**31 - 1})
        peer.conn.increment_flow_control_window(2**30)
        peer.transport.stuck = True
        peer.get()
        await bench.settle()
        assert peer.transport.queued_bytes < 400_000
        peer.transport.stuck = False
        peer.transport.abort()
        await bench.settle()


def test_a_head_that_is_answered_for_ever_ends(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        gate = asyncio.Event()

        async def events(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            while True:
                await send(body(b"data: x\n\n", True))
                gate.clear()
                await gate.wait()

        peer = HTTP2Peer(bench, events)
        response = await peer.response(peer.get(method=b"HEAD"))
        assert (response.status, response.ended) == (200, True)
        gate.set()
        await bench.settle()
        assert bench.state.tasks
        await peer.advance(LINGER_SECONDS + 1)
        gate.set()
        await bench.settle()
        assert not bench.state.tasks
        assert not peer.connection.protocol.abandoned_tasks


@pytest.mark.parametrize("status", [204, 205, 304])
def test_statuses_without_content(bench: Any, status: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(status, (b"content-length", b"3")))
            await send(body(b"abc"))

        peer = HTTP2Peer(bench, app)
        response = await peer.response(peer.get())
        assert (response.status, response.body, response.ended) == (status, b"", True)
        assert response.get(b"content-length") == (b"3" if status == 304 else None)


def test_head_has_no_content_and_its_application_need_not_know(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        done = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"content-length", b"6")))
            await send(body(b"abc", True))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            await send(body(b"def"))
            done.set()

        peer = HTTP2Peer(bench, app)
        response = await peer.response(peer.get(method=b"HEAD"))
        assert (response.status, response.body, response.ended) == (200, b"", True)
        assert response.get(b"content-length") == b"6"
        assert done.is_set()


def test_fields_of_the_connection_do_not_leave(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"Connection", b"close"), (b"transfer-encoding", b"chunked"), (b"X-A", b"1")))
            await send(body(b"x"))

        peer = HTTP2Peer(bench, app)
        response = await peer.response(peer.get())
        assert (response.headers, response.body) == ([(b"x-a", b"1")], b"x")


def test_a_response_may_begin_with_nothing(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.get()
        await peer.settle()
        send = app.calls[0]["send"]
        await send(start(201))
        await peer.settle()
        assert peer.streams[stream].status == 0
        await send(body(b"", True))
        response = await peer.response(stream)
        assert (response.status, response.ended) == (201, False)
        await send(body())
        assert (await peer.response(stream)).ended


# -- interim responses, trailers, promises -------------------------------------------------------------------------------


def test_100_is_sent_when_the_application_reads(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        peer = HTTP2Peer(bench, app)
        stream = peer.head(b"/", (b"expect", b"100-continue"), (b"content-length", b"2"), method=b"POST", end=False)
        peer.flush()
        await peer.settle()
        assert not peer.streams[stream].interim
        reading = asyncio.ensure_future(app.calls[0]["receive"]())
        await peer.settle()
        assert peer.streams[stream].interim == [(100, [])]
        peer.data(stream, b"ab", True)
        assert (await reading)["body"] == b"ab"
        app.gates[0].set()
        assert (await peer.response(stream)).status == 200


def test_early_hints(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.early_hint", "links": [b"</a>", b"</b>"]})
            await send(start())
            await send({"type": "http.response.early_hint", "links": [b"</c>"]})
            await send(body(b"x", True))
            await send({"type": "http.response.early_hint", "links": [b"</late>"]})
            await send(body())

        peer = HTTP2Peer(bench, app)
        response = await peer.response(peer.get())
        assert response.interim == [(103, [(b"link", b"</a>"), (b"link", b"</b>")]), (103, [(b"link", b"</c>")])]
        assert (response.status, response.body) == (200, b"x")


async def with_trailers(scope: Any, receive: Any, send: Any) -> None:
    await send(start(200, trailers=True))
    await send(body(b"x"))
    await send({"type": "http.response.trailers", "headers": [(b"Grpc-Status", b"0")], "more_trailers": True})
    await send({"type": "http.response.trailers", "headers": [(b"b", b"2")]})


def test_trailers_are_for_who_takes_them(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, with_trailers)
        with_te, without = peer.get(b"/", TE), peer.get()
        head = peer.get(b"/", TE, method=b"HEAD")
        await peer.settle()
        assert peer.streams[with_te].trailers == [(b"grpc-status", b"0"), (b"b", b"2")]
        assert [peer.streams[stream].body for stream in (with_te, without, head)] == [b"x", b"x", b""]
        assert not peer.streams[without].trailers
        assert all(peer.streams[stream].ended for stream in (with_te, without, head))


def test_trailers_of_a_request_are_read_and_dropped(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, echo)
        stream = peer.post(b"abc", end=False)
        peer.conn.send_headers(stream, [(b"x-checksum", b"1")], end_stream=True)
        peer.flush()
        assert (await peer.response(stream)).body == b"abc"


async def pushing(scope: Any, receive: Any, send: Any) -> None:
    if scope["path"] != "/":
        assert "http.response.push" not in scope["extensions"]
        await send({"type": "http.response.push", "path": "/more", "headers": []})
        await hello(scope, receive, send)
        return
    await send(start())
    await send({"type": "http.response.push", "path": "/st\u00fcle.css?v=1", "headers": [(b"Accept", b"text/css")]})
    await send(body(b"page"))


def test_a_promise_is_a_request_of_its_own(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, pushing)
        stream = peer.get()
        assert (await peer.response(stream)).body == b"page"
        (pushed,) = peer.pushed
        assert dict(peer.pushed[pushed]) == {
            b":method": b"GET",
            b":scheme": b"http",
            b":authority": b"a",
            b":path": b"/st%C3%BCle.css?v=1",
            b"accept": b"text/css",
        }
        assert peer.streams[pushed].body == "/st\u00fcle.css".encode()
        assert bench.state.total_requests == 2


def test_nothing_is_promised_to_who_does_not_want_it(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(sorted(scope["extensions"]))
            await pushing(scope, receive, send)

        peer = HTTP2Peer(bench, app, settings={2: 0})
        assert (await peer.response(peer.get())).body == b"page"
        assert not peer.pushed
        assert "http.response.push" not in seen[0]
        peer = HTTP2Peer(bench, app)
        await peer.response(peer.get())
        assert "http.response.push" in seen[1]


def test_a_promise_is_an_error_where_there_are_none(bench: Any, caplog: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(pushing).send(request(b"/"))
        assert (await connection.answer()).startswith(b"HTTP/1.1 500 ")

    assert "'http.response.push' is not offered" in caplog.text


# -- the log --------------------------------------------------------------------------------------------------------------


def test_the_access_log_tells_of_each(bench: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "test.access")

    @bench
    async def _(bench: Any) -> None:
        log = bench.room("connection.access_log").AccessLog(logging.getLogger("test.access"))
        peer = HTTP2Peer(bench, hello, access_log=log, health_check_path=b"/health")
        peer.get(b"/a?b=1")
        health = peer.get(b"/health")
        assert (await peer.response(health)).body == b"ok"

    assert [record.getMessage() for record in caplog.records] == ['10.0.0.1:4242 - "GET /a?b=1 HTTP/2" 200']
