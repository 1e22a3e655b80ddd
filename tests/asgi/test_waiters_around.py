"""Waiting that is cancelled, timed, shielded and gathered: whatever asyncio can put around a coroutine."""

from __future__ import annotations

import asyncio
import gc
import inspect
import random
import sys
from typing import Any

import pytest

from asgi.waiting import outside, turns

# -- cancelling ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fed", ["before", "at the same time", "never"])
def test_a_cancelled_wait_takes_no_message(make_source: Any, run_tasks: Any, fed: str) -> None:
    async def main() -> None:
        source = make_source()
        task = asyncio.create_task(source.wait())
        await turns()
        if fed == "before":
            source.feed("message")
        task.cancel("why")
        if fed == "at the same time":
            source.feed("message")
        with pytest.raises(asyncio.CancelledError, match="why"):
            await task
        assert task.cancelled()
        if fed == "never":
            await outside(source.feed, "message")
        assert await source.wait() == "message"

    run_tasks(main())


def test_a_task_cancelled_before_its_first_step_takes_no_message(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        source.feed("message")
        task = asyncio.create_task(source.wait())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await source.wait() == "message"

    asyncio.run(main())


def test_a_cancellation_that_is_caught(make_source: Any, run_tasks: Any) -> None:
    async def app() -> Any:
        try:
            return await source.wait()
        except asyncio.CancelledError:
            return await source.wait()

    async def main() -> None:
        task = asyncio.create_task(app())
        await turns()
        task.cancel()
        await turns()
        await outside(source.feed, "message")
        assert await task == "message"

    source = make_source()
    run_tasks(main())


def test_the_next_in_line_gets_what_a_cancelled_one_was_woken_for(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        tasks = [asyncio.create_task(source.wait()) for _ in range(3)]
        await turns()
        source.feed("message")
        tasks[0].cancel()
        assert await tasks[1] == "message"
        with pytest.raises(asyncio.CancelledError):
            await tasks[0]
        tasks[2].cancel()
        with pytest.raises(asyncio.CancelledError):
            await tasks[2]

    run_tasks(main())


def test_any_in_line_may_be_cancelled(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()
        tasks = [asyncio.create_task(source.wait()) for _ in range(5)]
        await turns()
        for number in (2, 0, 4):
            tasks[number].cancel()
        await turns()
        await outside(source.feed, "a", "b")
        assert [await tasks[1], await tasks[3]] == ["a", "b"]
        assert all(tasks[number].cancelled() for number in (0, 2, 4))

    run_tasks(main())


def test_cancelled_waits_leave_nothing_behind(make_source: Any, run_tasks: Any) -> None:
    # Frameworks that poll for the disconnect cancel one again and again.
    async def main() -> None:
        source = make_source()
        patient = asyncio.create_task(source.wait())
        await turns()
        gc.collect()
        references = sys.getrefcount(source)
        for _ in range(10):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    await source.wait()
        gc.collect()
        assert sys.getrefcount(source) == references
        await outside(source.feed, "message")
        assert await patient == "message"

    run_tasks(main())


# -- what is put around it ----------------------------------------------------------------------------------------------


def test_whatever_is_put_around_it(make_source: Any, run_tasks: Any) -> None:
    async def main() -> None:
        source = make_source()

        async def fed(waiting: Any) -> Any:
            task = asyncio.ensure_future(waiting)
            await turns()
            await outside(source.feed, "message")
            return await task

        async def timed() -> Any:
            async with asyncio.timeout(20):
                return await source.wait()

        async def grouped() -> Any:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(source.wait())
            return task.result()

        async def waited() -> Any:
            done, pending = await asyncio.wait({asyncio.create_task(source.wait())})
            assert not pending
            return done.pop().result()

        async def first_of_two() -> Any:
            tasks = {asyncio.create_task(source.wait()), asyncio.create_task(asyncio.sleep(20))}
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            return done.pop().result()

        for wrap in (
            source.wait,
            lambda: asyncio.wait_for(source.wait(), 20),
            lambda: asyncio.wait_for(source.wait(), None),
            lambda: asyncio.shield(source.wait()),
            timed,
            grouped,
            waited,
            first_of_two,
        ):
            assert await fed(wrap()) == "message"
        assert await fed(asyncio.gather(source.wait(), asyncio.sleep(0))) == ["message", None]

    run_tasks(main())


@pytest.mark.parametrize("seconds", [0, 0.001])
def test_a_wait_that_times_out_loses_no_message(make_source: Any, run_tasks: Any, seconds: float) -> None:
    async def main() -> None:
        source = make_source()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(source.wait(), seconds)
        await outside(source.feed, "message")
        assert await asyncio.wait_for(source.wait(), 20) == "message"

    run_tasks(main())


def test_run_coroutine_threadsafe(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        loop = asyncio.get_running_loop()
        future = await loop.run_in_executor(None, asyncio.run_coroutine_threadsafe, source.wait(), loop)
        await turns()
        await outside(source.feed, "message")
        assert await asyncio.wrap_future(future) == "message"

    asyncio.run(main())


def test_what_asyncio_and_others_ask(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        assert asyncio.iscoroutine(waiter)
        assert inspect.isawaitable(waiter)
        assert not asyncio.isfuture(waiter)
        # anyio asks for this state of its tasks' coroutines.
        assert inspect.getcoroutinestate(waiter) == inspect.CORO_CLOSED
        task = asyncio.create_task(waiter)
        await turns()
        assert inspect.getcoroutinestate(waiter) == inspect.CORO_SUSPENDED
        assert "Waiter" in repr(task)
        assert task.get_stack() == []
        assert waiter.cr_await is waiter.cr_code is waiter.cr_frame is None
        await outside(source.feed, "message")
        assert await task == "message"

    asyncio.run(main(), debug=True)


@pytest.mark.parametrize("seed", range(3))
def test_no_message_is_lost_or_given_twice(make_source: Any, run_tasks: Any, seed: int) -> None:
    """Four readers that are cancelled at any moment, and messages that come from within tasks and from outside."""
    chance = random.Random(seed)
    source = make_source()
    given: list[int] = []
    fed: list[int] = []

    def feed(count: int) -> None:
        numbers = range(len(fed), len(fed) + count)
        fed.extend(numbers)
        source.feed(*numbers)

    async def reader() -> None:
        while True:
            waiter = source.wait()
            given.append(await (waiter if chance.random() < 0.5 else timed(waiter)))
            await turns(chance.randrange(2))

    async def timed(waiter: Any) -> Any:
        async with asyncio.timeout(20):
            return await waiter

    async def main() -> None:
        loop = asyncio.get_running_loop()
        readers = [asyncio.create_task(reader()) for _ in range(4)]
        for _ in range(200):
            if chance.random() < 0.5:
                loop.call_soon(feed, chance.randrange(4))
            else:
                feed(chance.randrange(4))
            if chance.random() < 0.3:
                readers.append(asyncio.create_task(reader()))
                readers.pop(chance.randrange(4)).cancel()
            await turns(chance.randrange(3))
        await turns(len(fed) + 10)
        for task in readers:
            task.cancel()
        await asyncio.wait(readers)

    run_tasks(main())
    assert sorted(given) == fed
    assert not source.messages
