"""Requests on one connection: their order, their isolation from each other, and what applications do in the middle of it."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import sys
import weakref
from typing import Any

import pytest

from connection.applications import Held, body, echo, hello, post, request, start
from picocorn.base.errors import ClientDisconnected, LocalProtocolError
from picocorn.connection.http1_py import REQUESTS_PER_TURN


def ok(data: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join((b"HTTP/1.1 200 OK", *fields, b"content-length: %d" % len(data), b"", data))


CLOSE = b"connection: close"


# -- one request --------------------------------------------------------------------------------------------------------


def test_request_and_response(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.default_headers = [(b"server", b"s")]
        connection = bench.connect(hello)
        assert connection.protocol in bench.state.connections
        assert await connection.send(request(b"/a")).answer() == ok(b"/a", b"server: s")
        assert not connection.transport.closing
        assert bench.state.total_requests == 1


def test_h14_no_application_without_a_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(b"\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n")
        await bench.settle()
        assert app.calls == []
        connection.send(b"\r\n")
        await bench.settle()
        assert app.paths() == ["/"]


def test_c1_one_call_for_each_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        calls = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            calls.append(scope)
            await hello(scope, receive, send)

        connection = bench.connect(app)
        for number in range(3):
            assert await connection.send(request(b"/%d" % number)).answer() == ok(b"/%d" % number)
        assert [scope["path"] for scope in calls] == ["/0", "/1", "/2"]
        assert bench.state.total_requests == 3


@pytest.mark.parametrize(
    ("info", "server", "client"),
    [
        ({"peername": ("::1", 5, 0, 0), "sockname": ("::2", 6, 0, 0)}, ("::2", 6), ("::1", 5)),
        ({"peername": "", "sockname": "/run/x.sock"}, ("/run/x.sock", None), None),
        ({"peername": None, "sockname": b"\0abstract"}, ("\0abstract", None), None),
        ({}, None, None),
    ],
)
def test_h11_addresses(bench: Any, info: Any, server: Any, client: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        bench.connect(app, info=info).send(request())
        await bench.settle()
        assert (app.calls[0]["scope"]["server"], app.calls[0]["scope"]["client"]) == (server, client)


def test_small_content_is_there_at_the_first_receive(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        events = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            events.append(await receive())
            await hello(scope, receive, send)

        bench.connect(app).send(post(b"content"))
        await bench.settle()
        bench.connect(app).send(*(bytes((byte,)) for byte in post(b"")))
        await bench.settle()
        assert events == [
            {"type": "http.request", "body": b"content", "more_body": False},
            {"type": "http.request", "body": b"", "more_body": False},
        ]


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_h13_chunks_are_undone(bench: Any, pieces: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        data = request(
            b"/", b"Transfer-Encoding: chunked", method=b"POST", content=b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nT: 1\r\n\r\n"
        )
        size = -(-len(data) // pieces)
        connection = bench.connect(echo).send(*(data[i : i + size] for i in range(0, len(data), size)))
        assert await connection.answer() == ok(b"abcde")


def test_every_split_gives_the_same(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        data = post(b"abc") + request(b"/x") + post(b"de", b"Connection: close")
        expected = ok(b"abc") + ok(b"") + ok(b"de", CLOSE)
        for cut in range(1, len(data)):
            connection = bench.connect(echo).send(data[:cut])
            await bench.settle()
            connection.send(data[cut:])
            assert await connection.answer() == expected, cut
            assert connection.transport.closing


# -- order --------------------------------------------------------------------------------------------------------------


def test_pipelined_requests_are_answered_in_order(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request(b"/1") + request(b"/2") + request(b"/3"))
        await bench.settle()
        # One at a time: nothing of the second is known before the first is answered.
        assert app.paths() == ["/1"]
        app.gates[0].set()
        assert await connection.answer() == ok(b"/1")
        assert app.paths() == ["/1", "/2"]
        assert await connection.answer() == b""
        app.gates[1].set()
        assert await connection.answer() == ok(b"/2")
        app.gates[2].set()
        assert await connection.answer() == ok(b"/3")


def test_many_pipelined_requests_do_not_nest(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        count = 2 * sys.getrecursionlimit()
        connection = bench.connect(hello).send(request() * count)
        while len(output := connection.output()) or connection.protocol in bench.state.connections:
            await bench.settle()
            if bench.state.total_requests == count:
                break
            assert len(output) >= 0
        await bench.settle()
        assert b"".join(connection.transport.written) == ok(b"/") * count


def test_work_after_the_response_does_not_delay_the_next(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        release = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await hello(scope, receive, send)
            await release.wait()

        connection = bench.connect(app)
        for number in range(3):
            assert await connection.send(request(b"/%d" % number)).answer() == ok(b"/%d" % number)
        assert len(bench.state.tasks) == 3
        release.set()
        await bench.settle()
        assert not bench.state.tasks


def test_work_after_the_response_does_not_delay_the_close(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        release = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await hello(scope, receive, send)
            assert (await receive())["type"] == "http.disconnect"
            await release.wait()

        connection = bench.connect(app).send(request(b"/", b"Connection: close"))
        await bench.settle()
        assert connection.transport.closing
        release.set()


def test_a_late_send_reaches_no_later_response(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        connection = bench.connect(app).send(request(b"/1") + request(b"/2"))
        await bench.settle()
        app.gates[0].set()
        assert await connection.answer() == ok(b"/1")
        late = app.calls[0]
        for message in (start(), body(b"late", True), body(b"late")):
            await late["send"](message)
        assert await late["receive"]() == {"type": "http.disconnect"}
        assert await connection.answer() == b""
        with pytest.raises(LocalProtocolError):
            await late["send"]({"type": "nope"})
        app.gates[1].set()
        assert await connection.answer() == ok(b"/2")
        assert await late["send"](body(b"late")) is None
        assert await connection.answer() == b""


def test_a_waiting_receive_ends_with_its_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            waiting = asyncio.create_task(receive())
            await asyncio.sleep(0)
            await hello(scope, receive, send)
            seen.append(await waiting)

        connection = bench.connect(app).send(request(), request())
        assert await connection.answer() == ok(b"/") * 2
        assert seen == [{"type": "http.disconnect"}] * 2


# -- contextvars --------------------------------------------------------------------------------------------------------

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.mark.parametrize("pipelined", [False, True])
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("reset", [False, True])
def test_contextvars_stay_in_their_request(bench: Any, pipelined: bool, waits: bool, reset: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        seen = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(variable.get())
            variable.set(scope["path"])
            if waits:
                await asyncio.sleep(0)
            await hello(scope, receive, send)
            assert variable.get() == scope["path"]
            variable.set("after the response")

        variable.set("of the server")
        context = bench.context(app, reset_contextvars=reset)
        variable.set("of somebody else")
        connection = bench.connect(app, context=context)
        for piece in [request() * 3] if pipelined else [request()] * 3:
            connection.send(piece)
            await bench.settle()
        assert seen == ["unset" if reset else "of the server"] * 3
        assert variable.get() == "of somebody else"


# -- how tasks start ----------------------------------------------------------------------------------------------------


def test_application_runs_in_a_task_of_its_own(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        tasks = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            tasks.append(asyncio.current_task())
            async with asyncio.timeout(100):
                await asyncio.sleep(0)
            await hello(scope, receive, send)

        bench.connect(app).send(request() * 2)
        await bench.settle()
        assert len(set(tasks)) == 2
        assert None not in tasks
        assert asyncio.current_task() not in tasks


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_a_request_that_need_not_wait_is_done_at_once(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello).send(request(b"/a") + request(b"/b"))
        assert connection.output() == ok(b"/a") + ok(b"/b")
        assert not bench.state.tasks
        await bench.settle()


def test_a_task_factory_is_respected(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        made = []

        def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
            made.append(coroutine)
            return asyncio.Task(coroutine, loop=loop, **options)

        bench.loop.set_task_factory(factory)
        connection = bench.connect(hello).send(request())
        assert connection.output() == b""
        assert len(made) == 1
        assert await connection.answer() == ok(b"/")
        bench.loop.set_task_factory(None)


def test_nothing_is_kept_of_a_request(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        class Application:
            async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
                seen.append(weakref.ref(asyncio.current_task()))
                await asyncio.sleep(0)
                await hello(scope, receive, send)

        seen: list[Any] = []
        connection = bench.connect(Application()).send(request())
        await connection.answer()
        connection.send(request(b"/2"))
        await connection.answer()
        gc.collect()
        assert seen[0]() is None


# -- applications in the middle of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before", "within", "after"])
@pytest.mark.parametrize("what", ["disconnect", "shutdown", "close", "abort", "lose"])
@pytest.mark.parametrize("rest", [b"", request(b"/2"), b"\x16\x03"])
@pytest.mark.parametrize("waits", [False, True])
def test_the_connection_ends_within_the_application(bench: Any, when: str, what: str, rest: bytes, waits: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            def end() -> None:
                owner = connection.protocol if what in ("disconnect", "shutdown") else connection.transport
                getattr(owner, what)()

            if waits:
                await asyncio.sleep(0)
            try:
                if when == "before":
                    end()
                    await bench.settle() if waits else None
                await send(start())
                await send(body(b"a", True))
                if when == "within":
                    end()
                    await bench.settle() if waits else None
                await send(body(b"b"))
                if when == "after":
                    end()
            except ClientDisconnected:
                assert what != "shutdown"
                raise

        connection = bench.connect(app)
        connection.send(request(b"/1") + rest)
        for _ in range(5):
            await bench.settle()
        assert connection.transport.closing or (connection.transport.ended and rest)
        output = connection.output()
        assert output.count(b"HTTP/1.1 ") <= (2 if rest else 1) or what == "shutdown"
        if what == "shutdown":
            # What was begun is finished, in full.
            assert b"1\r\nb\r\n0\r\n\r\n" in output


def test_an_application_may_feed_its_own_connection(bench: Any) -> None:
    # As a proxy to itself in one process does: data_received within data_received.
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/1":
                connection.send(request(b"/2"))
                connection.protocol.pause_writing()
                connection.protocol.resume_writing()
            await hello(scope, receive, send)

        connection = bench.connect(app)
        assert await connection.send(request(b"/1")).answer() == ok(b"/1") + ok(b"/2")


ERROR_500 = b"HTTP/1.1 500 Internal Server Error\r\n"


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize("started", [False, True])
def test_c7_e4_error_before_the_body_is_a_500(bench: Any, error: BaseException, waits: bool, started: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            if waits:
                await asyncio.sleep(0)
            if started:
                await send(start(200, (b"x", b"y")))
            raise error

        connection = bench.connect(app).send(request() + request())
        output = await connection.answer()
        assert output.startswith(ERROR_500)
        assert output.endswith(b"Internal Server Error")
        assert output.count(b"HTTP/1.1") == 1
        assert CLOSE in output
        assert b"x: y" not in output
        # Bytes behind it are still unread: a close in stages.
        assert connection.transport.closing or connection.transport.ended


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), asyncio.CancelledError()], ids=repr)
@pytest.mark.parametrize("headers", [(), ((b"content-length", b"10"),)])
def test_c7_error_within_the_body_is_no_clean_end(bench: Any, error: BaseException, headers: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, *headers))
            await send(body(b"abc", True))
            raise error

        connection = bench.connect(app).send(request() + request())
        output = await connection.answer()
        assert output.count(b"HTTP/1.1") == 1
        assert not output.endswith(b"0\r\n\r\n")
        assert connection.transport.aborted


@pytest.mark.parametrize(
    ("sent", "aborted"), [([b"abcd"], False), ([b"ab", b"cd"], True), ([b"ab"], False), ([b"a", b"b"], True)]
)
def test_content_that_does_not_fit_its_length(bench: Any, sent: list[bytes], aborted: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(start(200, (b"content-length", b"3")))
            for piece in sent[:-1]:
                await send(body(piece, True))
            await send(body(sent[-1]))

        connection = bench.connect(app).send(request())
        output = await connection.answer()
        assert connection.transport.aborted is aborted
        assert output.startswith(ERROR_500) is not aborted


def test_cancelled_task(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(Held()).send(request())
        await bench.settle()
        for task in bench.state.tasks:
            task.cancel()
        assert (await connection.answer()).startswith(ERROR_500)
        assert connection.transport.closing


def test_limit_concurrency(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        context = bench.context(app, limit_concurrency=2)
        connections = [bench.connect(app, context=context).send(request()) for _ in range(3)]
        await bench.settle()
        assert len(app.calls) == 2
        output = await connections[2].answer()
        assert output.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
        assert CLOSE in output
        assert connections[2].transport.closing
        app.gates[0].set()
        assert await connections[0].answer() == ok(b"/")
        fourth = bench.connect(app, context=context).send(request())
        await bench.settle()
        assert len(app.calls) == 3
        for gate in app.gates:
            gate.set()
        assert await fourth.answer() == ok(b"/")


# -- extensions and the like --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("field", "wanted"), [(b"TE: trailers", True), (b"TE: gzip, Trailers", True), (b"TE: gzip", False)])
def test_x6_trailers_only_for_who_wants_them(bench: Any, field: bytes, wanted: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert scope["extensions"]["http.response.trailers"] == {}
            await send(start(trailers=True))
            await send(body(b"a"))
            await send({"type": "http.response.trailers", "headers": [(b"x", b"1")]})

        connection = bench.connect(app).send(request(b"/", field) + request(b"/", field))
        output = await connection.answer()
        assert output.count(b"\r\n\r\n1\r\na\r\n0\r\n" + (b"x: 1\r\n" if wanted else b"") + b"\r\n") == 2


def test_trailers_do_not_depend_on_a_changed_scope(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["headers"] = [("not", "bytes"), None]
            await send(start(trailers=True))
            await send(body(b"a"))
            await send({"type": "http.response.trailers", "headers": [(b"x", b"1")]})

        connection = bench.connect(app).send(request(b"/", b"TE: trailers"))
        assert (await connection.answer()).endswith(b"0\r\nx: 1\r\n\r\n")


@pytest.mark.parametrize("value", [b"websocket", b"WebSocket", b"h2c, websocket/13"])
def test_bytes_behind_an_ignored_websocket_are_no_request(bench: Any, value: bytes) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Held()
        upgrade = request(b"/1", b"Connection: Upgrade", b"Upgrade: " + value)
        connection = bench.connect(app).send(upgrade + request(b"/2"))
        await bench.settle()
        app.gates[0].set()
        assert CLOSE in await connection.answer()
        assert app.paths() == ["/1"]


def test_another_ignored_upgrade_changes_nothing(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        upgrade = request(b"/", b"Connection: Upgrade", b"Upgrade: h2c")
        assert await bench.connect(hello).send(upgrade + request(b"/2")).answer() == ok(b"/") + ok(b"/2")


def test_access_log_is_written_when_the_response_starts(bench: Any) -> None:
    class Log:
        def __init__(self) -> None:
            self.lines: list[tuple[str, int]] = []

        def log(self, scope: Any, status: int) -> None:
            self.lines.append((scope["path"], status))

    @bench
    async def _(bench: Any) -> None:
        log = Log()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/error":
                raise ValueError("x")
            await send(start(201))
            assert log.lines == []
            await send(body(b"a", True))
            assert log.lines == [("/", 201)]
            await send(body(b"b", True))
            await send(body())

        bench.connect(app, access_log=log).send(request())
        await bench.settle()
        assert log.lines == [("/", 201)]
        bench.connect(app, access_log=log).send(request(b"/error"))
        await bench.settle()
        assert log.lines == [("/", 201), ("/error", 500)]


def test_a_failing_access_log_does_not_fail_the_response(bench: Any) -> None:
    class Log:
        def log(self, scope: Any, status: int) -> None:
            raise ValueError("log")

    @bench
    async def _(bench: Any) -> None:
        connection = bench.connect(hello, access_log=Log())
        assert await connection.send(request(b"/1")).answer() == ok(b"/1")
        assert await connection.send(request(b"/2")).answer() == ok(b"/2")
        assert (await connection.send(b"\n").answer()).startswith(b"HTTP/1.1 400 ")
        assert [str(context["exception"]) for context in bench.unhandled] == ["log", "log"]
        bench.unhandled.clear()


def test_pipelined_requests_leave_turns_of_the_loop_to_others(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        count = 3 * REQUESTS_PER_TURN + 1
        connection = bench.connect(hello).send(request(b"/") * count)
        begun = 0
        while bench.state.total_requests < count:
            assert bench.state.total_requests - begun <= REQUESTS_PER_TURN
            begun = bench.state.total_requests
            await asyncio.sleep(0)
        assert await connection.answer() == ok(b"/") * count
