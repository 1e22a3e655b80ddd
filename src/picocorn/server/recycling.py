"""When a worker has done enough: its limits of requests, time and memory. Knows neither server nor supervisor."""

from __future__ import annotations

import os
import random
import sys
import time

from ..base.errors import ConfigError

__all__ = ["LIFETIME_JITTER", "RecyclingLimits", "check_platform", "resident_bytes"]

#: Up to this part of the lifetime is added to it, so that workers which started together do not end together.
LIFETIME_JITTER = 0.1
#: Between two looks at the memory.
LOOK_SECONDS = 1.0

_STATM = "/proc/self/statm"


def check_platform(limit_rss_bytes: int | None) -> None:
    """Raise ConfigError if memory is limited where nobody tells how much of it is in use."""
    if limit_rss_bytes and not os.path.exists(_STATM):
        raise ConfigError(f"Invalid value for '--limit-worker-rss': there is no {_STATM} on {sys.platform}.")


def resident_bytes() -> int:
    """Resident memory of this process."""
    with open(_STATM, encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class RecyclingLimits:
    """The limits of one worker. None and 0 mean no limit; times are seconds, sizes bytes.

    `requests` has its jitter already; that of the lifetime is drawn here.
    """

    def __init__(self, requests: int | None, lifetime_seconds: float | None, rss_bytes: int | None) -> None:
        self._requests = requests or 0
        self._lifetime = lifetime_seconds or 0.0
        self._rss = rss_bytes or 0
        self._ends_at = time.monotonic() + self._lifetime * (1 + random.uniform(0, LIFETIME_JITTER))
        self._look_at = 0.0

    def exceeded(self, requests: int) -> str:
        """Which limit is exceeded, in words for the log; "" for none."""
        now = time.monotonic()
        if self._requests and requests >= self._requests:
            return f"Maximum request limit of {self._requests} exceeded."
        if self._lifetime and now >= self._ends_at:
            return f"Maximum lifetime of {self._lifetime:g} seconds exceeded."
        if self._rss and now >= self._look_at:
            self._look_at = now + LOOK_SECONDS
            rss = resident_bytes()
            if rss > self._rss:
                return f"Maximum resident memory of {self._rss} bytes exceeded: it is {rss}."
        return ""
