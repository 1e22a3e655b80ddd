"""What runs the application: as a coroutine that asyncio steps, and as the task that the starter makes of it, on both bodies."""

from __future__ import annotations

import asyncio
import collections.abc
import contextvars
import gc
import inspect
import io
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Ended(Exception):
    """What the application raises here."""


@pytest.fixture
def tasks(room: Callable[[str], ModuleType]) -> Any:
    return room("asgi.tasks")


@pytest.fixture
def make(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """`make()`: a cycle that notes how the application ended; `goes_on` is what it says to an error."""

    class NotingCycle(room("asgi.cycle").Cycle):
        def __init__(self, goes_on: bool) -> None:
            super().__init__({"type": "test"})
            self.goes_on = goes_on
            self.ends: list[Any] = []

        def receive(self) -> Any:
            return "receive"

        def send(self, message: Any) -> Any:
            return message

        def application_returned(self, result: Any) -> None:
            self.ends.append(("returned", result))

        def application_raised(self, error: BaseException) -> bool:
            self.ends.append(("raised", error))
            return self.goes_on or isinstance(error, asyncio.CancelledError)

    # A native Cycle takes its scope in __init__ too, so the subclass is made the same way for both.
    return lambda goes_on=False: NotingCycle(goes_on)


def started(tasks: Any, app: Any, cycle: Any, *, running: set[Any], plain: bool = True) -> None:
    loop = asyncio.get_running_loop()
    tasks.TaskStarter(app, loop, contextvars.copy_context(), running).start(cycle, plain)


def test_the_application_gets_scope_receive_and_send(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> str:
        assert scope is cycle.scope
        assert receive() == "receive"
        assert send("message") == "message"
        assert receive.__self__ is send.__self__ is cycle
        return "result"

    cycle = make()
    assert asyncio.run(tasks.run_application(cycle, app)) is None
    assert cycle.ends == [("returned", "result")]


@pytest.mark.parametrize("goes_on", [False, True])
def test_the_cycle_decides_whether_an_error_goes_on(tasks: Any, make: Any, goes_on: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        raise error

    error = Ended()
    cycle = make(goes_on)
    if goes_on:
        with pytest.raises(Ended):
            asyncio.run(tasks.run_application(cycle, app))
    else:
        asyncio.run(tasks.run_application(cycle, app))
    assert cycle.ends == [("raised", error)]


def test_an_error_before_the_first_await(tasks: Any, make: Any) -> None:
    def app(scope: Any, receive: Any, send: Any) -> Any:
        raise Ended

    cycle = make()
    asyncio.run(tasks.run_application(cycle, app))
    assert [(how, type(what)) for how, what in cycle.ends] == [("raised", Ended)]


@pytest.mark.parametrize("kind", ["future", "object", "callable class"])
def test_any_awaitable_will_do(tasks: Any, make: Any, kind: str) -> None:
    class Awaitable:
        def __init__(self, *arguments: Any) -> None:
            pass

        def __await__(self) -> Any:
            yield from asyncio.sleep(0).__await__()
            return "result"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, "result")
        app = {"future": lambda *_: future, "object": lambda *_: Awaitable(), "callable class": Awaitable}[kind]
        task = asyncio.ensure_future(tasks.run_application(cycle, app))
        await asyncio.sleep(0)
        task.print_stack(file=io.StringIO())
        await task

    cycle = make()
    asyncio.run(main())
    assert cycle.ends == [("returned", "result")]


def test_what_is_not_awaitable_is_the_applications_error(tasks: Any, make: Any) -> None:
    cycle = make()
    asyncio.run(tasks.run_application(cycle, lambda *_: 5))
    assert [(how, type(what)) for how, what in cycle.ends] == [("raised", TypeError)]


def test_asyncio_takes_it_for_a_coroutine(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        run = tasks.run_application(make(), app)
        assert asyncio.iscoroutine(run)
        assert isinstance(run, collections.abc.Coroutine)
        task = asyncio.ensure_future(run)
        await asyncio.sleep(0)
        # What debuggers and asyncio's own warnings look at.
        assert inspect.isframe(run.cr_frame)
        assert inspect.getcoroutinestate(run) == inspect.CORO_SUSPENDED
        assert task.get_coro() is run
        assert "app" in repr(task) or "_run" in repr(task)
        assert task.get_stack()
        await task

    asyncio.run(main(), debug=True)


def test_it_can_be_awaited_and_stepped_by_hand(tasks: Any, make: Any) -> None:
    class Step:
        def __await__(self) -> Any:
            assert (yield "first") is None
            return (yield "second")

    async def app(scope: Any, receive: Any, send: Any) -> Any:
        return await Step()

    cycle = make()
    run = tasks.run_application(cycle, app)
    assert run.send(None) == "first"
    assert run.send(None) == "second"
    with pytest.raises(StopIteration) as stopped:
        run.send("sent")
    assert stopped.value.value is None
    assert cycle.ends == [("returned", "sent")]
    with pytest.raises(RuntimeError, match="cannot reuse"):
        run.send(None)
    iterated = tasks.run_application(make(), app).__await__()
    assert next(iterated) == "first"
    iterated.close()


@pytest.mark.parametrize("caught", [False, True])
def test_a_cancellation_reaches_the_application(tasks: Any, make: Any, caught: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            if not caught:
                raise
        return "result"

    async def main() -> None:
        task = asyncio.ensure_future(tasks.run_application(cycle, app))
        await asyncio.sleep(0)
        task.cancel("why")
        if caught:
            await task
        else:
            with pytest.raises(asyncio.CancelledError, match="why"):
                await task

    cycle = make()
    asyncio.run(main())
    assert [how for how, _ in cycle.ends] == ["returned" if caught else "raised"]


def test_a_task_that_was_dropped_ends_its_application(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await Forever()
        finally:
            closed.append(True)

    class Forever:
        def __await__(self) -> Any:
            yield

    closed: list[bool] = []
    run = tasks.run_application(make(), app)
    run.send(None)
    run.close()
    assert closed == [True]
    run.close()
    never = tasks.run_application(make(), app)
    never.close()
    assert closed == [True]
    abandoned = tasks.run_application(make(), app)
    abandoned.send(None)
    del abandoned
    gc.collect()
    assert closed == [True, True]


def test_an_application_cannot_step_itself(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        (run,) = runs
        for step in (lambda: run.send(None), lambda: run.throw(Ended()), run.close):
            with pytest.raises(ValueError, match="already executing"):
                step()
        await asyncio.sleep(0)

    cycle = make()
    runs = [tasks.run_application(cycle, app)]
    asyncio.run(runs[0])
    assert cycle.ends == [("returned", None)]


# -- the starter -------------------------------------------------------------------------------------------------------


def test_a_task_that_waits_stands_in_the_set_until_it_ends(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(asyncio.current_task())
        await gate.wait()

    async def main() -> None:
        running: set[Any] = set()
        started(tasks, app, cycle, running=running)
        await asyncio.sleep(0)
        assert running == set(seen)
        gate.set()
        await asyncio.wait(running)
        await asyncio.sleep(0)
        assert not running
        assert cycle.ends == [("returned", None)]

    gate = asyncio.Event()
    seen: list[Any] = []
    cycle = make()
    asyncio.run(main())


@pytest.mark.parametrize("plain", [True, False])
def test_a_task_that_fails_or_is_cancelled_leaves_the_set(tasks: Any, make: Any, plain: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        raise Ended

    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> None:
        running: set[Any] = set()
        started(tasks, never, make(), running=running, plain=plain)
        (waiting,) = running
        started(tasks, app, make(), running=running, plain=plain)
        assert len(running) == 2
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait(set(running))
        await asyncio.sleep(0)
        assert not running

    asyncio.run(main())


def test_a_task_cancelled_before_its_first_step(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("never called")

    async def main() -> None:
        loop = asyncio.get_running_loop()
        # A factory of one's own starts nothing eagerly.
        loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **options))
        running: set[Any] = set()
        started(tasks, app, cycle, running=running, plain=False)
        (task,) = running
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert not running
        assert {how for how, _ in cycle.ends} == {"raised"}, "or the request would stay unanswered"

    cycle = make()
    asyncio.run(main())


def test_a_factory_may_put_something_around_it(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def around(coroutine: Any) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            coroutine.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coroutine, **options: asyncio.Task(around(coroutine), loop=loop, **options))
        running: set[Any] = set()
        started(tasks, app, make(), running=running, plain=False)
        loop.set_task_factory(None)
        (task,) = running
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert not running

    asyncio.run(main())


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_an_eager_factory_leaves_nothing_in_the_set(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        pass

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined]
        running: set[Any] = set()
        started(tasks, app, make(), running=running, plain=False)
        await asyncio.sleep(0)
        assert not running

    asyncio.run(main())


@pytest.mark.parametrize("plain", [True, False])
def test_each_task_has_a_context_of_its_own(tasks: Any, make: Any, plain: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("changed")

    async def main() -> None:
        VARIABLE.set("base")
        starter = tasks.TaskStarter(app, asyncio.get_running_loop(), contextvars.copy_context(), set())
        VARIABLE.set("later")
        for _ in range(2):
            starter.start(make(), plain)
            await asyncio.sleep(0)
        assert VARIABLE.get() == "later"

    seen: list[str] = []
    asyncio.run(main())
    assert seen == ["base", "base"]


def test_nothing_of_a_request_outlives_it(tasks: Any, make: Any) -> None:
    class Held:
        pass

    async def app(scope: Any, receive: Any, send: Any) -> None:
        held = Held()
        references.append(weakref.ref(held))
        VARIABLE.set(held)  # type: ignore[arg-type]

    async def main() -> None:
        starter = tasks.TaskStarter(app, asyncio.get_running_loop(), contextvars.copy_context(), set())
        cycle = make()
        references.append(weakref.ref(cycle))
        starter.start(cycle, True)
        del cycle
        for _ in range(4):  # the task's own callbacks
            await asyncio.sleep(0)
        gc.collect()
        assert [reference() for reference in references] == [None, None]

    references: list[Any] = []
    asyncio.run(main())


def test_an_application_may_start_another_from_within(tasks: Any, make: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        depth.append(VARIABLE.get())
        VARIABLE.set("outer")
        if len(depth) < 5:
            starters[0].start(make(), True)
        assert VARIABLE.get() == "outer"

    async def main() -> None:
        starters.append(tasks.TaskStarter(app, asyncio.get_running_loop(), contextvars.copy_context(), set()))
        starters[0].start(make(), True)
        for _ in range(5):  # where tasks start eagerly, all have run by now
            await asyncio.sleep(0)

    depth: list[str] = []
    starters: list[Any] = []
    asyncio.run(main())
    assert depth == ["unset"] * 5
