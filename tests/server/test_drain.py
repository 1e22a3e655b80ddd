"""The end of a server, step by step, with connections and tasks made for the purpose."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from picocorn.connection.context import ServerState
from picocorn.server.drain import CANCEL_MESSAGE, drain, wind_down

CLOSING = "Waiting for connections to close. (CTRL+C to force quit)"
FINISHING = "Waiting for background tasks to complete. (CTRL+C to force quit)"


class Connection:
    """Writes down what it is told, and goes when it is told what it obeys."""

    def __init__(self, state: ServerState, obeys: str) -> None:
        self.state = state
        self.obeys = obeys
        self.told: list[str] = []
        self.left: Callable[[], object] = lambda: None
        state.connections.add(self)

    def _tell(self, what: str) -> None:
        self.told.append(what)
        if what == self.obeys:
            self.state.connections.discard(self)
            self.left()

    def shutdown(self) -> None:
        self._tell("shutdown")

    def disconnect(self) -> None:
        self._tell("disconnect")


class Heard(logging.Handler):
    """Sets an event when a line is logged."""

    def __init__(self, *lines: str) -> None:
        super().__init__()
        self.events = {line: asyncio.Event() for line in lines}

    def emit(self, record: logging.LogRecord) -> None:
        if record.getMessage() in self.events:
            self.events[record.getMessage()].set()


@pytest.fixture(autouse=True)
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "picocorn.error")
    return caplog


def run(test: Callable[[ServerState], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test(ServerState()))


def task_of(state: ServerState, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    task = asyncio.create_task(coroutine)
    state.tasks.add(task)
    task.add_done_callback(state.tasks.discard)
    return task


def test_idle_connections_go_without_a_word(log: pytest.LogCaptureFixture) -> None:
    async def test(state: ServerState) -> None:
        connection = Connection(state, "shutdown")
        await drain(state, 30, lambda: False)
        assert connection.told == ["shutdown"]

    run(test)
    assert log.messages == []


def test_connections_first_then_tasks(log: pytest.LogCaptureFixture) -> None:
    async def test(state: ServerState) -> None:
        connection = Connection(state, "done")

        async def background() -> None:
            await heard.events[CLOSING].wait()
            connection._tell("done")
            await heard.events[FINISHING].wait()

        heard = Heard(CLOSING, FINISHING)
        logging.getLogger("picocorn.error").addHandler(heard)
        try:
            task = task_of(state, background())
            await drain(state, 0, lambda: False)
        finally:
            logging.getLogger("picocorn.error").removeHandler(heard)
        assert task.done()
        assert not task.cancelled()

    run(test)
    assert log.messages == [CLOSING, FINISHING]


def test_at_the_timeout_connections_are_ended_and_tasks_may_follow(log: pytest.LogCaptureFixture) -> None:
    async def test(state: ServerState) -> None:
        connection = Connection(state, "disconnect")
        told = asyncio.Event()
        connection.left = told.set

        async def waits_for_its_client() -> None:
            await told.wait()

        task = task_of(state, waits_for_its_client())
        await drain(state, 0.01, lambda: False)
        assert connection.told == ["shutdown", "disconnect"]
        assert task.done()
        assert not task.cancelled()

    run(test)
    assert not [message for message in log.messages if "Cancel" in message]


def test_then_tasks_are_cancelled_and_stubborn_ones_left(log: pytest.LogCaptureFixture) -> None:
    async def test(state: ServerState) -> None:
        reasons: list[Any] = []
        allowed = asyncio.Event()

        async def polite() -> None:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                reasons.extend(error.args)
                raise

        async def stubborn() -> None:
            while not allowed.is_set():
                try:
                    await allowed.wait()
                except asyncio.CancelledError:
                    continue

        first, second = task_of(state, polite()), task_of(state, stubborn())
        await drain(state, 0.01, lambda: False)
        assert first.cancelled()
        assert reasons == [CANCEL_MESSAGE]
        assert not second.done()
        allowed.set()
        await second

    run(test)
    assert log.messages[-2:] == [
        "Cancel 2 running task(s), timeout graceful shutdown exceeded",
        "1 task(s) did not end when they were cancelled",
    ]


def test_force_ends_the_waiting_and_the_rest(log: pytest.LogCaptureFixture) -> None:
    async def test(state: ServerState) -> None:
        connection = Connection(state, "disconnect")
        task = task_of(state, asyncio.sleep(3600))
        await drain(state, 0, lambda: CLOSING in log.messages)
        assert connection.told == ["shutdown", "disconnect"]
        assert task.cancelled()

    run(test)
    assert log.messages == [CLOSING]


class Winding(Connection):
    """Has something to do when the server winds down, as WebSockets have."""

    def wind_down(self) -> None:
        self._tell("wind_down")


def test_winding_down_ends_with_the_last_connection() -> None:
    async def main() -> None:
        state = ServerState()
        connection = Connection(state, "nothing")
        winding = Winding(state, "wind_down")
        asyncio.get_running_loop().call_later(0.02, state.connections.discard, connection)
        await asyncio.wait_for(wind_down(state, 3600, lambda: False), 30)
        assert state.winding_down
        # Nobody is closed here.
        assert (connection.told, winding.told) == ([], ["wind_down"])

    asyncio.run(main())


def test_winding_down_does_not_last_longer_than_it_may() -> None:
    async def main() -> None:
        state = ServerState()
        Connection(state, "nothing")
        await asyncio.wait_for(wind_down(state, 0.05, lambda: False), 30)
        await asyncio.wait_for(wind_down(state, 0, lambda: False), 30)
        await asyncio.wait_for(wind_down(state, 3600, lambda: True), 30)
        assert state.connections

    asyncio.run(main())
