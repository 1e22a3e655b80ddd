"""The lifespan protocol, L1-L7 of the specification, in the modes auto, on and off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from picocorn.asgi.lifespan import LifespanOff, LifespanOn
from picocorn.base.errors import LifespanError

STARTING = ["Waiting for application startup.", "Application startup complete."]
ENDING = ["Waiting for application shutdown.", "Application shutdown complete."]
UNSUPPORTED = "ASGI 'lifespan' protocol appears unsupported."


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "picocorn.error")
    return caplog


def run(app: Any, mode: str = "auto", between: Callable[[LifespanOn], None] | None = None) -> LifespanOn:
    """Start up, and shut down if the start-up has succeeded."""

    async def main() -> LifespanOn:
        lifespan = LifespanOn(SimpleNamespace(loaded_app=app, lifespan=mode, asgi_version="3.0"))
        await lifespan.startup()
        if between is not None:
            between(lifespan)
        if not lifespan.should_exit:
            await lifespan.shutdown()
        return lifespan

    return asyncio.run(main())


def speaking(**answers: Any) -> Any:
    """An application that answers `startup` and `shutdown` with the given message, or raises the given exception."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for event in ("startup", "shutdown"):
            message = await receive()
            assert message == {"type": f"lifespan.{event}"}
            answer = answers.get(event, {"type": f"lifespan.{event}.complete"})
            if isinstance(answer, BaseException):
                raise answer
            await send(answer)

    return app


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_start_and_end(mode: str, log: pytest.LogCaptureFixture) -> None:
    assert not run(speaking(), mode).should_exit
    assert log.messages == STARTING + ENDING


def test_scope_and_loop() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.extend((dict(scope), asyncio.get_running_loop()))
        scope["state"]["database"] = seen
        await receive()
        await send({"type": "lifespan.startup.complete", "x-unknown": 1})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})

    loops: list[Any] = []
    lifespan = run(app, between=lambda lifespan: loops.append(asyncio.get_running_loop()))
    scope, loop = seen
    assert scope == {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {"database": seen}}
    assert lifespan.state == {"database": seen}
    assert loop is loops[0]


@pytest.mark.parametrize("mode", ["auto", "on"])
@pytest.mark.parametrize("message", ["no database", ""])
def test_failed_startup_ends_in_every_mode(mode: str, message: str, log: pytest.LogCaptureFixture) -> None:
    answer = {"type": "lifespan.startup.failed"} | ({"message": message} if message else {})
    lifespan = run(speaking(startup=answer), mode)
    assert lifespan.should_exit
    said = [message] if message else []
    assert log.messages == [STARTING[0], *said, "Application startup failed. Exiting."]


def test_failed_startup_says_so_once(log: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise RuntimeError("no database")

    assert run(app, "on").should_exit
    assert log.messages == [STARTING[0], "no database", "Application startup failed. Exiting."]


def test_auto_goes_on_without_an_application_that_does_not_take_part(log: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise KeyError("method")

    assert not run(app).should_exit
    # No shutdown event afterwards.
    assert log.messages == [STARTING[0], UNSUPPORTED, STARTING[1]]


def test_the_exception_behind_unsupported_can_be_seen(log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.DEBUG, "picocorn.error")
    run(speaking(startup=KeyError("method")))
    (record,) = (record for record in log.records if record.levelno == logging.DEBUG)
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


def test_on_insists(log: pytest.LogCaptureFixture) -> None:
    assert run(speaking(startup=KeyError("method")), "on").should_exit
    assert log.messages == [STARTING[0], "Exception in 'lifespan' protocol\n", "Application startup failed. Exiting."]
    assert log.records[1].levelno == logging.ERROR
    assert log.records[1].exc_info is not None


def test_an_application_that_just_returns(log: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        return None

    assert not run(app, "on").should_exit
    assert log.messages == STARTING + ENDING


@pytest.mark.parametrize("message", ["disk full", ""])
def test_failed_shutdown(message: str, log: pytest.LogCaptureFixture) -> None:
    lifespan = run(speaking(shutdown={"type": "lifespan.shutdown.failed", "message": message}))
    assert lifespan.should_exit
    said = [message] if message else []
    assert log.messages == [*STARTING, ENDING[0], *said, "Application shutdown failed. Exiting."]


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_exception_in_shutdown(mode: str, log: pytest.LogCaptureFixture) -> None:
    assert run(speaking(shutdown=OSError("disk full")), mode).should_exit
    assert log.messages == [
        *STARTING,
        ENDING[0],
        "Exception in 'lifespan' protocol\n",
        "Application shutdown failed. Exiting.",
    ]


@pytest.mark.parametrize(
    "messages",
    [
        ["lifespan.shutdown.complete"],
        ["lifespan.startup.complete", "lifespan.startup.complete"],
        ["lifespan.startup.complete", "lifespan.startup.failed"],
        ["lifespan.startup.complete", "lifespan.shutdown.complete", "lifespan.shutdown.failed"],
    ],
)
def test_wrong_order_raises_in_the_application(messages: list[str]) -> None:
    raised: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for kind in messages[:-1]:
            await send({"type": kind})
        try:
            await send({"type": messages[-1]})
        except AssertionError as error:
            raised.append(error)

    run(app)
    (error,) = raised
    assert isinstance(error, LifespanError)
    assert str(error) == "Got invalid state transition on lifespan protocol."


@pytest.mark.parametrize("message", [{"type": "http.response.start"}, {"type": "nope"}])
def test_other_messages_raise_in_the_application(message: Any) -> None:
    raised: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(message)
        except LifespanError as error:
            raised.append(error)

    run(app)
    assert "Expected a lifespan message" in str(raised[0])


def test_who_exits_in_startup_means_it() -> None:
    with pytest.raises(SystemExit, match="7"):
        run(speaking(startup=SystemExit(7)))


def test_a_forced_exit_is_no_error(log: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        lifespan = LifespanOn(SimpleNamespace(loaded_app=speaking(), lifespan="on", asgi_version="3.0"))
        await lifespan.startup()
        # The loop ends without a shutdown: what still runs is cancelled.

    asyncio.run(main())
    assert log.messages == STARTING


def test_off_never_calls_the_application(log: pytest.LogCaptureFixture) -> None:
    async def main() -> LifespanOff:
        lifespan = LifespanOff(SimpleNamespace(loaded_app=None, lifespan="off", asgi_version="3.0"))
        await lifespan.startup()
        await lifespan.shutdown()
        return lifespan

    lifespan = asyncio.run(main())
    assert not lifespan.should_exit
    assert lifespan.state == {}
    assert log.messages == []
