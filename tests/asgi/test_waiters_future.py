"""The protocol of futures that a waiter keeps, by hand."""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

import pytest

from asgi.waiting import outside, turns

VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def test_a_future_that_waits_and_is_woken(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        assert waiter._asyncio_future_blocking is None
        assert waiter.send(None) is waiter
        assert waiter._asyncio_future_blocking is True
        waiter._asyncio_future_blocking = False
        assert not waiter._asyncio_future_blocking
        assert waiter.get_loop() is asyncio.get_running_loop()
        assert not waiter.done()
        for ask in (waiter.result, waiter.exception):
            with pytest.raises(asyncio.InvalidStateError):
                ask()
        await outside(source.feed, "message")
        assert waiter.done()
        assert not waiter.cancelled()
        assert waiter.result() is waiter.exception() is None
        assert not waiter.cancel()
        with pytest.raises(StopIteration) as stopped:
            waiter.send(None)
        assert stopped.value.value == "message"
        assert waiter.done()
        assert waiter.result() is None

    asyncio.run(main())


def test_a_future_that_is_cancelled(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        assert not waiter.cancel(), "there is nothing to cancel yet"
        waiter.send(None)
        assert waiter.cancel(msg="why")
        assert not waiter.cancel()
        assert waiter.done()
        assert waiter.cancelled()
        for ask in (waiter.result, waiter.exception):
            with pytest.raises(asyncio.CancelledError, match="why"):
                ask()
        source.feed("message")
        with pytest.raises(asyncio.CancelledError, match="why"):
            waiter.send(None)
        with pytest.raises(RuntimeError, match="cannot reuse"):
            waiter.send(None)
        assert source.messages == ["message"]

    asyncio.run(main())


def test_several_callbacks(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        waiter.send(None)
        calls: list[Any] = []

        def first(future: Any) -> None:
            calls.append(("first", future, VARIABLE.get()))

        def second(future: Any) -> None:
            calls.append(("second", future, VARIABLE.get()))

        context = contextvars.copy_context()
        context.run(VARIABLE.set, "of its own")
        waiter.add_done_callback(first)
        waiter.add_done_callback(second, context=context)
        waiter.add_done_callback(first)
        waiter.add_done_callback(calls.append)
        assert waiter.remove_done_callback(first) == 2
        assert waiter.remove_done_callback(first) == 0
        waiter.add_done_callback(first)
        await outside(source.feed, "message")
        await turns()
        assert calls == [("second", waiter, "of its own"), waiter, ("first", waiter, "unset")]
        waiter.add_done_callback(second)
        assert len(calls) == 3
        await turns()
        assert calls[3:] == [("second", waiter, "unset")]

    asyncio.run(main())


def test_a_method_of_a_task_as_callback_gets_a_future(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        task = asyncio.create_task(asyncio.sleep(20))
        await turns()
        waiter = source.wait()
        waiter.send(None)
        waiter.add_done_callback(task.cancel)
        await outside(source.feed, "message")
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_nobody_to_tell(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        waiter = source.wait()
        waiter.send(None)
        source.feed("message")
        with pytest.raises(StopIteration) as stopped:
            next(waiter)
        assert stopped.value.value == "message"

    asyncio.run(main())


@pytest.mark.filterwarnings("ignore:the .* signature of throw")
@pytest.mark.parametrize(
    "arguments", [(ValueError,), (ValueError("x"),), (ValueError, ValueError("x")), (ValueError, None, None)]
)
def test_throw(make_source: Any, arguments: Any) -> None:
    async def main() -> None:
        source = make_source()
        first, second = source.wait(), source.wait()
        first.send(None)
        second.send(None)
        with pytest.raises(ValueError, match=r"^x?$"):
            first.throw(*arguments)
        source.feed("message")
        assert second.done()
        with pytest.raises(RuntimeError, match="cannot reuse"):
            first.send(None)

    asyncio.run(main())


def test_close(make_source: Any) -> None:
    async def main() -> None:
        source = make_source()
        first, second = source.wait(), source.wait()
        first.send(None)
        second.send(None)
        first.close()
        first.close()
        source.feed("message")
        assert second.done()
        source.wait().close()
        assert source.messages == ["message"]

    asyncio.run(main())
