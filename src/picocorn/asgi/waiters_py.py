"""What `receive` gives an application: an awaitable that takes the next message when it is stepped, and wakes its task itself.

Pure body; knows asyncio's tasks and nothing of what the messages are. A coroutine that waits for an `asyncio.Future` is woken
through the loop's queue, one turn later. Here the callback of the poller that brought the message runs the application's next
step right inside, unless a task is running already: asyncio steps one at a time. So whoever calls `MessageSource.wake` must
have settled its own state first, look at it again afterwards, and count on anything that an application may do in between.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Generator
from types import TracebackType
from typing import Any

__all__ = ["MessageSource", "Waiter"]

# What becomes of a waiter. WAITING: a task has been given it, and it stands in its source's chain. WOKEN: it will look again.
# From there on it is done, in the words of futures.
NEW = 0
WAITING = 1
WOKEN = 2
CANCELLED = 3
FINISHED = 4

_Callback = tuple[Callable[["Waiter"], object], contextvars.Context]


class MessageSource:
    """What waiters wait for: something that gives one message at a time, to one of them each. The base of the cycles.

    `has_message` may become true only in a method that calls `wake` afterwards, or whose caller does.
    """

    __slots__ = ("_first_waiter", "_last_place")

    def __init__(self) -> None:
        self._first_waiter: Waiter | None = None
        self._last_place = 0

    def has_message(self) -> bool:
        """Whether `take_message` has something to give."""
        raise NotImplementedError

    def take_message(self) -> Any:
        """The next message. Called only when `has_message` says so."""
        raise NotImplementedError

    def wait(self) -> Waiter:
        """An awaitable that gives the next message, at once if there is one when it is awaited. Cancelling it loses none."""
        return Waiter(self)

    def wake(self) -> None:
        """Let those who wait have what there is, in the order in which they began to wait.

        Their tasks run inside this call where they can, so it is the last that a caller does. Raises only what would end the
        loop too (SystemExit, KeyboardInterrupt); the other waiters are woken all the same.
        """
        while (waiter := self._first_waiter) is not None and self.has_message():
            self._first_waiter = waiter._next
            waiter._next = None
            try:
                waiter._wake()
            except BaseException:
                waiter._loop.call_soon(self.wake)
                raise

    def _add(self, waiter: Waiter) -> None:
        # Sorted: one that was woken, and found that somebody had been quicker, comes back to the place it had.
        if not waiter._place:
            self._last_place += 1
            waiter._place = self._last_place
        before = self._first_waiter
        if before is None or before._place > waiter._place:
            waiter._next = before
            self._first_waiter = waiter
            return
        while before._next is not None and before._next._place < waiter._place:
            before = before._next
        waiter._next = before._next
        before._next = waiter

    def _remove(self, waiter: Waiter) -> None:
        one = self._first_waiter
        if one is waiter:
            self._first_waiter = waiter._next
        else:
            while one is not None and one._next is not waiter:
                one = one._next
            if one is not None:
                one._next = waiter._next
        waiter._next = None


class Waiter:
    """One `receive`: a coroutine to whoever awaits it or makes a task of it, and the future that its task then waits for.

    It is a future only to the task that it gives itself to, by `_asyncio_future_blocking`: None until then, True when it is
    given, and what the task makes of it. `asyncio.isfuture` says no to one that nobody has awaited yet.
    """

    __slots__ = (
        "_asyncio_future_blocking",
        "_callbacks",
        "_cancel_message",
        "_loop",
        "_next",
        "_place",
        "_source",
        "_state",
    )

    def __init__(self, source: MessageSource) -> None:
        self._asyncio_future_blocking: bool | None = None
        self._source: MessageSource | None = source
        self._state = NEW
        self._callbacks: list[_Callback] | None = None
        self._loop: Any = None
        self._next: Waiter | None = None
        self._place = 0
        self._cancel_message: Any = None

    # -- the coroutine

    def __await__(self) -> Generator[Any, Any, Any]:
        # It has all that `await` asks of a generator's iterator.
        return self  # type: ignore[return-value]

    def __iter__(self) -> Waiter:
        return self

    def __next__(self) -> Any:
        state, source = self._state, self._source
        if source is None or (state != NEW and state != WOKEN):
            return self._refuse_step()
        if source.has_message():
            self._state = FINISHED
            self._source = None
            raise StopIteration(source.take_message())
        self._loop = asyncio.get_running_loop()
        self._state = WAITING
        self._asyncio_future_blocking = True
        source._add(self)
        return self

    def send(self, value: Any) -> Any:
        """One step: raise StopIteration with a message, or give this object to wait for."""
        return self.__next__()

    def throw(
        self,
        kind: type[BaseException] | BaseException,
        value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> Any:
        """Be done, with that error. No message has been taken."""
        self._finish()
        if isinstance(kind, BaseException):
            raise kind
        raise (kind() if value is None else value)

    def close(self) -> None:
        """Be done, without a message."""
        self._finish()

    @property
    def cr_await(self) -> None:
        """None: what it waits for is no coroutine."""
        return None

    @property
    def cr_code(self) -> None:
        """None: there is no Python code behind it."""
        return None

    @property
    def cr_frame(self) -> None:
        """None: there is no Python code behind it."""
        return None

    @property
    def cr_running(self) -> bool:
        """False: a step of it runs nothing that could ask."""
        return False

    @property
    def cr_suspended(self) -> bool:
        """Whether it has been started and waits (bool)."""
        return self._state in (WAITING, WOKEN, CANCELLED)

    def _refuse_step(self) -> Any:
        if self._state == CANCELLED:
            error = self._cancelled_error()
            self._finish()
            raise error
        if self._state == WAITING:
            raise RuntimeError("coroutine is being awaited already")
        raise RuntimeError("cannot reuse already awaited coroutine")

    def _finish(self) -> None:
        source = self._source
        if self._state == WAITING and source is not None:
            source._remove(self)
        self._state = FINISHED
        self._source = None
        self._callbacks = None

    # -- the future

    def get_loop(self) -> Any:
        """The event loop it waits in."""
        return self._loop

    def done(self) -> bool:
        """Whether there is no need to wait any more."""
        return self._state > WAITING

    def cancelled(self) -> bool:
        """Whether waiting was cancelled."""
        return self._state == CANCELLED

    def result(self) -> None:
        """None once it is woken: the message comes with the next step. Raises InvalidStateError before, or CancelledError."""
        if self._state == WOKEN:
            return
        if self._state == CANCELLED:
            raise self._cancelled_error()
        if self._state != FINISHED:
            raise asyncio.InvalidStateError("Result is not set.")

    def exception(self) -> None:
        """None once it is woken. Raises InvalidStateError before, or CancelledError."""
        self.result()

    def add_done_callback(self, fn: Callable[[Waiter], object], *, context: contextvars.Context | None = None) -> None:
        """Have `fn(self)` called in `context` once there is no need to wait any more."""
        if context is None:
            context = contextvars.copy_context()
        if self._state > WAITING:
            self._loop.call_soon(fn, self, context=context)
        elif self._callbacks is None:
            self._callbacks = [(fn, context)]
        else:
            self._callbacks.append((fn, context))

    def remove_done_callback(self, fn: Callable[[Waiter], object]) -> int:
        """Take back `fn`. Returns how often it stood there."""
        callbacks = self._callbacks or []
        left = [callback for callback in callbacks if callback[0] != fn]
        self._callbacks = left or None
        return len(callbacks) - len(left)

    def cancel(self, msg: Any = None) -> bool:
        """Stop waiting; the task hears of it in a later turn of the loop. Returns False when it is woken already."""
        source = self._source
        if self._state != WAITING or source is None:
            return False
        source._remove(self)
        self._state = CANCELLED
        self._cancel_message = msg
        self._schedule()
        return True

    def _cancelled_error(self) -> asyncio.CancelledError:
        if self._cancel_message is None:
            return asyncio.CancelledError()
        return asyncio.CancelledError(self._cancel_message)

    def _schedule(self) -> None:
        callbacks = self._callbacks
        self._callbacks = None
        for callback, context in callbacks or ():
            self._loop.call_soon(callback, self, context=context)

    # -- waking

    def _wake(self) -> None:
        """Have the task go on: now if it can, else in a later turn. The source has taken this out of its chain."""
        self._state = WOKEN
        callbacks = self._callbacks
        loop = self._loop
        if (
            callbacks is None
            or len(callbacks) > 1
            or asyncio._get_running_loop() is not loop
            or asyncio.current_task(loop) is not None
        ):
            self._schedule()
            return
        ((callback, context),) = callbacks
        self._callbacks = None
        try:
            context.run(self._run, callback)
        except RuntimeError:
            # `_run` lets none through, so the context is in use: something that the task has left in the loop has led here.
            self._loop.call_soon(callback, self, context=context)

    def _run(self, callback: Callable[[Waiter], object]) -> None:
        try:
            callback(self)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            # As the loop does with a callback that fails: nobody above could know what to do with it.
            self._loop.call_exception_handler({"message": "Exception in callback", "exception": error, "future": self})
