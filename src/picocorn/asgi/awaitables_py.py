"""Awaitables that are already done, so that `await send(...)` costs no coroutine when there is nothing to wait for.

They answer to `collections.abc.Coroutine` too, because applications hand `send(...)` straight to
`asyncio.create_task`, which insists on a coroutine.
"""

from __future__ import annotations

from collections.abc import Generator
from types import TracebackType
from typing import Any

__all__ = ["DONE", "Ready", "ready"]


class Ready:
    """An awaitable that gives `value` at once. Can be awaited again: it holds no position."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[Any, Any, Any]:
        # It has all that `await` asks of a generator's iterator.
        return self  # type: ignore[return-value]

    def __iter__(self) -> Ready:
        return self

    def __next__(self) -> Any:
        raise StopIteration(self._value)

    def send(self, value: Any) -> Any:
        """Be done, with the value."""
        raise StopIteration(self._value)

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        """Be done, with that error."""
        # asyncio throws CancelledError into a task that was cancelled before its first step.
        if isinstance(kind, BaseException):
            raise kind
        raise (kind() if value is None else value)

    def close(self) -> None:
        """Nothing is held that could be closed."""


def ready(value: Any) -> Ready:
    """Make a done awaitable that gives `value`."""
    return Ready(value)


#: What `send()` returns when it need not wait.
DONE = Ready(None)
