"""How workers are: whether the event loop of one goes round, and how long to wait before the next try after a crash.

Arithmetic on times that the caller brings along (seconds of a monotonic clock); knows no processes and no log.
"""

from __future__ import annotations

import enum

__all__ = ["CrashLoop", "Heart", "Pulse", "heartbeat_seconds", "ready_timeout_seconds"]

#: Between two heartbeats, unless a timeout asks for more of them.
HEARTBEAT_SECONDS = 1.0
#: Heartbeats within the shortest timeout, so that a single late one means nothing.
BEATS_PER_TIMEOUT = 4

#: A worker that has served for so long has not crashed in a loop.
LIVED_SECONDS = 10.0
FIRST_BACK_OFF_SECONDS = 0.5
LONGEST_BACK_OFF_SECONDS = 30.0


def heartbeat_seconds(timeout_healthcheck_seconds: float, timeout_hung_seconds: float) -> float:
    """How often a worker shall beat, so that both timeouts (0: none) can be told."""
    timeouts = [seconds for seconds in (timeout_healthcheck_seconds, timeout_hung_seconds) if seconds]
    return min([HEARTBEAT_SECONDS, *(seconds / BEATS_PER_TIMEOUT for seconds in timeouts)])


def ready_timeout_seconds(timeout_healthcheck_seconds: float, longest_start_seconds: float) -> float:
    """How long a replacement may take to get ready; 0 means for ever.

    Twice what the slowest start took so far, if that is longer: an application whose start-up loads for a minute is no reason
    never to be able to replace it.
    """
    return max(timeout_healthcheck_seconds, 2 * longest_start_seconds) if timeout_healthcheck_seconds else 0.0


class Pulse(enum.Enum):
    """What the heartbeats of a worker say."""

    FINE = "fine"
    #: silent for timeout_healthcheck: to be told once
    SILENT = "silent"
    #: silent for timeout_hung: to be replaced
    HUNG = "hung"


class Heart:
    """The heartbeats of one worker, from when it is ready on: a start-up may block the loop as long as it likes."""

    def __init__(self, timeout_healthcheck_seconds: float, timeout_hung_seconds: float) -> None:
        self._healthcheck = timeout_healthcheck_seconds
        self._hung = timeout_hung_seconds
        self._last: float | None = None
        self._told = False

    def beat(self, now: float) -> float:
        """Note a heartbeat. Returns for how many seconds there was none if that was told of, else 0."""
        silent = self.silent_seconds(now) if self._told else 0.0
        self._told = False
        self._last = now
        return silent

    def forgive(self, now: float) -> None:
        """Take silence so far for none: it was not the worker's fault."""
        if self._last is not None:
            self._last = now

    def silent_seconds(self, now: float) -> float:
        """Since the last heartbeat; 0 before the first."""
        return 0.0 if self._last is None else now - self._last

    def feel(self, now: float) -> Pulse:
        """What to do about it. SILENT comes once for each silence."""
        silent = self.silent_seconds(now)
        if self._hung and silent >= self._hung:
            return Pulse.HUNG
        if self._healthcheck and silent >= self._healthcheck and not self._told:
            self._told = True
            return Pulse.SILENT
        return Pulse.FINE

    def look_again_at(self) -> float | None:
        """When `feel` may have something new to say, None if never."""
        if self._last is None:
            return None
        timeouts = [self._hung] if self._told else [self._healthcheck, self._hung]
        due = [self._last + seconds for seconds in timeouts if seconds]
        return min(due) if due else None


class CrashLoop:
    """One place in which workers crash: the first is replaced at once, then each waits twice as long as the one before."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def crashed(self, served_seconds: float) -> float:
        """Seconds to wait before the next start, after a worker that has served for `served_seconds`."""
        if served_seconds >= LIVED_SECONDS:
            self._seconds = 0.0
        wait = self._seconds
        self._seconds = min(2 * wait, LONGEST_BACK_OFF_SECONDS) if wait else FIRST_BACK_OFF_SECONDS
        return wait
