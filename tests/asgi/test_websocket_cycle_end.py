"""The ASGI state of one WebSocket whose application comes to an end: W10, W11, C7, C8."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from typing import Any

import pytest

from asgi.cycles import now, run, run_application
from asgi.waiting import outside, turns
from asgi.websockets import ACCEPT, CLOSE, CONNECT, body, closed, received, start, text
from picocorn.base.errors import ClientDisconnected

#: What the wire is asked for in each state when the application ends there, by an error or by returning.
UNFINISHED = [
    ([], ("reject", 500), ("reject", 500)),
    ([ACCEPT], ("close", 1011, ""), ("close", 1000, "")),
    ([ACCEPT, text("a")], ("close", 1011, ""), ("close", 1000, "")),
    ([start()], ("fail",), ("fail",)),
    ([start(), body(b"a", True)], ("fail",), ("fail",)),
]
FINISHED = [[CLOSE], [ACCEPT, CLOSE], [start(), body()]]


def application(*messages: dict[str, Any], error: BaseException | None = None, result: Any = None) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> Any:
        for message in messages:
            await send(message)
        if error is not None:
            raise error
        return result

    return app


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), ExceptionGroup("g", [ValueError()])])
@pytest.mark.parametrize(("before", "end"), [(before, end) for before, end, _ in UNFINISHED])
def test_c7_w11_an_error(make_websocket: Any, error: BaseException, before: Any, end: Any, caplog: Any) -> None:
    cycle = make_websocket()
    run(run_application(cycle, application(*before, error=error)))
    assert cycle.wire.calls[len(before) :] == [end]
    assert errors(caplog) == ["Exception in ASGI application\n"]
    assert type(error).__name__ in caplog.text
    assert cycle.closed
    assert received(cycle, 2) == [CONNECT, closed(1011 if ACCEPT in before else 1006)]


@pytest.mark.parametrize(("before", "end"), [(before, end) for before, _, end in UNFINISHED])
def test_w11_returning(make_websocket: Any, before: Any, end: Any, caplog: pytest.LogCaptureFixture) -> None:
    cycle = make_websocket()
    run(run_application(cycle, application(*before)))
    assert cycle.wire.calls[len(before) :] == [end]
    if ACCEPT in before:
        assert errors(caplog) == []
    else:
        word = "response" if before else "handshake"
        assert errors(caplog) == [f"ASGI callable returned without completing {word}."]
    assert received(cycle, 2) == [CONNECT, closed(1000 if ACCEPT in before else 1006)]


@pytest.mark.parametrize(("before", "end"), [(before, end) for before, end, _ in UNFINISHED])
def test_returning_something(make_websocket: Any, before: Any, end: Any, caplog: pytest.LogCaptureFixture) -> None:
    cycle = make_websocket()
    run(run_application(cycle, application(*before, result="something")))
    assert cycle.wire.calls[len(before) :] == [end]
    assert errors(caplog) == ["ASGI callable should return None, but returned 'something'."]


@pytest.mark.parametrize("before", FINISHED)
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ({}, []),
        ({"error": ValueError()}, ["Exception in ASGI application\n"]),
        ({"result": 5}, ["ASGI callable should return None, but returned '5'."]),
    ],
)
def test_the_end_of_an_application_that_has_closed(make_websocket: Any, before: Any, end: Any, told: Any, caplog: Any) -> None:
    cycle = make_websocket()
    run(run_application(cycle, application(*before, **end)))
    assert len(cycle.wire.calls) == len(before)
    assert errors(caplog) == told


@pytest.mark.parametrize("before", [[], [ACCEPT], [start()]])
def test_returning_after_a_loss_is_quiet(make_websocket: Any, before: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)
        cycle.disconnect(1006)

    cycle = make_websocket()
    run(run_application(cycle, app))
    assert len(cycle.wire.calls) == len(before)
    assert errors(caplog) == []


@pytest.mark.parametrize("by", ["peer", "loss", "application"])
@pytest.mark.parametrize("wrapped", ["as it is", "chained", "group"])
def test_c8_an_escaping_disconnect_is_quiet(make_websocket: Any, by: str, wrapped: str, caplog: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        if by == "peer":
            cycle.feed_close(1000, "")
        elif by == "loss":
            cycle.disconnect(1006)
        else:
            await send(CLOSE)
        try:
            await send(text("a"))
        except OSError as error:
            if wrapped == "chained":
                raise RuntimeError("what a framework makes of it") from error
            if wrapped == "group":
                raise ExceptionGroup("of tasks", [error]) from None
            raise

    cycle = make_websocket()
    run(run_application(cycle, app))
    assert errors(caplog) == []
    assert ("close", 1011, "") not in cycle.wire.calls


def test_other_errors_after_the_end_are_told(make_websocket: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        cycle.feed_close(1000, "")
        raise ValueError("mine")

    cycle = make_websocket()
    run(run_application(cycle, app))
    assert "ValueError: mine" in caplog.text
    assert len(cycle.wire.calls) == 1


def test_somebody_elses_client_disconnected_is_told(make_websocket: Any, caplog: pytest.LogCaptureFixture) -> None:
    cycle = make_websocket()
    run(run_application(cycle, application(ACCEPT, error=ClientDisconnected("of another connection"))))
    assert "of another connection" in caplog.text
    assert cycle.wire.calls[-1] == ("close", 1011, "")


@pytest.mark.parametrize(
    ("before", "end"), [([], ("reject", 500)), ([ACCEPT], ("close", 1012, "")), ([start()], ("fail",)), ([ACCEPT, CLOSE], None)]
)
def test_a_cancelled_application(make_websocket: Any, before: Any, end: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        cycle = make_websocket()
        task = asyncio.create_task(run_application(cycle, app))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cycle.wire.calls[len(before) :] == ([end] if end else [])
        # It may be told twice.
        assert cycle.application_raised(asyncio.CancelledError())
        assert len(cycle.wire.calls) == len(before) + bool(end)

    run(main())
    assert errors(caplog) == []


def test_a_cancelled_receive_ends_the_application(make_websocket: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        while True:
            await receive()

    async def main() -> None:
        cycle = make_websocket()
        task = asyncio.create_task(run_application(cycle, app))
        await turns()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cycle.wire.calls[1:] == [("close", 1012, "")]

    run(main())


def test_an_application_whose_loop_was_dropped_tells_nobody(make_websocket: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await asyncio.get_running_loop().create_future()

    async def main() -> Any:
        coroutine = run_application(cycle, app)
        coroutine.send(None)
        return coroutine

    cycle = make_websocket()
    coroutine = run(main())
    coroutine.close()
    assert cycle.wire.calls == [("accept", None, [])]
    assert errors(caplog) == []


def test_the_end_wakes_what_the_application_has_left_waiting(make_websocket: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        await send(ACCEPT)
        tasks.append(asyncio.create_task(receive()))
        await turns()

    async def main() -> None:
        await run_application(make_websocket(), app)
        assert await tasks[0] == closed(1000)

    tasks: list[Any] = []
    run(main())


def test_an_application_may_end_inside_the_wake(make_websocket: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        while "text" not in await receive():
            pass

    def session(cycle: Any) -> None:
        cycle.feed_message("enough")
        cycle.feed_message("more")
        cycle.wake()
        assert cycle.closed
        assert cycle.wire.calls[-1] == ("close", 1000, "")
        # What is still on its way finds it so.
        cycle.feed_message("late")
        cycle.feed_close(1000, "")
        cycle.disconnect(1006)

    async def main() -> None:
        cycle = make_websocket()
        task = asyncio.create_task(run_application(cycle, app))
        await turns()
        await outside(session, cycle)
        await task
        assert cycle.wire.calls == [("accept", None, []), ("close", 1000, "")]

    run(main())


@pytest.mark.parametrize("end", ["close", "lost"])
def test_nothing_outlives_a_websocket_that_was_waited_for(make_websocket: Any, end: str) -> None:
    class Held:
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        held = Held()
        gone.append(weakref.ref(held))
        await send(ACCEPT)
        while (await receive())["type"] != "websocket.disconnect":
            pass

    async def main() -> None:
        cycle = make_websocket()
        # Of the cycle itself there is no weak reference; what it alone holds stands for it.
        gone.append(weakref.ref(cycle.wire))
        task = asyncio.create_task(run_application(cycle, app))
        await turns()
        if end == "close":
            await outside(cycle.feed_close, 1000, "")
        else:
            await outside(cycle.disconnect, 1006)
        await task
        del cycle, task
        await turns()
        assert [reference() for reference in gone] == [None, None]

    gone: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        run(main())
    finally:
        gc.enable()


def test_receive_and_send_as_tasks(make_websocket: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await asyncio.create_task(receive()) == CONNECT
        await asyncio.create_task(send(ACCEPT))
        await asyncio.gather(send(text("a")), send(text("b")))
        await asyncio.wait_for(send(CLOSE), 1)

    cycle = make_websocket()
    run(run_application(cycle, app))
    assert [call[0] for call in cycle.wire.calls] == ["accept", "message", "message", "close"]
    assert now(cycle.receive()) == closed(1000)
