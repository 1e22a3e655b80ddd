"""Heartbeats and crash loops, by a clock of the test's own."""

from __future__ import annotations

import pytest

from picocorn.server.health import (
    FIRST_BACK_OFF_SECONDS,
    HEARTBEAT_SECONDS,
    LIVED_SECONDS,
    LONGEST_BACK_OFF_SECONDS,
    CrashLoop,
    Heart,
    Pulse,
    heartbeat_seconds,
    ready_timeout_seconds,
)


@pytest.mark.parametrize(
    ("healthcheck", "hung", "seconds"),
    [(5, 0, HEARTBEAT_SECONDS), (0, 0, HEARTBEAT_SECONDS), (5, 60, HEARTBEAT_SECONDS), (5, 2, 0.5), (0.4, 0, 0.1)],
)
def test_beats_are_as_frequent_as_the_timeouts_need(healthcheck: float, hung: float, seconds: float) -> None:
    assert heartbeat_seconds(healthcheck, hung) == seconds


@pytest.mark.parametrize(("healthcheck", "longest", "seconds"), [(5, 1, 5), (5, 40, 80), (0, 40, 0)])
def test_time_to_get_ready(healthcheck: float, longest: float, seconds: float) -> None:
    assert ready_timeout_seconds(healthcheck, longest) == seconds


def test_a_silence_is_told_once() -> None:
    heart = Heart(timeout_healthcheck_seconds=5, timeout_hung_seconds=0)
    assert heart.beat(100) == 0
    assert heart.look_again_at() == 105
    assert heart.feel(104) is Pulse.FINE
    assert heart.feel(105) is Pulse.SILENT
    assert heart.silent_seconds(105) == 5
    assert heart.feel(106) is Pulse.FINE
    assert heart.look_again_at() is None
    # How long it was, and then anew.
    assert heart.beat(112) == 12
    assert heart.beat(113) == 0
    assert heart.feel(118) is Pulse.SILENT


def test_a_silence_that_is_too_long() -> None:
    heart = Heart(timeout_healthcheck_seconds=5, timeout_hung_seconds=20)
    heart.beat(100)
    assert heart.feel(105) is Pulse.SILENT
    assert heart.look_again_at() == 120
    assert heart.feel(119) is Pulse.FINE
    assert heart.feel(120) is Pulse.HUNG


def test_before_it_is_ready_nothing_is_expected() -> None:
    heart = Heart(5, 20)
    assert heart.feel(1e9) is Pulse.FINE
    assert heart.look_again_at() is None
    heart.forgive(1e9)
    assert heart.look_again_at() is None


def test_no_timeouts() -> None:
    heart = Heart(0, 0)
    heart.beat(100)
    assert heart.feel(1e9) is Pulse.FINE
    assert heart.look_again_at() is None


def test_a_silence_of_everybody_is_nobodys_fault() -> None:
    heart = Heart(5, 20)
    heart.beat(100)
    heart.forgive(200)
    assert heart.feel(204) is Pulse.FINE


def test_crashes_in_quick_succession_wait_longer_each_time() -> None:
    crashes = CrashLoop()
    waits = [crashes.crashed(served_seconds=1) for _ in range(10)]
    assert waits[:3] == [0, FIRST_BACK_OFF_SECONDS, 2 * FIRST_BACK_OFF_SECONDS]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_BACK_OFF_SECONDS


def test_who_has_served_for_a_while_is_replaced_at_once() -> None:
    crashes = CrashLoop()
    for _ in range(5):
        crashes.crashed(0)
    assert crashes.crashed(LIVED_SECONDS) == 0
    assert crashes.crashed(0) == FIRST_BACK_OFF_SECONDS
