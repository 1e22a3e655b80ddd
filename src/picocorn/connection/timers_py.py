"""Coarse deadlines for many connections: one timer of the loop serves all of them.

A connection re-arms its deadline on nearly every request, so arming must cost next to nothing: a later deadline only changes a
number, and the bucket in which the connection waits is looked at again when its time comes. Knows no protocol. The text is
compiled a second time as `timers_c`.
"""

from __future__ import annotations

import asyncio
import contextvars
from typing import Any

__all__ = ["Deadline", "Timers"]

#: How fine deadlines are. They are never early, and less than three of these late, and as long as the loop stood still.
RESOLUTION_SECONDS = 0.25
#: Longer is never: a setting may be infinite, and a bucket has a number.
LONGEST_SECONDS = 1e9
NEVER = float("inf")


class Deadline:
    """One connection's place in the timers. `owner.on_deadline()` is called once when it passes."""

    __slots__ = ("at_seconds", "bucket", "owner")

    def __init__(self, owner: Any) -> None:
        self.owner: Any = owner
        self.at_seconds = NEVER
        #: number of the bucket this stands in, -1 when in none; a float, which compiled code need not convert
        self.bucket = -1.0


class Timers:
    """All deadlines of one event loop. Owners are told in `context`."""

    __slots__ = ("_buckets", "_context", "_due_seconds", "_handle", "_is_resting", "_loop", "_now_seconds", "_was_armed")

    def __init__(self, loop: asyncio.AbstractEventLoop, context: contextvars.Context) -> None:
        self._loop = loop
        # Arming may happen within a request, whose variables are none of the other connections' business.
        self._context = context
        self._buckets: dict[float, set[Deadline]] = {}
        #: the next sweep, and when it is due
        self._handle: asyncio.TimerHandle | None = None
        self._due_seconds = 0.0
        #: the time of the last sweep, by which deadlines are armed
        self._now_seconds = 0.0
        #: something was armed since the last sweep
        self._was_armed = False
        #: nothing was for a while: the next sweep is when the first deadline may pass
        self._is_resting = False

    def arm(self, deadline: Deadline, seconds: float) -> None:
        """Let `deadline` pass `seconds` from now, whatever it was set to before."""
        if seconds > LONGEST_SECONDS:
            self.disarm(deadline)
            return
        if self._handle is None or self._is_resting:
            self._wake_up()
        self._was_armed = True
        # `_now_seconds` may be one resolution old, hence one more: never early.
        at_seconds = self._now_seconds + seconds + RESOLUTION_SECONDS
        deadline.at_seconds = at_seconds
        bucket = at_seconds // RESOLUTION_SECONDS + 1.0
        if deadline.bucket < 0 or bucket < deadline.bucket:
            self._move(deadline, bucket)

    def disarm(self, deadline: Deadline) -> None:
        """Let it never pass. It keeps its place, because it will most likely be armed again."""
        deadline.at_seconds = NEVER

    def remove(self, deadline: Deadline) -> None:
        """Forget it and its owner: the connection is gone and must not be kept alive from here."""
        deadline.at_seconds = NEVER
        deadline.owner = None
        if deadline.bucket >= 0:
            self._take_out(deadline)

    def _take_out(self, deadline: Deadline) -> None:
        members = self._buckets.get(deadline.bucket)
        if members is not None:
            members.discard(deadline)
            if not members:
                del self._buckets[deadline.bucket]
        deadline.bucket = -1.0

    def _move(self, deadline: Deadline, bucket: float) -> None:
        if deadline.bucket >= 0:
            self._take_out(deadline)
        deadline.bucket = bucket
        members = self._buckets.get(bucket)
        if members is None:
            self._buckets[bucket] = {deadline}
        else:
            members.add(deadline)

    def _wake_up(self) -> None:
        now = self._loop.time()
        if self._handle is not None:
            self._handle.cancel()
            self._forgive(now)
        self._now_seconds = now
        self._schedule(RESOLUTION_SECONDS)

    def _schedule(self, seconds: float) -> None:
        self._is_resting = seconds > RESOLUTION_SECONDS
        self._due_seconds = self._now_seconds + seconds
        self._handle = self._loop.call_later(seconds, self._sweep, context=self._context)

    def _sweep(self) -> None:
        self._handle = None
        now = self._loop.time()
        self._forgive(now)
        self._now_seconds = now
        current = now // RESOLUTION_SECONDS
        # A copy of the keys: owners arm, disarm and remove while they are told.
        for bucket in [number for number in self._buckets if number <= current]:
            for deadline in self._buckets.pop(bucket, ()):
                deadline.bucket = -1.0
                self._look_at(deadline, now)
        if self._buckets and self._handle is None:
            seconds = RESOLUTION_SECONDS
            if not self._was_armed:
                # Ten thousand idle connections are no reason to wake up four times a second.
                seconds = max(seconds, min(self._buckets) * RESOLUTION_SECONDS - now)
            self._was_armed = False
            self._schedule(seconds)

    def _forgive(self, now: float) -> None:
        """Put all deadlines off by the time in which the loop stood still, if it did.

        An application that blocks it keeps us from reading, so that time is not the clients' fault; and what was armed since the
        last sweep went by a time as old, which would be early. How much of a rest it stood still nobody knows: all of it counts.
        """
        if now - self._due_seconds <= RESOLUTION_SECONDS:
            return
        stalled = now - self._now_seconds - RESOLUTION_SECONDS
        for members in self._buckets.values():
            for deadline in members:
                deadline.at_seconds += stalled

    def _look_at(self, deadline: Deadline, now: float) -> None:
        if deadline.at_seconds > now:
            if deadline.at_seconds != NEVER:
                self._move(deadline, deadline.at_seconds // RESOLUTION_SECONDS + 1.0)
            return
        deadline.at_seconds = NEVER
        owner = deadline.owner
        if owner is None:
            return
        try:
            owner.on_deadline()
        except Exception as error:
            # One connection must not end the sweep for the others.
            self._loop.call_exception_handler(
                {"message": "Exception in a connection's deadline", "exception": error, "protocol": owner}
            )
