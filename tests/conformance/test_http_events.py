"""HTTP events, E1 to E11."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from conformance.applications import Recorder, answer, body, hello, read_all, start
from harness import Gate, wait_until
from raw_client import get


def test_e1_request_without_content(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        server.get("/")
    assert app.events == [{"type": "http.request", "body": b"", "more_body": False}, {"type": "http.disconnect"}]


def test_e1_small_content_is_one_event(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        server.connect().request(b"/", method=b"POST", body=b"small")
    assert app.events[0] == {"type": "http.request", "body": b"small", "more_body": False}


def test_e2_large_content_is_streamed_no_faster_than_it_is_read(serve: Any) -> None:
    events = []
    content = bytes(range(256)) * 40_000

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read.passed()
        more = True
        while more:
            events.append(await receive())
            more = events[-1]["more_body"]
        await answer(send, b"read")

    read = Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/", b"Content-Length: %d" % len(content), method=b"POST"))
        server.wait_for_tasks(1)
        (connection,) = server.state.connections
        sending = server.loop.run_in_executor
        future = server.call(lambda: sending(None, client.send, content))
        wait_until(lambda: not server.call(connection.transport.is_reading), "a pause in reading")
        read.open()
        assert client.response().body == b"read"
        wait_until(future.done)
    assert b"".join(event["body"] for event in events) == content
    assert [event["more_body"] for event in events] == [True] * (len(events) - 1) + [False]
    assert max(len(event["body"]) for event in events) < 1_000_000


def test_e3_headers_may_be_any_iterable(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [[b"x-b", b"1"], (b"x-a", b"2"), iter([b"x-b", b"3"])]
        await send(start(201, (field for field in fields)))
        await send(body())

    with serve(app, server_header=False, date_header=False) as server:
        response = server.get("/")
    assert (response.status, response.reason) == (201, b"Created")
    assert response.headers[:3] == [(b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3")]


def test_e3_headers_may_be_missing(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body"})

    with serve(app) as server:
        assert server.get("/").body == b""


def test_e4_start_alone_sends_nothing(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, [(b"x", b"y")]))
        raise ValueError("of the application")

    with serve(app) as server:
        response = server.get("/")
        assert response.status == 500
        assert response.all(b"x") == []
        assert len(server.errors()) == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_e5_transfer_encoding_of_the_application_is_ignored(serve: Any, version: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(headers=[(b"Transfer-Encoding", b"chunked")]))
        await send(body(b"a", True))
        await send(body(b"b"))

    with serve(app) as server:
        client = server.connect()
        client.send(get(version=version))
        response = client.response()
        assert response.body == b"ab"
        assert response.all(b"transfer-encoding") == ([b"chunked"] if version == b"1.1" else [])
        assert response.until_close is (version == b"1.0")


def test_e6_send_waits_for_a_slow_client(serve: Any) -> None:
    piece, most = b"x" * 65536, 4096

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        for count in range(most):
            sending = asyncio.ensure_future(send(body(piece, True)))
            # More turns than any server needs to hand a piece to a kernel that has room.
            for _ in range(100):
                if sending.done():
                    break
                await asyncio.sleep(0)
            else:
                sent.append(count + 1)
                blocked.open()
                await sending
                break
            await sending
        await send(body())

    sent: list[int] = []
    blocked = Gate()
    with serve(app) as server:
        client = server.connect(receive_buffer_bytes=4096)
        client.send(get())
        blocked.wait()
        assert sent[0] < most
        assert client.response().body == piece * sent[0]


def test_e7_messages_after_the_end_are_ignored(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        for message in (body(b"more"), body(b"more", True), start(500), {"type": "http.response.trailers", "headers": []}):
            await send(message)

    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/1"), get(b"/2"))
        assert client.response().body == b"/1"
        assert client.response().body == b"/2"


def test_e8_trailers_are_waited_for(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(trailers=True))
        await send(body(b"a"))
        await seen.passed()
        await send({"type": "http.response.trailers", "headers": [(b"x-a", b"1")], "more_trailers": True})
        await send({"type": "http.response.trailers", "headers": [(b"x-b", b"2")]})

    seen = Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/", b"TE: trailers"))
        head = client.read_until(b"1\r\na\r\n")
        assert not client.has_input()
        seen.open()
        assert client.read_until(b"\r\n\r\n") == b"0\r\nx-a: 1\r\nx-b: 2\r\n\r\n"
        assert b"transfer-encoding: chunked" in head


def test_e9_send_raises_an_oserror_once_the_client_has_gone(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"part", True))
        await gone.passed()
        try:
            while True:
                await send(body(b"x" * 65536, True))
                await asyncio.sleep(0)
        except OSError as error:
            errors.append(error)
            raised.open()

    errors: list[OSError] = []
    gone, raised = Gate(), Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get())
        client.read_until(b"part")
        client.reset()
        gone.open()
        raised.wait()
    assert type(errors[0]).__name__ == "ClientDisconnected"
    assert server.messages(logging.WARNING) == []


@pytest.mark.parametrize("end", ["reset", "close", "half_close"])
def test_e10_disconnect_reaches_who_waits(serve: Any, end: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        waiting.open()
        events.append(await receive())
        events.append(await receive())
        told.open()
        if end == "half_close":
            await answer(send, b"still here")

    events: list[Any] = []
    waiting, told = Gate(), Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get())
        waiting.wait()
        getattr(client, end)()
        told.wait()
        if end == "half_close":
            assert client.response().body == b"still here"
        server.wait_for_tasks(0)
        server.errors()
    assert [event["type"] for event in events] == ["http.request", "http.disconnect", "http.disconnect"]


def test_e10_disconnect_after_the_response_for_ever(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await read_all(receive) == b""
        await answer(send, b"all")
        events.extend([await receive(), await receive(), await receive()])
        done.open()

    events: list[Any] = []
    done = Gate()
    with serve(app) as server:
        assert server.get("/").body == b"all"
        done.wait()
    assert events == [{"type": "http.disconnect"}] * 3


def test_e11_every_response_finds_its_client(serve: Any) -> None:
    count = 100

    async def app(scope: Any, receive: Any, send: Any) -> None:
        paths.append(scope["path"])
        if len(paths) == count:
            everybody.open()
        await everybody.passed()
        await hello(scope, receive, send)

    paths: list[str] = []
    everybody = Gate()
    with serve(app) as server:
        clients = [server.connect() for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(get(b"/%d" % number))
        for number, client in reversed(list(enumerate(clients))):
            assert client.response().body == b"/%d" % number
