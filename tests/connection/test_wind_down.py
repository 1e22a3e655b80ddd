"""Connections of a server that is about to end: answers announce it, and nobody is cut off who may still ask."""

from __future__ import annotations

from typing import Any

from connection.applications import Held, body, hello, request, start

CLOSE = b"connection: close\r\n"


def test_the_next_answer_announces_the_close(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello).send(request())
        assert CLOSE not in await connection.answer()
        bench.state.winding_down = True
        await bench.settle()
        assert not connection.transport.closing
        connection.send(request(b"/last"))
        assert CLOSE in await connection.answer()
        assert connection.transport.closing


def test_a_running_request_announces_it_if_its_head_is_not_sent(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request())
        await bench.settle()
        bench.state.winding_down = True
        app.gates[0].set()
        assert CLOSE in await connection.answer()
        assert connection.transport.closing


def test_a_stream_that_has_begun_ends_as_it_has_begun(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        sends: list[Any] = []

        async def streaming(scope: Any, receive: Any, send: Any) -> None:
            await send(start())
            await send(body(b"first", more=True))
            sends.append(send)
            while (await receive())["type"] != "http.disconnect":
                pass

        connection = bench.connect(streaming).send(request())
        assert CLOSE not in await connection.answer()
        bench.state.winding_down = True
        await sends[0](body(b"last"))
        assert (await connection.answer()).endswith(b"0\r\n\r\n")
        # Its client has been promised that it may ask again, and learns it from the next answer.
        assert not connection.transport.closing
        connection.send(request())
        assert CLOSE in await connection.answer()


def test_pipelined_requests_behind_the_announcement_are_not_begun(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.winding_down = True
        app = Held()
        connection = bench.connect(app).send(request(b"/1") + request(b"/2"))
        await bench.settle()
        app.gates[0].set()
        assert CLOSE in await connection.answer()
        assert app.paths() == ["/1"]


def test_an_idle_connection_idles_out(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, keep_alive_seconds=5.0).send(request())
        await bench.settle()
        bench.state.winding_down = True
        await bench.advance(4)
        assert not connection.transport.closing
        await bench.advance(2)
        assert connection.transport.closing
