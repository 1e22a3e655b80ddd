"""The ways in which a connection ends, and what it owes to content that has not come."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import Any

import pytest

from connection.applications import Held, Reader, body, echo, hello, post, request, start
from picocorn.base.errors import ClientDisconnected
from picocorn.base.limits import HIGH_WATER_BYTES, HTTP1Limits
from picocorn.connection.lingering import LINGER_BYTES, LINGER_SECONDS

#: Deadlines are coarse: never early, and late by less than this.
LATE_SECONDS = 0.75
CLOSE = b"connection: close\r\n"


# -- asked by the server ------------------------------------------------------------------------------------------------


def test_shutdown_of_idle_connections(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connections = [bench.connect(hello), bench.connect(hello).send(request())]
        await bench.settle()
        for connection in connections:
            connection.protocol.shutdown()
            assert connection.transport.closing
        connections[0].protocol.shutdown()


def test_shutdown_lets_a_request_finish(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request() + request(b"/2"))
        await bench.settle()
        connection.protocol.shutdown()
        await bench.settle()
        assert not connection.transport.closing
        app.gates[0].set()
        assert CLOSE in await connection.answer()
        assert connection.transport.closing or connection.transport.ended
        assert app.paths() == ["/"]


def test_shutdown_lets_a_half_read_request_finish(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(echo).send(request()[:10])
        connection.protocol.shutdown()
        assert not connection.transport.closing
        connection.send(request()[10:])
        assert CLOSE in await connection.answer()
        assert connection.transport.closing


def test_shutdown_lets_content_come(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(echo).send(post(b"a", length=2))
        await bench.settle()
        connection.protocol.shutdown()
        await bench.settle()
        connection.send(b"b")
        output = await connection.answer()
        assert output.endswith(b"\r\n\r\nab")
        assert CLOSE in output


def test_shutdown_does_not_wait_for_work_after_the_response(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        release = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await hello(scope, receive, send)
            await release.wait()

        connection = bench.connect(app).send(request())
        await bench.settle()
        connection.protocol.shutdown()
        assert connection.transport.closing
        release.set()


def test_disconnect_tells_the_application(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        connection = bench.connect(app).send(post(b"", length=1))
        app.read()
        await bench.settle()
        connection.protocol.disconnect()
        await bench.settle()
        assert app.events == [{"type": "http.disconnect"}]
        assert isinstance(app.error, ClientDisconnected)
        assert connection.transport.aborted
        connection.protocol.disconnect()
        connection.protocol.shutdown()


# -- the client's end ---------------------------------------------------------------------------------------------------


def test_half_close_after_a_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request() + request(b"/2"))
        await bench.settle()
        assert connection.half_close()
        app.gates[0].set()
        assert (await connection.answer()).endswith(b"\r\n\r\n/")
        assert await app.calls[1]["receive"]() == {"type": "http.request", "body": b"", "more_body": False}
        assert await app.calls[1]["receive"]() == {"type": "http.disconnect"}
        app.gates[1].set()
        assert (await connection.answer()).endswith(b"\r\n\r\n/2")
        assert connection.transport.closing


def test_half_close_between_requests(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello).send(request())
        await connection.answer()
        connection.half_close()
        assert connection.transport.closing
        fresh = bench.connect(hello)
        fresh.half_close()
        assert fresh.transport.closing
        assert fresh.output() == b""


@pytest.mark.parametrize("data", [b"GET", request()[:-2], post(b"a", length=2)])
def test_half_close_within_a_request(bench: Any, data: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        app.gates  # noqa: B018
        connection = bench.connect(app).send(data)
        await bench.settle()
        connection.half_close()
        output = await connection.answer()
        assert output.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert CLOSE in output
        assert connection.transport.closing
        assert {"type": "http.request", "more_body": False} not in [{**event, "body": None} for event in app.events]


def test_half_close_while_answers_wait_for_the_client(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 2))

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(request() * 2)
        await bench.settle()
        connection.half_close()
        await bench.settle()
        assert not connection.transport.closing
        connection.transport.stuck = False
        connection.transport.drain()
        await bench.settle()
        assert b"".join(connection.transport.written).count(b"HTTP/1.1 200") == 2
        assert connection.transport.closing


def test_tls_knows_no_half_close(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, tls=True).send(request())
        await bench.settle()
        assert app.calls[0]["scope"]["scheme"] == "https"
        # asyncio would warn at a true answer, and close all the same.
        assert not connection.half_close()
        await bench.settle()
        assert [type(error) for error in app.errors] == []
        app.gates[0].set()
        await bench.settle()
        assert [type(error) for error in app.errors] == [ClientDisconnected]


# -- the end in stages --------------------------------------------------------------------------------------------------


def refused(bench: Any, **options: Any) -> Any:
    connection = bench.connect(hello, limits=HTTP1Limits(request_body_bytes=10), **options)
    return connection.send(post(b"x", length=1_000_000))


def test_early_413_lingers(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = refused(bench)
        output = await connection.answer()
        assert output.startswith(b"HTTP/1.1 413 ")
        assert CLOSE in output
        transport = connection.transport
        assert transport.ended
        assert not transport.closing
        for _ in range(10):
            connection.send(b"x" * 100_000)
        assert connection.output() == b""
        assert transport.reading
        connection.half_close()
        assert transport.closing
        assert not transport.aborted


def test_lingering_for_a_client_that_has_reset(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello)

        def write_eof() -> None:
            # As asyncio's own transport does before it has noticed the reset.
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

        connection.transport.write_eof = write_eof
        connection.send(request(b"/", b"Content-Length: 100000", method=b"POST"))
        assert b"200 OK" in await connection.answer()
        connection.transport.lose()
        await bench.settle()
        assert not bench.unhandled


def test_nothing_is_written_to_a_transport_that_is_closing(bench: Any) -> None:
    # asyncio's `writelines()` would leave a watch on the descriptor: whoever gets its number next is never read.
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * 100_000, True))
            # The write has met a reset; connection_lost() comes with the next turn of the loop.
            connection.transport.closing = True
            await send(body(b"x" * 100_000, True))

        connection = bench.connect(app)
        written: list[bool] = []
        connection.transport.writelines = lambda pieces: written.append(connection.transport.closing)
        connection.send(request())
        await bench.settle()
        assert written == [False]
        connection.transport.closing = False


def test_lingering_is_bounded_in_time(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = refused(bench)
        await bench.advance(LINGER_SECONDS)
        assert not connection.transport.closing
        connection.send(b"x")
        await bench.advance(LATE_SECONDS)
        assert connection.transport.aborted


def test_lingering_is_bounded_in_bytes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = refused(bench)
        piece = b"x" * (1 << 20)
        for _ in range(LINGER_BYTES >> 20):
            connection.send(piece)
        assert not connection.transport.closing
        connection.send(b"x")
        assert connection.transport.aborted


def test_lingering_reads_on(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(post(b"x" * HIGH_WATER_BYTES, length=HIGH_WATER_BYTES * 10))
        await bench.settle()
        assert not connection.transport.reading
        app.gates[0].set()
        assert CLOSE in await connection.answer()
        assert connection.transport.ended
        assert connection.transport.reading


def test_no_linger_over_tls(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = refused(bench, tls=True)
        assert (await connection.answer()).startswith(b"HTTP/1.1 413 ")
        assert connection.transport.closing


def test_shutdown_and_disconnect_while_lingering(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = refused(bench)
        await bench.settle()
        connection.protocol.shutdown()
        connection.protocol.disconnect()
        assert connection.transport.aborted


# -- refusals -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [b"\x16\x03\x01", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"GET /\r\n\r\n"])
def test_a_refusal_waits_for_its_turn(bench: Any, error: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request() + error)
        await bench.settle()
        assert connection.output() == b""
        app.gates[0].set()
        output = await connection.answer()
        assert output.startswith(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n/HTTP/1.1 400 Bad Request\r\n")
        assert output.endswith(b"Invalid HTTP request received.")


WRONG = [
    (b"no colon\r\n\r\n", {}),
    (b"\r\n", {}),
    (b"Host: a\r\nExpect: a miracle\r\n\r\n", {}),
    (b"Host: a\r\nTransfer-Encoding: gzip\r\n\r\n", {}),
    (b"Host: a\r\nContent-Length: 20\r\n\r\n", {"request_body_bytes": 10}),
    (b"Host: a\r\nX: y\r\n\r\n", {"request_fields": 1}),
    (b"Host: a\r\nX: %b\r\n\r\n" % (b"y" * 100), {"request_head_bytes": 60}),
    (b"Host: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", {}),
]


@pytest.mark.parametrize(("rest", "limits"), WRONG)
@pytest.mark.parametrize("whole", [True, False])
def test_a_refused_head_request_is_answered_without_content(bench: Any, rest: bytes, limits: dict[str, int], whole: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        answers = []
        for method in (b"GET", b"HEAD"):
            # Behind another request, of which nothing may be left.
            data = request(method=b"HEAD" if method == b"GET" else b"GET") + method + b" / HTTP/1.1\r\n" + rest
            # One that answers only when it has all content: what is wrong may come behind the head.
            connection = bench.connect(echo, limits=HTTP1Limits(**limits))
            connection.send(*([data] if whole else [data[at : at + 1] for at in range(len(data))]))
            answers.append((await connection.answer()).rpartition(b"HTTP/1.1 ")[2].partition(b"\r\n\r\n"))
        assert int(answers[0][0][:3]) >= 400
        assert answers[0][2] != b""
        assert answers[1] == (*answers[0][:2], b"")


def test_a_head_request_that_does_not_come_to_its_end(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        late = bench.connect(hello).send(b"HEAD / HTTP/1.1\r\nHost:")
        await bench.advance(10 + LATE_SECONDS)
        gone = bench.connect(hello).send(b"HEAD / HTTP/1.1\r\nHost:")
        gone.half_close()
        for connection, status in ((late, b"408"), (gone, b"400")):
            output = await connection.answer()
            assert output.startswith(b"HTTP/1.1 " + status)
            assert output.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("line", [b"HEAD", b"HEAD /", b"HEAD / HTTP/1.1\n", b"HEAD nowhere HTTP/1.1\r\n", b"HEAD / HTTP/9.9\r\n"])
def test_of_a_broken_request_line_no_method_is_believed(bench: Any, line: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello).send(line + b"\r\n")
        _, _, content = (await connection.answer()).partition(b"\r\n\r\n")
        assert content


def test_a_refused_head_request_for_the_health_check(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, health_check_path=b"/health")
        connection.send(request(b"/health", b"Transfer-Encoding: chunked", method=b"HEAD", content=b"xyz\r\n"))
        output = await connection.answer()
        assert output.startswith(b"HTTP/1.1 400 ")
        assert output.endswith(b"\r\n\r\n")


BROKEN = request(b"/", b"Transfer-Encoding: chunked", method=b"POST", content=b"1\r\na\r\nxyz\r\n")


@pytest.mark.parametrize("pieces", [[BROKEN], [BROKEN[:-5], BROKEN[-5:]]])
def test_broken_content(bench: Any, pieces: list[bytes]) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        app.gates  # noqa: B018
        connection = bench.connect(app)
        for piece in pieces:
            connection.send(piece)
            await bench.settle()
        output = await connection.answer()
        assert output.count(b"HTTP/1.1 ") == 1
        assert output.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        # An application that has seen some of it never sees it end.
        assert not any(event["type"] == "http.request" and not event["more_body"] for event in app.events)


def test_broken_content_after_an_early_answer(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello).send(BROKEN[:-5])
        first = await connection.answer()
        assert first.startswith(b"HTTP/1.1 200 ")
        connection.send(BROKEN[-5:])
        assert await connection.answer() == b""
        assert connection.transport.closing or connection.transport.ended


# -- answers before the content -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 70000", b"Transfer-Encoding: chunked", b"Content-Length: 5\r\nExpect: 100-continue"]
)
def test_what_follows_an_early_last_answer_is_no_request(bench: Any, framing: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request(b"/1", framing, method=b"POST"))
        await bench.settle()
        app.gates[0].set()
        assert CLOSE in await connection.answer()
        connection.send(request(b"/2"))
        await bench.settle()
        assert app.paths() == ["/1"]
        assert connection.output() == b""


def test_content_of_an_early_answer_is_no_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        smuggled = request(b"/smuggled")
        connection = bench.connect(app).send(post(b"", target=b"/1", length=len(smuggled)))
        await bench.settle()
        app.gates[0].set()
        assert CLOSE not in await connection.answer()
        connection.send(smuggled[:7], smuggled[7:] + request(b"/2"))
        await bench.settle()
        assert app.paths() == ["/1", "/2"]


EXPECT = b"Expect: 100-continue"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("arrived", [True, False])
def test_100_continue(bench: Any, reads: bool, arrived: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(echo if reads else hello).send(post(b"ab" if arrived else b"", EXPECT, length=2))
        output = await connection.answer()
        if reads and not arrived:
            assert output == CONTINUE
            connection.send(b"ab")
            output = await connection.answer()
            assert CLOSE not in output
        assert b"100 Continue" not in output
        assert output.startswith(b"HTTP/1.1 200 OK\r\n")
        assert output.endswith(b"ab" if reads else b"/")
        assert (CLOSE in output) is (not reads and not arrived)


def test_100_continue_is_not_for_http10(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(echo).send(request(b"/", b"Content-Length: 2", EXPECT, method=b"POST", version=b"1.0"))
        assert await connection.answer() == b""
        assert (await connection.send(b"ab").answer()).endswith(b"\r\n\r\nab")
