"""How long connections hold a request back for the application's call before it, which has answered and not yet returned.

Most calls have little left to do then: a task group ends, a framework closes its request. To begin the next request beside them
would only put more calls side by side than there are clients. But background tasks may run for minutes, and hold up nobody.

Knows asyncio's loop alone. No twin: only calls that go on behind their answer come here, with a client that is in a hurry.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

__all__ = ["HASTY_REQUESTS", "LONGEST_SECONDS", "PATIENCE_SECONDS", "TICK_SECONDS", "Patience"]

#: How long a connection waits on an idle server.
PATIENCE_SECONDS = 0.005
#: How long it waits at most, on a busy one. Calls may stand in one line there, as Django's do for its one thread: measured, what
#: is left of 64 of them takes up to 40 ms.
LONGEST_SECONDS = 0.05
#: How often is looked. The server is busy when a look is late by more than two of these, and when calls end that are waited for.
TICK_SECONDS = 0.001
#: Requests of a connection that wait for nothing once one has waited in vain: what runs on there does so for long.
HASTY_REQUESTS = 15


class Patience:
    """The connections of one event loop that hold a request back. One timer serves all, in `context`; none when nobody waits."""

    __slots__ = ("_busy_seconds", "_context", "_due_seconds", "_is_ticking", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        #: when the server was busy last
        self._busy_seconds = 0.0
        self._context = context
        #: when the next look is due, while `_is_ticking`
        self._due_seconds = 0.0
        self._is_ticking = False
        self._loop = loop
        #: when each began to wait, in that order
        self._waiting: dict[Any, float] = {}

    def wait(self, connection: Any) -> None:
        """Have `connection.patience_ended()` called when it has waited long enough, unless it is done or has left by then."""
        now = self._loop.time()
        self._waiting[connection] = now
        if not self._is_ticking:
            self._schedule(now)

    def done(self, connection: Any) -> None:
        """The call that it waits for has ended."""
        self._busy_seconds = self._loop.time()
        self.leave(connection)

    def leave(self, connection: Any) -> None:
        """It waits no longer. Repeats are harmless."""
        self._waiting.pop(connection, None)

    def _schedule(self, now: float) -> None:
        self._is_ticking = True
        self._due_seconds = now + TICK_SECONDS
        self._loop.call_later(TICK_SECONDS, self._on_tick, context=self._context)

    def _on_tick(self) -> None:
        self._is_ticking = False
        now = self._loop.time()
        if now - self._due_seconds > 2 * TICK_SECONDS:
            self._busy_seconds = now
        is_busy = now - self._busy_seconds < PATIENCE_SECONDS
        latest = now - (LONGEST_SECONDS if is_busy else PATIENCE_SECONDS)
        waiting = self._waiting
        while waiting:
            connection = next(iter(waiting))
            if waiting[connection] > latest:
                break
            del waiting[connection]
            connection.patience_ended()
        if waiting:
            self._schedule(now)
