"""Behaviours that fast peers get wrong, and the MUSTs of HTTP/1.1 that concern more than one message."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import signal
from pathlib import Path
from typing import Any

import pytest

from conformance.applications import answer, body, hello, read_all, start
from harness import Gate, spawned
from raw_client import get


def test_background_work_does_not_delay_the_next_request(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        await finish.passed()

    finish = Gate()
    with serve(app) as server:
        client = server.connect()
        for number in range(3):
            assert client.request(b"/%d" % number).body == b"/%d" % number
        server.wait_for_tasks(3)
        finish.open()


def test_background_work_outlives_its_connection(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        await finish.passed()
        finished.append(scope["path"])

    finished: list[str] = []
    finish = Gate()
    with serve(app) as server:
        client = server.connect()
        client.request(b"/x")
        client.reset()
        server.wait_for_connections(0)
        server.wait_for_tasks(1)
        finish.open()
        server.wait_for_tasks(0)
    assert finished == ["/x"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(bytearray(data * 2))[: len(data)]])
@pytest.mark.parametrize("size", [0, 10, 100_000])
def test_buffers_are_sent(serve: Any, kind: Any, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(kind(data), True))
        await send(body(kind(data)))

    with serve(app) as server:
        assert server.get("/").body == data * 2


@pytest.mark.parametrize(
    "field",
    [
        (b"x", b"a\r\nSet-Cookie: b"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"a\0b"),
        (b"x\r\ny", b"a"),
        (b"x y", b"a"),
        (b"", b"a"),
        (b"x:", b"a"),
    ],
)
def test_fields_that_could_split_a_response_are_refused(serve: Any, field: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, [(b"good", b"1"), field]))
        await send(body(b"never"))

    with serve(app) as server:
        client = server.connect()
        client.send(get())
        raw = client.read_to_end()
        assert raw.startswith(b"HTTP/1.1 500 ")
        assert b"Set-Cookie" not in raw
        assert len(server.errors()) == 1


@pytest.mark.parametrize("pieces", [[b"abcd"], [b"ab", b"cd"], [b"ab"], [b"a", b"b"], []])
def test_content_that_does_not_fit_its_length_never_looks_whole(serve: Any, pieces: list[bytes]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, [(b"content-length", b"3")]))
        for piece in pieces:
            await send(body(piece, True))
        await send(body())

    with serve(app) as server:
        client = server.connect()
        client.send(get() * 2)
        raw = b""
        try:
            raw = client.read_to_end()
        except ConnectionResetError:
            pass
        head, _, content = raw.partition(b"\r\n\r\n")
        assert raw.count(b"HTTP/1.1 ") <= 1
        assert head.startswith(b"HTTP/1.1 500") or len(content) < 3
        client.close()
        server.wait_for_connections(0)
        assert len(server.errors()) == 1


variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("pipelined", [False, True])
def test_contextvars_stay_in_their_request(serve: Any, pipelined: bool) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(variable.get())
        variable.set(scope["path"])
        await asyncio.sleep(0)
        await hello(scope, receive, send)
        variable.set("after the response")

    with serve(app) as server:
        client = server.connect()
        if pipelined:
            client.send(get() * 3)
        for _ in range(3):
            if not pipelined:
                client.send(get())
            assert client.response().status == 200
    assert seen == ["unset"] * 3


def test_a_late_send_never_reaches_a_later_response(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        sends.append(send)
        if scope["path"] == "/2":
            await send(start())
            await send(body(b"sec", True))
            for message in (start(500), body(b"late", True), body(b"late")):
                await sends[0](message)
            await send(body(b"ond"))
        else:
            await hello(scope, receive, send)

    sends: list[Any] = []
    with serve(app) as server:
        client = server.connect()
        assert client.request(b"/1").body == b"/1"
        assert client.request(b"/2").body == b"second"
        assert client.request(b"/3").body == b"/3"


NEVER = """
import asyncio
async def app(scope, receive, send):
    print("in the application", flush=True)
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            print("cancelled", flush=True)
            if scope["path"] != "/stubborn":
                raise
"""


@pytest.mark.parametrize("path", [b"/", b"/stubborn"])
def test_an_application_that_never_returns_cannot_stop_sigterm(twin: str, tmp_path: Path, path: bytes) -> None:
    (tmp_path / "never.py").write_text(NEVER)
    options = ("--http", twin, "--lifespan", "off", "--timeout-graceful-shutdown", "1")
    with spawned("never:app", *options, cwd=tmp_path) as server:
        client = server.connect()
        client.send(get(path))
        server.wait_for("in the application")
        # As its parent sees it: ended by the signal.
        assert server.stop(signal.SIGTERM) == -signal.SIGTERM
    assert "cancelled" in server.output


# -- answers before the content -----------------------------------------------------------------------------------------


async def refuse(scope: Any, receive: Any, send: Any) -> None:
    await (hello(scope, receive, send) if scope["method"] == "GET" else answer(send, b"no", 401))


def test_early_401_to_a_small_content_keeps_the_connection(serve: Any) -> None:
    content = get(b"/smuggled") * 3
    with serve(refuse) as server:
        client = server.connect()
        client.send(get(b"/", b"Content-Length: %d" % len(content), method=b"POST"))
        assert client.response().status == 401
        client.send(content[:10], content[10:], get(b"/next"))
        assert client.response().body == b"/next"


@pytest.mark.parametrize("framing", [b"Content-Length: 10000000", b"Transfer-Encoding: chunked"])
def test_early_401_to_a_large_content_closes_the_connection(serve: Any, framing: bytes) -> None:
    with serve(refuse) as server:
        client = server.connect()
        client.send(get(b"/", framing, method=b"POST"))
        response = client.response()
        assert response.status == 401
        assert response.get(b"connection") == b"close"
        client.send(get(b"/smuggled"))
        client.half_close()
        assert client.closed()
        assert server.state.total_requests == 1


def test_early_413_reaches_a_client_that_is_still_sending(serve: Any) -> None:
    with serve(hello, limit_request_body=1000) as server:
        client = server.connect()
        # More than the kernel keeps for a reset connection: without a close in stages the answer is lost.
        client.send(get(b"/", b"Content-Length: 4000000", method=b"POST"), b"x" * 4_000_000)
        response = client.response()
        assert response.status == 413
        assert response.get(b"connection") == b"close"


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("arrived", [True, False])
def test_100_continue(serve: Any, reads: bool, arrived: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, await read_all(receive) if reads else b"unread")

    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/", b"Content-Length: 2", b"Expect: 100-continue", method=b"POST") + (b"ab" if arrived else b""))
        if reads and not arrived:
            assert client.head().status == 100
            client.send(b"ab")
        response = client.response()
        assert response.body == (b"ab" if reads else b"unread")
        assert response.interim == []
        if not reads and not arrived:
            # Nobody can tell whether content follows.
            assert response.get(b"connection") == b"close"
            assert client.closed()
        else:
            assert client.request(method=b"GET").status == 200


def test_no_100_to_http10(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        reading.open()
        await answer(send, await read_all(receive))

    reading = Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/", b"Content-Length: 2", b"Expect: 100-continue", method=b"POST", version=b"1.0"))
        reading.wait()
        client.send(b"ab")
        response = client.response()
        assert (response.interim, response.body) == ([], b"ab")


# -- one connection, many messages --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 205, 304])
def test_responses_without_content_leave_the_next_one_readable(serve: Any, status: int) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/none":
            await send(start(status, [(b"content-length", b"3")]))
            await send(body(b"abc" if status != 205 else b"", True))
            await send(body())
        else:
            await hello(scope, receive, send)

    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/none") + get(b"/next"))
        response = client.response()
        assert response.status == status
        assert response.get(b"content-length") == {204: None, 205: b"0", 304: b"3"}[status]
        assert response.get(b"transfer-encoding") is None
        assert client.response().body == b"/next"


@pytest.mark.parametrize("declared", [True, False])
def test_head_leaves_the_next_one_readable(serve: Any, declared: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, [(b"content-length", b"4")] if declared else []))
        await send(body(b"ab", True))
        await send(body(b"cd"))

    with serve(app) as server:
        client = server.connect()
        client.send(get(method=b"HEAD") + get())
        assert client.response(method=b"HEAD").get(b"content-length") == (b"4" if declared else None)
        assert client.response().body == b"abcd"


def test_pipelined_responses_keep_their_order(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/2":
            running.open()
            await slow.passed()
        await hello(scope, receive, send)

    running, slow = Gate(), Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/1") + get(b"/2") + get(b"/3"))
        assert client.response().body == b"/1"
        running.wait()
        slow.open()
        assert [client.response().body for _ in range(2)] == [b"/2", b"/3"]


def test_half_close_still_gets_every_response(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await closed.passed()
        await hello(scope, receive, send)

    closed = Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/1") + get(b"/2"))
        client.half_close()
        closed.open()
        assert [client.response().body for _ in range(2)] == [b"/1", b"/2"]
        assert client.closed()


@pytest.mark.parametrize("fields", [[b"Connection: close"], [b"Connection: foo, Close"]])
def test_nothing_is_processed_after_close(serve: Any, fields: list[bytes]) -> None:
    with serve(hello) as server:
        client = server.connect()
        client.send(get(b"/1", *fields) + get(b"/2"))
        response = client.response()
        assert response.get(b"connection") == b"close"
        client.half_close()
        assert client.closed()
        assert server.state.total_requests == 1


def test_date_and_server(serve: Any) -> None:
    with serve(hello) as server:
        response = server.get("/")
    assert [name for name, _ in response.headers[:2]] == [b"date", b"server"]
    assert response.get(b"server") == b"picocorn"
    assert response.get(b"date").endswith(b" GMT")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
        (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 501),
    ],
)
def test_refusals_are_answered_in_full_and_last(serve: Any, data: bytes, status: int) -> None:
    with serve(hello) as server:
        client = server.connect()
        client.send(get(b"/first") + data + get(b"/never"))
        assert client.response().body == b"/first"
        response = client.response()
        assert (response.status, response.get(b"connection")) == (status, b"close")
        client.half_close()
        assert client.closed()
        assert server.state.total_requests == 1
    assert len(server.messages(logging.WARNING)) == 1
