"""The ASGI state of one request whose client or application comes to an end."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from asgi.cycles import DISCONNECT, END, START, body, now, run, run_application, sent
from picocorn.base.errors import ClientDisconnected, LocalProtocolError

# -- the client has gone: E9, C8 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [[], [START], [START, body(b"a", True)], [{**START, "trailers": True}, END]])
def test_e9_send_raises_oserror(make: Any, before: list[Any]) -> None:
    cycle = make()
    sent(cycle, *before)
    cycle.disconnect()
    calls = list(cycle.wire.calls)
    following: list[dict[str, Any]] = [
        {"type": f"http.response.{kind}", "links": []} for kind in ("start", "body", "trailers", "early_hint", "pathsend")
    ]
    raised = 0
    for message in following:
        with pytest.raises((ClientDisconnected, LocalProtocolError)) as caught:
            cycle.send({**START, **message})
        raised += isinstance(caught.value, OSError)
    assert raised
    assert cycle.wire.calls == calls


def test_after_the_response_a_lost_client_is_no_error(make: Any) -> None:
    cycle = make()
    sent(cycle, START, END)
    cycle.disconnect()
    assert now(cycle.send(END)) is None


def test_c8_escaping_error_is_quiet(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        cycle.disconnect()
        await send(END)

    cycle = make()
    run(run_application(cycle, app))
    assert not caplog.records
    assert ("fail",) not in cycle.wire.calls


def test_returning_after_a_disconnect_is_quiet(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        cycle.disconnect()

    cycle = make()
    run(run_application(cycle, app))
    assert not caplog.records
    assert cycle.wire.calls == []


def test_other_errors_after_a_disconnect_are_told(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        cycle.disconnect()
        raise ValueError("mine")

    cycle = make()
    run(run_application(cycle, app))
    assert "ValueError: mine" in caplog.text
    assert ("fail",) not in cycle.wire.calls


def test_somebody_elses_client_disconnected_is_told(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ClientDisconnected("of another connection")

    cycle = make()
    run(run_application(cycle, app))
    assert "of another connection" in caplog.text
    assert cycle.wire.calls == [("fail",)]


# -- the application's end: C7, E4 --------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [ValueError("x"), SystemExit(3), KeyboardInterrupt(), ExceptionGroup("g", [ValueError()])])
@pytest.mark.parametrize("before", [[], [START], [START, body(b"a", True)]])
def test_c7_error_fails_the_response(make: Any, error: BaseException, before: list[Any], caplog: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)
        raise error

    cycle = make()
    run(run_application(cycle, app))
    assert cycle.wire.calls[-1] == ("fail",)
    assert "Exception in ASGI application\n" in caplog.text
    assert type(error).__name__ in caplog.text
    # The instance is over: what a task of it still says changes nothing.
    assert now(cycle.send(END)) is None
    assert now(cycle.receive()) == DISCONNECT


def test_error_after_the_response_is_only_logged(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send(END)
        raise ValueError("in the background")

    cycle = make()
    run(run_application(cycle, app))
    assert ("fail",) not in cycle.wire.calls
    assert "in the background" in caplog.text


@pytest.mark.parametrize(
    ("before", "word"), [([], "starting"), ([START], "completing"), ([START, body(b"", True)], "completing")]
)
def test_returning_early(make: Any, before: list[Any], word: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in before:
            await send(message)

    cycle = make()
    run(run_application(cycle, app))
    assert cycle.wire.calls[-1] == ("fail",)
    assert f"ASGI callable returned without {word} response." in caplog.text


@pytest.mark.parametrize("complete", [True, False])
def test_returning_something(make: Any, complete: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> str:
        await send(START)
        await send(body(b"", not complete))
        return "something"

    cycle = make()
    run(run_application(cycle, app))
    assert "ASGI callable should return None, but returned 'something'." in caplog.text
    assert (cycle.wire.calls[-1] == ("fail",)) is not complete


def test_callable_that_is_not_awaitable(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    cycle = make()
    run(run_application(cycle, lambda scope, receive, send: 5))
    assert cycle.wire.calls == [("fail",)]
    assert "TypeError" in caplog.text


def test_cancelled_application(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await asyncio.get_running_loop().create_future()

        cycle = make()
        task = asyncio.create_task(run_application(cycle, app))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cycle.wire.calls == [("fail",)]

    run(main())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_c11_application_sees_the_very_scope(make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        scope.clear()
        await send(START)
        await send(END)

    seen: list[Any] = []
    cycle = make()
    run(run_application(cycle, app))
    assert seen[0] is cycle.scope


def test_application_may_run_receive_and_send_as_tasks(make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await asyncio.create_task(receive()))["type"] == "http.request"
        await asyncio.create_task(send(START))
        await asyncio.gather(send(body(b"a", True)), send(body(b"b", True)))
        await asyncio.wait_for(send(END), 1)

    cycle = make()
    cycle.feed_end()
    run(run_application(cycle, app))
    assert [call[0] for call in cycle.wire.calls] == ["head", "data", "data", "data"]
