"""What `receive` waits with: a coroutine and a future at once, and the wake-up that needs no turn of the loop."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref
from typing import Any

import pytest

from asgi.waiting import Raised, outside, turns

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


class Held:
    """Something that can be waited for to go."""


# -- giving messages ----------------------------------------------------------------------------------------------------


def test_what_is_there_is_given_without_a_turn_of_the_loop(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        source.feed(1, 2, None, (3, 4), ())
        seen: list[str] = []
        asyncio.get_running_loop().call_soon(seen.append, "the loop turned")
        assert [await source.wait() for _ in range(5)] == [1, 2, None, (3, 4), ()]
        assert not seen

    run_tasks(main())


@pytest.mark.parametrize("value", [StopIteration(3), ValueError("a value"), None, (1,)], ids=repr)
def test_any_value_is_a_message(make_source: Any, run_tasks: Any, value: Any) -> None:
    async def main() -> None:
        source = make_source()
        source.feed(value, value)
        assert await source.wait() is value
        waiting = asyncio.create_task(source.wait())
        assert await waiting is value
        waiting = asyncio.create_task(source.wait())
        await turns()
        await outside(source.feed, value)
        assert await waiting is value

    run_tasks(main())


def test_the_task_goes_on_inside_the_wake(make_source: Any, run_tasks: Any) -> None:
    async def app() -> None:
        while (message := await source.wait()) != "end":
            seen.append(message)
        seen.append("end")

    def poller() -> None:
        for message in (1, 2, "end"):
            source.feed(message)
            seen.append("fed")

    async def main() -> None:
        task = asyncio.create_task(app())
        await turns()
        await outside(poller)
        assert seen == [1, "fed", 2, "fed", "end", "fed"]
        assert task.done()
        await task

    seen: list[Any] = []
    source = make_source()
    run_tasks(main())


def test_within_another_task_it_goes_on_later(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        task = asyncio.create_task(source.wait())
        await turns()
        source.feed("message")
        assert not task.done()
        await turns()
        assert task.done()
        assert await task == "message"

    run_tasks(main())


def test_where_no_loop_runs_it_goes_on_once_one_does(make_source: Any, new_loop: Any) -> None:
    source = make_source()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        task = runner.get_loop().create_task(source.wait())
        runner.run(turns())
        source.feed("message")
        assert not task.done()
        runner.run(turns())
        assert task.result() == "message"


def test_another_loop_is_no_place_to_run(make_source: Any) -> None:
    source = make_source()
    one = asyncio.new_event_loop()
    task = one.create_task(source.wait())
    one.run_until_complete(turns())

    async def elsewhere() -> None:
        await outside(source.feed, "message")
        assert not task.done()

    asyncio.run(elsewhere())
    assert one.run_until_complete(task) == "message"
    one.close()


def test_the_current_task_is_the_one_that_waited(make_source: Any, run_tasks: Any) -> None:
    async def app() -> None:
        await source.wait()
        seen.append(asyncio.current_task())
        async with asyncio.timeout(20):
            await source.wait()

    async def main() -> None:
        task = asyncio.create_task(app())
        await turns()
        await outside(source.feed, 1)
        assert seen == [task]
        await outside(lambda: seen.append(asyncio.current_task()))
        assert seen[1] is None
        await outside(source.feed, 2)
        await task

    seen: list[Any] = []
    source = make_source()
    run_tasks(main())


# -- several that wait --------------------------------------------------------------------------------------------------


def test_who_waits_longest_is_served_first(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        tasks = [asyncio.create_task(source.wait()) for _ in range(3)]
        await turns()
        for number in range(3):
            await outside(source.feed, number)
            assert [task.done() for task in tasks] == [True] * (number + 1) + [False] * (2 - number)
        assert [await task for task in tasks] == [0, 1, 2]

    run_tasks(main())


@pytest.mark.parametrize("within", [False, True], ids=["outside", "within a task"])
def test_nobody_loses_its_place_to_one_that_waits_again(make_source: Any, run_tasks: Any, within: bool) -> None:
    async def app(name: str) -> None:
        while (message := await source.wait()) != "end":
            seen.append((name, message))

    async def main() -> None:
        tasks = [asyncio.create_task(app(name)) for name in "abc"]
        await turns()
        for number in range(6):
            if within:
                source.feed(number)
                await turns()
            else:
                await outside(source.feed, number)
        await outside(source.feed, "end", "end", "end")
        await asyncio.gather(*tasks)
        assert [message for _, message in seen] == list(range(6))
        assert sorted({name for name, _ in seen}) == ["a", "b", "c"]
        assert [name for name, _ in seen[:3]] == ["a", "b", "c"]

    seen: list[Any] = []
    source = make_source()
    run_tasks(main())


def test_one_that_is_woken_for_nothing_keeps_its_place(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        first, second = (asyncio.create_task(source.wait()) for _ in range(2))
        await turns()
        source.feed("taken by somebody quicker")
        assert await source.wait() == "taken by somebody quicker"
        await turns()
        assert not first.done()
        source.feed("message")
        await turns()
        assert first.done()
        assert not second.done()
        await outside(source.feed, "another")
        assert [await first, await second] == ["message", "another"]

    run_tasks(main())


def test_a_step_may_feed_and_wake_again(make_source: Any, run_tasks: Any) -> None:
    async def app(name: str) -> None:
        while (message := await source.wait()) > 0:
            seen.append((name, message))
            source.feed(message - 1)
        source.feed(0)

    async def main() -> None:
        tasks = [asyncio.create_task(app(name)) for name in "ab"]
        await turns()
        await outside(source.feed, 5)
        await asyncio.gather(*tasks)
        assert [message for _, message in seen] == [5, 4, 3, 2, 1]

    seen: list[Any] = []
    source = make_source()
    run_tasks(main())


# -- contexts -----------------------------------------------------------------------------------------------------------


def test_each_step_runs_in_the_context_of_its_task(make_source: Any, run_tasks: Any) -> None:
    async def app(name: str) -> None:
        VARIABLE.set(name)
        await source.wait()
        seen.append(VARIABLE.get())
        VARIABLE.set("changed")

    def poller() -> None:
        VARIABLE.set("poller")
        source.feed(1, 2)
        seen.append(VARIABLE.get())

    async def main() -> None:
        tasks = [asyncio.create_task(app(name)) for name in "ab"]
        await turns()
        await outside(poller)
        await asyncio.gather(*tasks)
        assert seen == ["a", "b", "poller"]
        assert VARIABLE.get() == "unset"

    seen: list[str] = []
    source = make_source()
    run_tasks(main())


def test_a_context_that_is_in_use(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        context = contextvars.copy_context()
        task = asyncio.create_task(source.wait(), context=context)
        await turns()
        seen: list[bool] = []

        def poller() -> None:
            source.feed("message")
            seen.append(task.done())

        asyncio.get_running_loop().call_soon(poller, context=context)
        assert await task == "message"
        assert seen == [False]

    run_tasks(main())


# -- errors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt])
def test_what_ends_the_loop_comes_out_of_the_wake(make_source: Any, run_tasks: Any, error: type[BaseException]) -> None:
    async def app() -> None:
        await source.wait()
        raise error("of the application")

    async def main() -> None:
        task = asyncio.create_task(app())
        other = asyncio.create_task(source.wait())
        await turns()
        with pytest.raises(Raised, match="of the application"):
            await outside(source.feed, 1, 2)
        # The others are not forgotten.
        assert await other == 2
        assert isinstance(task.exception(), error)

    source = make_source()
    run_tasks(main())


def test_other_errors_stay_in_the_task(make_source: Any, run_tasks: Any) -> None:
    async def app() -> None:
        await source.wait()
        raise ValueError("of the application")

    async def main() -> None:
        task = asyncio.create_task(app())
        await turns()
        await outside(source.feed, "message")
        with pytest.raises(ValueError, match="of the application"):
            await task

    source = make_source()
    run_tasks(main())


def test_a_callback_that_fails_is_the_loops_business(make_source: Any) -> None:
    def callback(future: Any) -> None:
        seen.append(future)
        raise ValueError("of the callback")

    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        assert waiter.send(None) is waiter
        waiter.add_done_callback(callback)
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
        await outside(source.feed, "message")
        assert seen == [waiter]
        assert [str(context["exception"]) for context in told] == ["of the callback"]
        assert source.messages == ["message"]

    seen: list[Any] = []
    told: list[dict[str, Any]] = []
    asyncio.run(main())


def test_awaited_twice(make_source: Any, run_tasks: Any) -> None:
    async def awaiting(waiter: Any) -> Any:
        return await waiter

    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        task = asyncio.create_task(waiter)
        await turns()
        with pytest.raises(RuntimeError, match="awaited already"):
            await asyncio.create_task(awaiting(waiter))
        await outside(source.feed, "message")
        assert await task == "message"
        with pytest.raises(RuntimeError, match="cannot reuse"):
            await waiter

    run_tasks(main())


def test_without_a_loop(make_source: Any) -> None:
    waiter = make_source().wait()
    with pytest.raises(RuntimeError, match="no running event loop"):
        waiter.send(None)


# -- what is held -------------------------------------------------------------------------------------------------------


def test_nothing_is_kept_alive(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        task = asyncio.create_task(waiter)
        await turns()
        message = Held()
        await outside(source.feed, message)
        assert await task is message
        gone = [weakref.ref(message), weakref.ref(source)]
        del message, source, task
        await turns()
        # Not even while somebody keeps what has been awaited.
        assert waiter.done()
        assert [reference() for reference in gone] == [None, None]

    gc.collect()
    gc.disable()
    try:
        run_tasks(main())
    finally:
        gc.enable()


def test_an_application_that_is_dropped_while_it_waits(make_source: Any) -> None:
    async def app(held: Any, source: Any) -> None:
        try:
            await source.wait()
        finally:
            closed.append(True)

    async def main() -> None:
        held, source = Held(), make_source()
        gone.append(weakref.ref(held))
        coroutine = app(held, source)
        # Held by the source's chain, which it holds itself.
        source.coroutine = coroutine
        coroutine.send(None)

    closed: list[bool] = []
    gone: list[Any] = []
    asyncio.run(main())
    gc.collect()
    assert closed == [True]
    assert gone[0]() is None
