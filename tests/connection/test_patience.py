"""How long the next request waits for a call of the application that has answered and goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connection.applications import body, hello, post, request, start
from picocorn.connection.patience import HASTY_REQUESTS, LONGEST_SECONDS, PATIENCE_SECONDS, TICK_SECONDS, Patience


class Lasting:
    """Answers at once, and goes on until it is told to end; tells how many of its calls there are at a time."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.gates: list[asyncio.Event] = []
        self.running = self.most = 0
        self.turns = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        self.running += 1
        self.most = max(self.most, self.running)
        gate = asyncio.Event()
        self.gates.append(gate)
        await hello(scope, receive, send)
        if self.turns:
            for _ in range(self.turns):
                await asyncio.sleep(0)
        else:
            await gate.wait()
        self.running -= 1


@pytest.mark.parametrize("pipelined", [False, True], ids=["in turn", "pipelined"])
def test_calls_of_one_connection_do_not_overlap(bench: Any, pipelined: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Lasting()
        app.turns = 3
        connection = bench.connect(app)
        requests = [request(b"/%d" % number) for number in range(5)]
        if pipelined:
            connection.send(b"".join(requests))
        else:
            for one in requests:
                connection.send(one)
                for _ in range(4 + app.turns):
                    # Before the call has ended, mostly; after its answer in any case.
                    if connection.output():
                        break
                    await asyncio.sleep(0)
        await bench.settle()
        assert app.paths == ["/0", "/1", "/2", "/3", "/4"]
        assert app.most == 1


@pytest.mark.parametrize("how", ["returns", "raises", "is cancelled"])
def test_the_next_request_begins_when_the_call_ends(bench: Any, how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        if scope["path"] == "/1":
            await gate.wait()
            if how == "raises":
                raise ValueError("of the application")

    gate = asyncio.Event()

    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(app).send(request(b"/1"), request(b"/2")[:-1])
        assert (await connection.answer()).endswith(b"/1")
        connection.send(request()[-1:])
        assert await connection.answer() == b""
        if how == "is cancelled":
            for task in bench.state.tasks:
                task.cancel()
        else:
            gate.set()
        assert (await connection.answer()).endswith(b"/2")
        # And nothing is left to happen.
        await bench.lose_patience()
        assert connection.output() == b""


def test_a_call_that_goes_on_is_waited_for_once_in_a_while(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Lasting()
        connection = bench.connect(app)

        async def waited() -> bool:
            connection.send(request())
            if await connection.answer():
                return False
            await bench.lose_patience()
            assert connection.output()
            return True

        assert [await waited() for _ in range(HASTY_REQUESTS + 3)] == [False, True, *[False] * HASTY_REQUESTS, True]


def test_what_waits_has_no_deadline(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Lasting()
        connection = bench.connect(app, keep_alive_seconds=0.001, request_header_seconds=0.001).send(request(b"/1"))
        await bench.settle()
        head = request(b"/2")
        connection.send(head[:5])
        # A stall of the loop: the first look at the clock is far behind every deadline.
        await bench.advance(0.24)
        connection.send(head[5:])
        await bench.lose_patience()
        assert app.paths == ["/1", "/2"]
        # Then the client is waited for again.
        await bench.advance(2)
        assert connection.transport.closing


def test_reading_stops_while_it_waits(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Lasting()
        connection = bench.connect(app).send(request(b"/1"))
        await bench.settle()
        connection.send(post(b"x" * 70_000, target=b"/2"))
        assert not connection.transport.reading
        app.gates[0].set()
        await bench.settle()
        assert app.paths == ["/1", "/2"]
        assert connection.transport.reading


def test_the_end_of_input_ends_the_wait(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Lasting()
        connection = bench.connect(app).send(request(b"/1") + request(b"/2") + request(b"/3"))
        assert (await connection.answer()).endswith(b"/1")
        connection.half_close()
        assert (await connection.answer()).endswith(b"/3")
        assert connection.transport.closing


@pytest.mark.parametrize("end", ["the client goes", "disconnect", "shutdown"])
def test_an_end_while_it_waits(bench: Any, end: str) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Lasting()
        connection = bench.connect(app).send(request(b"/1"), request(b"/2"))
        await bench.settle()
        connection.output()
        if end == "the client goes":
            connection.transport.lose()
        elif end == "disconnect":
            connection.protocol.disconnect()
        else:
            connection.protocol.shutdown()
        await bench.settle()
        app.gates[0].set()
        await bench.lose_patience()
        if end == "shutdown":
            # What had come in before is answered, and told that it is the last.
            assert b"connection: close\r\n" in connection.output()
        assert app.paths == (["/1", "/2"] if end == "shutdown" else ["/1"])


def test_an_upgrade_waits_too(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        upgrade = request(
            b"/ws",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: " + b"A" * 22 + b"==",
        )
        gate = asyncio.Event()
        kinds = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            kinds.append(scope["type"])
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.accept"})
                await send({"type": "websocket.close"})
                return
            await hello(scope, receive, send)
            await gate.wait()

        connection = bench.connect(app, websocket=True).send(request(), upgrade)
        await bench.settle()
        assert kinds == ["http"]
        await bench.lose_patience()
        assert kinds == ["http", "websocket"]
        # The call before ends on a connection that is another protocol's.
        gate.set()
        assert b" 101 " in await connection.answer()


def test_a_streamed_answer_is_an_answer(bench: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"a", True))
        await asyncio.sleep(0)
        await send(body(b"b"))
        await gate.wait()

    gate = asyncio.Event()

    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(app).send(request())
        assert (await connection.answer()).endswith(b"b\r\n0\r\n\r\n")
        assert await connection.send(request()).answer() == b""
        gate.set()
        assert (await connection.answer()).endswith(b"b\r\n0\r\n\r\n")


class Loop:
    """A clock, and the one timer that stands in it."""

    now = 0.0
    timer: Any = None

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Any, context: Any) -> None:
        assert self.timer is None
        self.timer = (self.now + seconds, callback)

    def tick(self, late_seconds: float = 0.0) -> None:
        due, callback = self.timer
        self.timer = None
        self.now = due + late_seconds
        callback()


class Waiting:
    ended_at: float | None = None

    def __init__(self, patience: Any, loop: Any) -> None:
        self.loop = loop
        patience.wait(self)

    def patience_ended(self) -> None:
        self.ended_at = self.loop.now


def patience() -> tuple[Any, Loop]:
    loop = Loop()
    loop.now = 1000.0
    return Patience(loop, None), loop  # type: ignore[arg-type]


def test_an_idle_server_waits_shortly() -> None:
    waits, loop = patience()
    one = Waiting(waits, loop)
    while loop.timer:
        loop.tick()
    assert one.ended_at == pytest.approx(1000 + PATIENCE_SECONDS, abs=TICK_SECONDS * 1.1)


@pytest.mark.parametrize("busy", ["late", "others end"])
def test_a_busy_server_waits_longer_and_not_for_ever(busy: str) -> None:
    waits, loop = patience()
    one = Waiting(waits, loop)
    while one.ended_at is None:
        if busy == "late":
            loop.tick(0.004)
        else:
            other = Waiting(waits, loop)
            loop.tick()
            waits.done(other)
    assert one.ended_at == pytest.approx(1000 + LONGEST_SECONDS, abs=0.006)


def test_nobody_waits_without_a_timer_nor_a_timer_without_somebody() -> None:
    waits, loop = patience()
    for _ in range(2):
        one = Waiting(waits, loop)
        waits.done(one)
        waits.done(one)
        loop.tick()
        assert one.ended_at is None
        assert loop.timer is None
