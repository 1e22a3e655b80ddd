"""Applications that go on inside `data_received` and `eof_received`, because they were waiting for just that."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from connection.applications import body, echo, post, request, start
from picocorn.base.limits import HIGH_WATER_BYTES

OK = b"HTTP/1.1 200 OK\r\n"


def split(data: bytes, *sizes: int) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [*pieces, data]


def test_the_answer_leaves_with_the_last_piece(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        head, first, last = split(post(b"abc"), -3, 2)
        connection = bench.connect(echo).send(head)
        await bench.settle()
        connection.send(first)
        assert connection.output() == b""
        connection.send(last)
        # Without a turn of the loop in between.
        assert connection.output().endswith(b"\r\n\r\nabc")
        assert all(task.done() for task in bench.state.tasks)


def test_what_is_pipelined_behind_the_last_piece_is_answered_too(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        head, content = split(post(b"abc"), -3)
        connection = bench.connect(echo).send(head)
        await bench.settle()
        connection.send(content + post(b"de") + post(b"f", length=2))
        answers = (await connection.answer()).split(OK)[1:]
        assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"abc", b"de"]
        connection.send(b"g" + post(b"h"))
        answers = (await connection.answer()).split(OK)[1:]
        assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [b"fg", b"h"]


def test_content_is_taken_piece_by_piece_as_it_comes(bench: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            event = await receive()
            sizes.append(len(event["body"]))
            more = event["more_body"]
        await send(start())
        await send(body(b"%d" % sum(sizes)))

    sizes: list[int] = []

    @bench
    async def _(bench: Any) -> None:
        size = HIGH_WATER_BYTES // 2
        connection = bench.connect(app).send(post(b"", length=size * 4))
        await bench.settle()
        for _ in range(4):
            connection.send(b"x" * size)
            assert connection.transport.reading, "nothing is held"
        assert connection.output().endswith(b"%d" % (size * 4))
        assert sizes == [size] * 4


def test_an_early_answer_from_inside(bench: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/early":
            await receive()
        await send(start())
        await send(body(scope["path"].encode()))

    @bench
    async def _(bench: Any) -> None:
        head, first, rest = split(post(b"x" * 1000, target=b"/early"), -1000, 10)
        connection = bench.connect(app).send(head)
        await bench.settle()
        connection.send(first)
        assert connection.output().endswith(b"/early")
        # The rest is dropped, and what follows it is the next request.
        assert (await connection.send(rest + request(b"/next")).answer()).endswith(b"/next")


@pytest.mark.parametrize("before", [False, True], ids=["before the start", "within the body"])
def test_an_error_from_inside(bench: Any, before: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if before:
            await send(start())
            await send(body(b"part", True))
        await receive()
        raise ValueError("of the application")

    @bench
    async def _(bench: Any) -> None:
        head, content = split(post(b"abc"), -3)
        connection = bench.connect(app).send(head)
        await bench.settle()
        connection.output()
        connection.send(content)
        assert connection.transport.closing or connection.transport.ended
        assert (b" 500 " in await connection.answer()) is not before

    assert "of the application" in caplog.text


@pytest.mark.parametrize("tls", [False, True])
def test_the_end_of_input_ends_the_response_inside(bench: Any, tls: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(start())
        await send(body(b"part", True))
        assert (await receive())["type"] == "http.disconnect"
        await send(body(b"rest"))

    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(app, tls=tls).send(request())
        await bench.settle()
        connection.output()
        connection.half_close()
        assert connection.output().endswith(b"4\r\nrest\r\n0\r\n\r\n")
        await bench.settle()
        assert connection.transport.lost
        assert not bench.state.connections


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_loop_leaves_nothing_half_done(bench: Any, error: type[BaseException]) -> None:
    async def failing(receive: Any) -> None:
        await receive()
        raise error

    async def app(scope: Any, receive: Any, send: Any) -> None:
        task = asyncio.create_task(failing(receive))
        await asyncio.wait([task])
        assert type(task.exception()) is error
        await send(start())
        await send(body(b"gone on"))

    @bench
    async def _(bench: Any) -> None:
        head, content = split(post(b"abc"), -3)
        connection = bench.connect(app).send(head)
        await bench.settle()
        with pytest.raises(error):
            connection.send(content)
        assert (await connection.answer()).endswith(b"gone on")
        assert (await connection.send(post(b"", length=1)).answer()) == b""
        with pytest.raises(error):
            connection.send(b"x")
        assert (await connection.answer()).endswith(b"gone on")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_a_request_that_is_begun_from_inside_is_no_part_of_the_one_before(bench: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        tasks.append(asyncio.current_task())
        await echo(scope, receive, send)

    tasks: list[Any] = []

    @bench
    async def _(bench: Any) -> None:
        head, content = split(post(b"abc"), -3)
        connection = bench.connect(app).send(head)
        await bench.settle()
        connection.send(content + post(b"de"))
        assert len(set(tasks)) == 2
        assert connection.output().endswith(b"de")
