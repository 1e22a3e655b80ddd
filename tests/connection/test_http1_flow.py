"""Flow control and deadlines."""

from __future__ import annotations

from typing import Any

import pytest

from connection.applications import Held, Reader, body, hello, post, request, start
from picocorn.base.errors import ClientDisconnected
from picocorn.base.limits import HIGH_WATER_BYTES, HTTP1Limits
from picocorn.connection.lingering import LINGER_SECONDS

#: Deadlines are coarse: never early, and late by less than this.
LATE_SECONDS = 0.75
CLOSE = b"connection: close\r\n"


# -- reading ------------------------------------------------------------------------------------------------------------


def test_reading_stops_at_the_high_water_mark(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        connection = bench.connect(app).send(post(b"x" * (HIGH_WATER_BYTES - 1), length=HIGH_WATER_BYTES * 3))
        await bench.settle()
        assert connection.transport.reading
        connection.send(b"y")
        assert not connection.transport.reading
        app.read()
        await bench.settle()
        assert app.events[0]["body"] == b"x" * (HIGH_WATER_BYTES - 1) + b"y"
        assert app.events[0]["more_body"]
        assert connection.transport.reading
        connection.send(b"z" * HIGH_WATER_BYTES * 2)
        assert not connection.transport.reading
        app.read()
        await bench.settle()
        assert connection.transport.reading
        app.read()
        assert (await connection.answer()).endswith(b"read")
        assert sum(len(event["body"]) for event in app.events) == HIGH_WATER_BYTES * 3


def test_a_read_that_waits_keeps_the_connection_reading(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        app.gates  # noqa: B018  # reads as fast as it can
        connection = bench.connect(app).send(post(b"", length=1_000_000))
        for _ in range(10):
            await bench.settle()
            connection.send(b"x" * 100_000)
            await bench.settle()
        assert (await connection.answer()).endswith(b"read")
        assert sum(len(event["body"]) for event in app.events) == 1_000_000


def test_pipelined_bytes_are_bounded(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request())
        await bench.settle()
        connection.send(request() * (HIGH_WATER_BYTES // len(request()) + 1))
        assert not connection.transport.reading
        app.gates[0].set()
        await bench.settle()
        # The next is being answered; there is room again.
        assert len(app.calls) == 2


def test_content_after_an_early_answer_is_dropped_not_held(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello).send(post(b"", length=60_000))
        assert CLOSE not in await connection.answer()
        for _ in range(6):
            connection.send(b"x" * 10_000)
            assert connection.transport.reading
        assert await connection.send(request(b"/next")).answer() == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n/next"


def test_held_content_is_freed_by_an_early_answer(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(post(b"x" * HIGH_WATER_BYTES, length=HIGH_WATER_BYTES))
        await bench.settle()
        app.gates[0].set()
        assert (await connection.answer()).startswith(b"HTTP/1.1 200 ")
        assert connection.transport.reading
        connection.send(request(b"/2"))
        await bench.settle()
        assert app.paths() == ["/", "/2"]


@pytest.mark.parametrize("size", [HIGH_WATER_BYTES - 2, HIGH_WATER_BYTES, 2 * HIGH_WATER_BYTES])
def test_a_head_longer_than_the_mark_is_read_on(bench: Any, size: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, limits=HTTP1Limits(request_head_bytes=size))
        head = request(b"/", b"X: " + b"a" * (size + 2 - len(request(b"/", b"X: "))))
        # All but its last byte: the parser holds more than the mark, and asks for more.
        assert b"200 OK" in await connection.send(head[:-1], head[-1:]).answer()
        # The same behind another request, whose end must let the reading go on.
        half = HIGH_WATER_BYTES // 2
        connection.send(request() + head[:half], head[half:-1])
        assert b"200 OK" in await connection.answer()
        assert b"200 OK" in await connection.send(head[-1:]).answer()


# -- writing ------------------------------------------------------------------------------------------------------------


def test_back_pressure_of_large_pieces_on_a_transport_that_does_not_tell(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        sent = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            for number in range(100):
                await send(body(bytes(HIGH_WATER_BYTES), True))
                sent.append(number)

        connection = bench.connect(app)
        connection.transport.stuck = connection.transport.forgetful = True
        connection.send(request())
        await bench.settle()
        assert sent == []
        for count in range(1, 5):
            connection.transport.drain()
            await bench.settle()
            assert len(sent) == count


@pytest.mark.parametrize("last", [False, True])
def test_e6_send_waits_above_the_high_water_mark(bench: Any, last: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        reached = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 2, not last))
            reached.append("sent")
            if not last:
                await send(body())

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(request())
        await bench.settle()
        assert connection.transport.queued_bytes > HIGH_WATER_BYTES
        assert not reached
        connection.transport.drain(HIGH_WATER_BYTES // 2)
        await bench.settle()
        assert not reached
        connection.transport.drain()
        await bench.settle()
        assert reached


def test_memory_is_bounded_whatever_the_application_writes(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            while True:
                await send(body(b"x" * 1000, True))

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(request())
        for _ in range(100):
            await bench.settle()
        assert connection.transport.queued_bytes < HIGH_WATER_BYTES + 2000
        connection.transport.lose(ConnectionResetError())


def test_e9_a_lost_client_ends_a_waiting_send(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        errors = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            try:
                await send(body(b"x" * HIGH_WATER_BYTES * 2, True))
            except OSError as error:
                errors.append(error)
                raise

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(request())
        await bench.settle()
        connection.transport.lose()
        await bench.settle()
        assert [type(error) for error in errors] == [ClientDisconnected]


def test_a_client_that_leaves_with_the_last_content_unread_is_no_error(bench: Any, caplog: pytest.LogCaptureFixture) -> None:
    @bench
    async def _(bench: Any) -> None:
        worked = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 2))
            worked.append("after the response")

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(request())
        await bench.settle()
        assert worked == []
        connection.transport.lose()
        await bench.settle()
        assert worked == ["after the response"]

    assert caplog.messages == []


def test_no_request_begins_while_answers_have_nowhere_to_go(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        calls = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            calls.append(scope)
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 2))

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(request() * 100)
        await bench.settle()
        assert len(calls) == 1
        connection.transport.drain()
        await bench.settle()
        assert len(calls) == 2


# -- deadlines ----------------------------------------------------------------------------------------------------------


def test_silent_connection(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, request_header_seconds=10)
        await bench.advance(10)
        assert not connection.transport.closing
        await bench.advance(LATE_SECONDS)
        assert connection.transport.closing
        assert connection.output() == b""


def test_dribbled_head(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, request_header_seconds=10)
        head = request()
        for index in range(10):
            connection.send(head[index : index + 1])
            await bench.advance(1)
        await bench.advance(LATE_SECONDS)
        output = connection.output()
        assert output.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert CLOSE in output
        assert connection.transport.ended or connection.transport.closing


def test_second_head_has_its_own_time(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, request_header_seconds=10, keep_alive_seconds=5).send(request())
        await bench.advance(4)
        connection.output()
        connection.send(b"GET")
        await bench.advance(9)
        assert connection.output() == b""
        await bench.advance(1 + LATE_SECONDS)
        assert connection.output().startswith(b"HTTP/1.1 408 ")


def test_idle_connection(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, keep_alive_seconds=5)
        for _ in range(3):
            connection.send(request())
            await bench.advance(5)
            assert not connection.transport.closing
        connection.output()
        await bench.advance(LATE_SECONDS)
        assert connection.transport.closing
        assert connection.output() == b""


def test_empty_lines_are_idleness(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, keep_alive_seconds=5).send(request())
        await bench.advance(3)
        connection.output()
        connection.send(b"\r\n")
        await bench.advance(2 + LATE_SECONDS)
        assert connection.transport.closing or connection.transport.ended
        assert connection.output() == b""


def test_a_running_request_has_no_deadline(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app, keep_alive_seconds=1, request_header_seconds=1, request_body_seconds=1)
        connection.send(request() + request(b"/2") + b"GET")
        await bench.advance(20)
        app.gates[0].set()
        assert (await connection.answer()).endswith(b"\r\n\r\n/")
        app.gates[1].set()
        assert (await connection.answer()).endswith(b"\r\n\r\n/2")
        await bench.advance(1 + LATE_SECONDS)
        assert connection.output().startswith(b"HTTP/1.1 408 ")


def test_content_that_does_not_come(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        connection = bench.connect(app, request_body_seconds=10).send(post(b"a", length=10))
        app.gates  # noqa: B018
        for _ in range(3):
            await bench.advance(9)
            assert connection.output() == b""
            connection.send(b"b")
        await bench.advance(10 + LATE_SECONDS)
        output = connection.output()
        assert output.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        assert CLOSE in output
        assert app.events[-1] == {"type": "http.disconnect"}
        assert isinstance(app.error, ClientDisconnected)


def test_content_that_does_not_come_to_an_answer_under_way(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"a", True))
            while (await receive())["type"] == "http.request":
                pass

        connection = bench.connect(app, request_body_seconds=10).send(post(b"a", length=10))
        await bench.advance(10 + LATE_SECONDS)
        # Half an answer cannot become another: no clean end.
        assert b"408" not in connection.output()
        assert connection.transport.aborted


def test_a_slow_application_is_not_the_clients_fault(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        connection = bench.connect(app, request_body_seconds=10).send(post(b"x" * HIGH_WATER_BYTES, length=HIGH_WATER_BYTES + 1))
        await bench.advance(100)
        assert not connection.transport.closing
        app.read()
        await bench.settle()
        assert connection.transport.reading
        app.read()
        await bench.advance(9)
        connection.send(b"y")
        assert (await connection.answer()).endswith(b"read")


def test_a_client_that_waits_for_100_is_not_late(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Reader()
        connection = bench.connect(app, request_body_seconds=5.0)
        connection.send(request(b"/", b"Content-Length: 2", b"Expect: 100-continue", method=b"POST"))
        await bench.advance(20)
        assert connection.output() == b""
        app.read()
        assert b"100 Continue" in await connection.answer()
        # Only now it is the client's turn.
        await bench.advance(4.5)
        assert connection.output() == b""
        await bench.advance(0.5 + LATE_SECONDS)
        assert connection.output().startswith(b"HTTP/1.1 408 ")


def test_no_deadlines_when_they_are_0(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        options = {"keep_alive_seconds": 0, "request_header_seconds": 0, "request_body_seconds": 0}
        connections = [
            bench.connect(Held(), **options),
            bench.connect(Held(), **options).send(b"GET"),
            bench.connect(Held(), **options).send(post(b"a", length=2)),
        ]
        await bench.advance(100)
        assert not any(connection.transport.closing for connection in connections)


def test_keep_alive_0_is_no_keep_alive(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, keep_alive_seconds=0).send(request())
        assert CLOSE in await connection.answer()
        assert connection.transport.closing


@pytest.mark.parametrize("pipelined", [b"", request(b"/2")])
def test_a_slow_reader_is_not_idle(bench: Any, pipelined: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 10))

        connection = bench.connect(app, keep_alive_seconds=5, request_header_seconds=5)
        connection.transport.stuck = True
        connection.send(request() + pipelined)
        for step in range(9, 0, -1):
            await bench.advance(4)
            assert not connection.transport.closing
            assert not connection.transport.ended
            connection.transport.drain(HIGH_WATER_BYTES * step)
        assert b"408" not in connection.output()
        connection.transport.stuck = False
        connection.transport.drain()
        await bench.settle()
        assert connection.output().count(b"HTTP/1.1 200") == bool(pipelined)
        # Its idle time begins when it has all.
        await bench.advance(2 * (5 + LATE_SECONDS))
        assert connection.transport.closing


@pytest.mark.parametrize("early", [False, True])
def test_a_slow_reader_gets_the_whole_last_response(bench: Any, early: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 10))

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(post(b"x", length=10_000_000) if early else request(b"/", b"Connection: close"))
        for step in range(9, -1, -1):
            await bench.advance(LINGER_SECONDS - 1)
            assert not connection.transport.aborted, step
            connection.transport.drain(HIGH_WATER_BYTES * step)
        # It has its time to close from when it has all.
        await bench.advance(2 * (LINGER_SECONDS + LATE_SECONDS))
        assert connection.transport.lost


@pytest.mark.parametrize("early", [False, True])
def test_a_reader_that_never_reads_does_not_stay_for_ever(bench: Any, early: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"x" * HIGH_WATER_BYTES * 10))

        connection = bench.connect(app)
        connection.transport.stuck = True
        connection.send(post(b"x", length=10_000_000) if early else request(b"/", b"Connection: close"))
        await bench.advance(120)
        assert connection.transport.aborted
