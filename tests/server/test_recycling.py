"""The limits of a worker."""

from __future__ import annotations

import os
import sys

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server import recycling
from picocorn.server.recycling import LIFETIME_JITTER, LOOK_SECONDS, RecyclingLimits, check_platform, resident_bytes

needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be set by the test."""
    now = [1000.0]
    monkeypatch.setattr(recycling.time, "monotonic", lambda: now[0])
    return now


def test_no_limits(clock: list[float]) -> None:
    limits = RecyclingLimits(None, None, None)
    clock[0] += 1e9
    assert limits.exceeded(10**9) == ""
    assert RecyclingLimits(0, 0, 0).exceeded(10**9) == ""


def test_requests() -> None:
    limits = RecyclingLimits(10, None, None)
    assert limits.exceeded(9) == ""
    assert limits.exceeded(10) == "Maximum request limit of 10 exceeded."


def test_lifetime_with_its_jitter(clock: list[float]) -> None:
    ends = set()
    for _ in range(50):
        limits = RecyclingLimits(None, 100, None)
        started = clock[0]
        clock[0] = started + 99.9
        assert limits.exceeded(0) == ""
        while not limits.exceeded(0):
            clock[0] += 0.5
        ends.add(clock[0] - started)
        assert limits.exceeded(0) == "Maximum lifetime of 100 seconds exceeded."
    assert max(ends) <= 100 * (1 + LIFETIME_JITTER) + 0.5
    # Not all at the same time.
    assert len(ends) > 5


def test_memory_is_looked_at_now_and_then(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(recycling, "resident_bytes", lambda: asked.append(1) or 1000)
    limits = RecyclingLimits(None, None, 1000)
    for _ in range(5):
        assert limits.exceeded(0) == ""
    assert len(asked) == 1
    monkeypatch.setattr(recycling, "resident_bytes", lambda: 1001)
    clock[0] += LOOK_SECONDS
    assert limits.exceeded(0) == "Maximum resident memory of 1000 bytes exceeded: it is 1001."


@needs_proc
def test_memory_of_this_process() -> None:
    before = resident_bytes()
    held = os.urandom(32 * 1024 * 1024)
    assert resident_bytes() - before > len(held) // 2


def test_a_platform_that_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recycling, "_STATM", "/not/there")
    check_platform(None)
    check_platform(0)
    with pytest.raises(ConfigError, match=r"^Invalid value for '--limit-worker-rss': there is no /not/there on \w+\.$"):
        check_platform(1)
