"""A source of messages, kinds of loops and of tasks, and ways to be outside of every task: for the tests of waiters."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["FACTORIES", "LOOPS", "Raised", "outside", "source_class", "turns"]


def source_class(module: ModuleType) -> Any:
    """The class of a source in the body `module`: `feed` gives it messages and wakes."""

    class Source(module.MessageSource):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.messages: list[Any] = []

        def has_message(self) -> bool:
            return bool(self.messages)

        def take_message(self) -> Any:
            return self.messages.pop(0)

        def feed(self, *messages: Any) -> None:
            self.messages += messages
            self.wake()

    return Source


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
try:
    import uvloop
except ImportError:
    pass
else:
    LOOPS["uvloop"] = uvloop.new_event_loop


class Task(asyncio.Task[Any]):
    """A subclass, as debuggers have."""


#: Task factories; each of their tasks waits and is woken in a way of its own.
FACTORIES: dict[str, Any] = {
    "plain": None,
    "python": lambda loop, coroutine, **options: asyncio.tasks._PyTask(coroutine, loop=loop, **options),  # type: ignore[attr-defined]
    "subclass": lambda loop, coroutine, **options: Task(coroutine, loop=loop, **options),
}
if sys.version_info >= (3, 12):
    # Not asyncio's own factory: uvloop hands it the option too, and it takes it from Python 3.13.3 on only.
    FACTORIES["eager"] = lambda loop, coroutine, **options: asyncio.Task(coroutine, loop=loop, **{**options, "eager_start": True})


async def turns(count: int = 3) -> None:
    """So many turns of the loop."""
    for _ in range(count):
        await asyncio.sleep(0)


class Raised(Exception):
    """Stands for an error that no future may hold."""


async def outside(function: Callable[..., Any], *args: Any) -> Any:
    """Call `function` from a callback of the loop, where no task is running, and give what it returns."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()

    def call() -> None:
        try:
            future.set_result(function(*args))
        except BaseException as error:
            future.set_exception(error if isinstance(error, Exception) else Raised(error))

    loop.call_soon(call)
    return await future
