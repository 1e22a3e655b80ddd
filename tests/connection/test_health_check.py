"""The path that the connection answers by itself, for load balancers: whatever comes to it, no application sees it."""

from __future__ import annotations

from typing import Any

import pytest

from connection.applications import Held, hello, request

PATH = b"/healthz"


def answer(status: bytes, body: bytes, *, close: bool = False, head: bool = False) -> bytes:
    fields = [
        b"HTTP/1.1 " + status,
        b"content-type: text/plain; charset=utf-8",
        b"cache-control: no-store",
        b"content-length: %d" % len(body),
    ]
    return b"\r\n".join([*fields, *([b"connection: close"] if close else []), b"", b"" if head else body])


OK = answer(b"200 OK", b"ok")
DRAINING = answer(b"503 Service Unavailable", b"draining", close=True)


class Lines:
    """An access log that only counts."""

    def __init__(self) -> None:
        self.statuses: list[int] = []

    def log(self, scope: Any, status: int) -> None:
        self.statuses.append(status)


def test_it_is_answered_without_the_application(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app, log = Held(), Lines()
        connection = bench.connect(app, health_check_path=PATH, access_log=log)
        for target in (PATH, PATH + b"?verbose=1", b"http://a" + PATH):
            assert await connection.send(request(target)).answer() == OK
        assert await connection.send(request(PATH, method=b"HEAD")).answer() == answer(b"200 OK", b"ok", head=True)
        assert not connection.transport.closing
        assert app.calls == []
        assert bench.state.total_requests == 0
        assert log.statuses == []


@pytest.mark.parametrize("target", [b"/", b"/healthz/", b"/health", b"/x/healthz", b"/%68ealthz"])
def test_other_paths_are_the_applications(bench: Any, target: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, health_check_path=PATH)
        assert b"cache-control" not in await connection.send(request(target)).answer()
        assert bench.state.total_requests == 1


def test_without_the_option_it_is_a_path_like_others(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        assert (await bench.connect(hello).send(request(PATH)).answer()).endswith(PATH)


def test_it_is_unavailable_while_the_server_drains(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.default_headers = [(b"server", b"s")]
        connection = bench.connect(hello, health_check_path=PATH)
        assert (await connection.send(request(PATH)).answer()).startswith(b"HTTP/1.1 200 OK\r\nserver: s\r\n")
        bench.state.default_headers = []
        bench.state.draining = bench.state.winding_down = True
        assert await connection.send(request(PATH)).answer() == DRAINING
        assert connection.transport.closing
        # Everybody else is answered, and told to come back on another connection.
        other = bench.connect(hello, health_check_path=PATH)
        assert b"200 OK\r\nconnection: close\r\n" in await other.send(request(b"/")).answer()


def test_a_server_that_was_replaced_is_healthy_to_its_end(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.winding_down = True
        connection = bench.connect(hello, health_check_path=PATH)
        assert await connection.send(request(PATH)).answer() == answer(b"200 OK", b"ok", close=True)


def test_in_the_order_of_the_requests(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, health_check_path=PATH)
        connection.send(request(PATH) + request(b"/a") + request(PATH) + request(b"/b"))
        await bench.settle()
        assert connection.output() == OK
        assert app.paths() == ["/a"]
        app.gates[0].set()
        await bench.settle()
        first, _, rest = connection.output().partition(OK)
        assert b"200 OK" in first
        assert rest == b""
        assert app.paths() == ["/a", "/b"]


@pytest.mark.parametrize(
    "fields",
    [
        [b"Content-Length: 5"],
        [b"Transfer-Encoding: chunked"],
        [b"Content-Length: 5", b"Expect: 100-continue"],
        [
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==",
        ],
        [b"Connection: close"],
    ],
)
def test_what_is_more_than_a_question_ends_the_connection(bench: Any, fields: list[bytes]) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, health_check_path=PATH, websocket=True)
        connection.send(request(PATH, *fields, method=b"GET"))
        await bench.settle()
        assert connection.output() == answer(b"200 OK", b"ok", close=True)
        connection.send(b"hello" + request(b"/smuggled"))
        await bench.settle()
        assert connection.output() == b""
        assert app.calls == []


def test_no_keep_alive_where_there_is_none(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, health_check_path=PATH, keep_alive_seconds=0)
        assert await connection.send(request(PATH)).answer() == answer(b"200 OK", b"ok", close=True)
        assert connection.transport.closing


def test_a_connection_that_only_asks_idles_out_as_any(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, health_check_path=PATH, keep_alive_seconds=5, request_header_seconds=1)
        for _ in range(3):
            await bench.advance(0.5)
            assert await connection.send(request(PATH)).answer() == OK
        await bench.advance(4.5)
        assert not connection.transport.closing
        await bench.advance(2)
        assert connection.transport.closing


def test_a_malformed_question_is_refused_as_any(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, health_check_path=PATH)
        connection.send(request(PATH, b"Transfer-Encoding: chunked") + b"x\r\n")
        await bench.settle()
        assert connection.output().startswith(b"HTTP/1.1 400 ")
        assert bench.state.total_requests == 0


def test_many_at_once_do_not_hold_up_others(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, health_check_path=PATH)
        connection.send(request(PATH) * 100)
        assert len(connection.output()) < 100 * len(OK)
        await bench.settle()
