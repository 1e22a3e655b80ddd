"""Awaitables that are done from the start must still be everything that asyncio wants of a coroutine."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
import types
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def module(room: Callable[[str], ModuleType]) -> ModuleType:
    return room("asgi.awaitables")


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(main())


VALUES = [None, 1, {"type": "http.request"}, (1, 2), (), StopIteration(3), ValueError("a value, not an error")]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_await_gives_the_value(module: ModuleType, value: Any) -> None:
    async def main() -> Any:
        return await module.ready(value)

    assert run(main) is value


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_task_gives_the_value(module: ModuleType, value: Any) -> None:
    async def main() -> Any:
        return await asyncio.create_task(module.ready(value))

    assert run(main) is value


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_send_gives_the_value(module: ModuleType, value: Any) -> None:
    with pytest.raises(StopIteration) as caught:
        module.ready(value).send(None)
    if not isinstance(value, (tuple, BaseException)):
        assert caught.value.value is value


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_next_gives_the_value(module: ModuleType, value: Any) -> None:
    def drive() -> Iterator[Any]:
        result = yield from iter(module.ready(value))
        assert result is value or isinstance(value, (tuple, BaseException))

    assert list(drive()) == []


def test_it_never_suspends(module: ModuleType) -> None:
    async def main() -> list[str]:
        seen: list[str] = []
        asyncio.get_running_loop().call_soon(seen.append, "the loop turned")
        for _ in range(100):
            await module.ready(None)
        return list(seen)

    assert run(main) == []


def test_reuse(module: ModuleType) -> None:
    async def main() -> None:
        one = module.ready(5)
        assert [await one for _ in range(3)] == [5, 5, 5]
        assert await asyncio.gather(asyncio.create_task(one), asyncio.create_task(module.ready(6))) == [5, 6]
        assert await module.DONE is None
        assert await module.DONE is None

    run(main)


def test_what_asyncio_asks(module: ModuleType) -> None:
    one = module.ready(1)
    assert asyncio.iscoroutine(one)
    assert inspect.isawaitable(one)
    assert isinstance(one, Awaitable)
    assert isinstance(one, Coroutine)
    assert isinstance(one, module.Ready)
    assert one.close() is None


def test_wait_for_gather_shield_and_wait(module: ModuleType) -> None:
    async def main() -> None:
        assert await asyncio.wait_for(module.ready(1), 5) == 1
        assert await asyncio.wait_for(module.ready(1), None) == 1
        assert await asyncio.gather(module.ready(1), module.ready(2)) == [1, 2]
        assert await asyncio.shield(module.ready(1)) == 1
        assert await asyncio.ensure_future(module.ready(1)) == 1
        done, pending = await asyncio.wait([asyncio.create_task(module.ready(7))])
        assert not pending
        assert [task.result() for task in done] == [7]
        async with asyncio.timeout(5):
            assert await module.ready(2) == 2
        async with asyncio.TaskGroup() as group:
            task = group.create_task(module.ready(3))
        assert task.result() == 3

    run(main)


def test_run_coroutine_threadsafe(module: ModuleType) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        future = await loop.run_in_executor(None, asyncio.run_coroutine_threadsafe, module.ready(4), loop)
        assert await asyncio.wrap_future(future) == 4

    run(main)


def test_cancelled_before_its_first_step(module: ModuleType) -> None:
    async def main() -> None:
        task = asyncio.create_task(module.ready(1))
        task.cancel("why")
        with pytest.raises(asyncio.CancelledError, match="why"):
            await task
        assert task.cancelled()

    run(main)


@pytest.mark.filterwarnings("ignore:the .* signature of throw")
def test_throw(module: ModuleType) -> None:
    one = module.ready(1)
    for arguments in ((ValueError,), (ValueError("x"),), (ValueError, ValueError("x")), (ValueError, None, None)):
        with pytest.raises(ValueError, match=r"^x?$"):
            one.throw(*arguments)


def test_in_a_generator_based_driver(module: ModuleType) -> None:
    async def inner() -> Any:
        return await module.ready(9)

    with pytest.raises(StopIteration) as caught:
        inner().send(None)
    assert caught.value.value == 9

    @types.coroutine
    def old_style() -> Any:
        return (yield from module.ready(8))

    async def outer() -> Any:
        return await old_style()

    assert asyncio.run(outer()) == 8


def test_values_are_not_kept_alive_or_lost(module: ModuleType) -> None:
    class Value:
        pass

    async def main() -> None:
        value = Value()
        gone = weakref.ref(value)
        references = sys.getrefcount(value)
        one = module.ready(value)
        for _ in range(1000):
            assert await one is value
        for _ in range(1000):
            assert await module.ready(value) is value
        del one
        assert sys.getrefcount(value) == references
        del value
        gc.collect()
        assert gone() is None

    run(main)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_task(module: ModuleType) -> None:
    async def main() -> None:
        task = asyncio.Task(module.ready(1), loop=asyncio.get_running_loop(), eager_start=True)
        assert task.done()
        assert task.result() == 1

    run(main)
