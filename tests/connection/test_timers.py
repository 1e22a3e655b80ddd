"""Deadlines: never early, late by a bound, whatever is armed, re-armed, disarmed and removed in between."""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picocorn.base.native import NO_EXTENSIONS_VARIABLE

RESOLUTION_SECONDS = 0.25
#: A bucket, a sweep, and the age of the time that arming goes by.
LATEST_SECONDS = 3 * RESOLUTION_SECONDS


class Clock:
    """As much of a loop as timers need, with a time of its own."""

    class Handle:
        def __init__(self, at_seconds: float, callback: Callable[[], None]) -> None:
            self.at_seconds, self.callback = at_seconds, callback
            self.cancelled = False

        def cancel(self) -> None:
            self.cancelled = True

    def __init__(self) -> None:
        self.now = 100.0
        self.handles: list[Clock.Handle] = []
        self.errors: list[dict[str, Any]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, callback: Callable[[], None], context: contextvars.Context) -> Handle:
        handle = Clock.Handle(self.now + seconds, callback)
        self.handles.append(handle)
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)

    def pending(self) -> list[Handle]:
        return [handle for handle in self.handles if not handle.cancelled]

    def advance(self, seconds: float) -> None:
        """To a time, calling what is due on the way, each at its own moment."""
        end = self.now + seconds
        while due := [handle for handle in self.pending() if handle.at_seconds <= end]:
            handle = min(due, key=lambda one: one.at_seconds)
            self.handles.remove(handle)
            self.now = max(self.now, handle.at_seconds)
            handle.callback()
        self.now = end


class Owner:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.passed_at: list[float] = []
        self.then: Callable[[], None] = lambda: None

    def on_deadline(self) -> None:
        self.passed_at.append(self.clock.now)
        self.then()


@pytest.fixture
def timers(room: Callable[[str], ModuleType]) -> Callable[[], tuple[Any, Any, Callable[[], tuple[Any, Owner]]]]:
    return lambda: make(room("connection.timers"))


def make(module: ModuleType) -> tuple[Any, Any, Callable[[], tuple[Any, Owner]]]:
    clock = Clock()

    def deadline() -> tuple[Any, Owner]:
        owner = Owner(clock)
        return module.Deadline(owner), owner

    return clock, module.Timers(clock, contextvars.copy_context()), deadline


def test_passes_once(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    one, owner = deadline()
    all_of_them.arm(one, 5.0)
    clock.advance(5.0)
    assert owner.passed_at == []
    clock.advance(LATEST_SECONDS)
    assert len(owner.passed_at) == 1
    clock.advance(100)
    assert len(owner.passed_at) == 1


def test_later_and_earlier(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    (later, later_owner), (earlier, earlier_owner) = deadline(), deadline()
    all_of_them.arm(later, 5.0)
    all_of_them.arm(later, 20.0)
    all_of_them.arm(earlier, 20.0)
    all_of_them.arm(earlier, 5.0)
    clock.advance(10)
    assert (len(later_owner.passed_at), len(earlier_owner.passed_at)) == (0, 1)
    clock.advance(10 + LATEST_SECONDS)
    assert (len(later_owner.passed_at), len(earlier_owner.passed_at)) == (1, 1)


def test_disarmed_and_armed_again(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    one, owner = deadline()
    all_of_them.arm(one, 5.0)
    all_of_them.disarm(one)
    clock.advance(100)
    assert owner.passed_at == []
    all_of_them.arm(one, 5.0)
    clock.advance(5 + LATEST_SECONDS)
    assert len(owner.passed_at) == 1


def test_removed_lets_its_owner_go(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    one, owner = deadline()
    all_of_them.arm(one, 5.0)
    all_of_them.remove(one)
    assert one.owner is None
    clock.advance(100)
    assert owner.passed_at == []
    all_of_them.remove(one)


def test_no_timer_of_the_loop_without_deadlines(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    one, _ = deadline()
    assert clock.pending() == []
    all_of_them.arm(one, 1.0)
    for _ in range(5):
        other, _ = deadline()
        all_of_them.arm(other, 1.0)
    assert len(clock.pending()) == 1
    clock.advance(10)
    assert clock.pending() == []


def test_an_error_does_not_stop_the_others(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    pairs = [deadline() for _ in range(3)]

    def fail() -> None:
        raise ValueError("mine")

    for one, owner in pairs:
        owner.then = fail
        all_of_them.arm(one, 1.0)
    clock.advance(1 + LATEST_SECONDS)
    assert [len(owner.passed_at) for _, owner in pairs] == [1, 1, 1]
    assert [str(context["exception"]) for context in clock.errors] == ["mine"] * 3


def test_owners_change_everything_while_they_are_told(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    pairs = [deadline() for _ in range(6)]

    def meddle() -> None:
        for _, owner in pairs:
            owner.then = lambda: None
        for index, (one, _) in enumerate(pairs):
            (all_of_them.remove, all_of_them.disarm, lambda one: all_of_them.arm(one, 3.0))[index % 3](one)

    for one, owner in pairs:
        owner.then = meddle
        all_of_them.arm(one, 1.0)
    clock.advance(1 + LATEST_SECONDS)
    # The first that was told took care of all others.
    assert sum(len(owner.passed_at) for _, owner in pairs) == 1
    clock.advance(3 + LATEST_SECONDS)
    assert all(pairs[index][1].passed_at for index in (2, 5))
    assert not clock.errors


def test_a_loop_that_stood_still_makes_nobody_early(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    (before, before_owner), (within, within_owner) = deadline(), deadline()
    all_of_them.arm(before, 5.0)
    clock.advance(1.0)
    # A callback of an application's that takes so long; in the end it arms, by a time that is as old.
    clock.now += 60.0
    all_of_them.arm(within, 5.0)
    clock.advance(3.9)
    assert (before_owner.passed_at, within_owner.passed_at) == ([], [])
    clock.advance(1.1)
    assert within_owner.passed_at == []
    clock.advance(LATEST_SECONDS)
    assert (len(before_owner.passed_at), len(within_owner.passed_at)) == (1, 1)


def test_owners_are_told_outside_of_the_request_that_armed(room: Callable[[str], ModuleType]) -> None:
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody's")

    class Asking:
        def on_deadline(self) -> None:
            seen.append(variable.get())
            told.set()

    async def main() -> None:
        timers = module.Timers(asyncio.get_running_loop(), contextvars.copy_context())
        variable.set("a request's")
        timers.arm(module.Deadline(Asking()), 0.01)
        await asyncio.wait_for(told.wait(), 30)

    module = room("connection.timers")
    seen: list[str] = []
    told = asyncio.Event()
    asyncio.run(main())
    assert seen == ["nobody's"]


def test_idle_connections_wake_nobody(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    pairs = [deadline() for _ in range(3)]
    for one, _ in pairs:
        all_of_them.arm(one, 600.0)
    clock.advance(1.0)
    (handle,) = clock.pending()
    assert handle.at_seconds > clock.now + 590
    all_of_them.arm(pairs[0][0], 5.0)
    (handle,) = clock.pending()
    assert handle.at_seconds <= clock.now + RESOLUTION_SECONDS
    clock.advance(5 + LATEST_SECONDS)
    assert [len(owner.passed_at) for _, owner in pairs] == [1, 0, 0]
    clock.advance(594 + LATEST_SECONDS)
    assert [len(owner.passed_at) for _, owner in pairs] == [1, 1, 1]
    assert clock.pending() == []


def test_a_loop_that_stood_still_over_a_rest_makes_nobody_early(timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    (before, before_owner), (within, _) = deadline(), deadline()
    all_of_them.arm(before, 5.0)
    clock.advance(2.0)
    clock.now += 60.0
    all_of_them.arm(within, 50.0)
    clock.advance(2.9)
    assert before_owner.passed_at == [], "its client had three seconds left"
    clock.advance(2.1 + LATEST_SECONDS)
    assert len(before_owner.passed_at) == 1


@pytest.mark.parametrize("seconds", [1e300, float("inf")])
def test_without_end(seconds: float, timers: Any) -> None:
    clock, all_of_them, deadline = timers()
    one, owner = deadline()
    all_of_them.arm(one, seconds)
    all_of_them.arm(one, 5.0)
    all_of_them.arm(one, seconds)
    clock.advance(1000)
    assert owner.passed_at == []


STEPS = st.lists(
    st.tuples(st.sampled_from(["arm", "disarm", "remove", "wait"]), st.integers(0, 2), st.floats(0, 3, allow_nan=False)),
    max_size=40,
)

NATIVE = [] if os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0") else ["_c"]


@pytest.mark.parametrize("suffix", [*NATIVE, "_py"])
@settings(max_examples=200, deadline=None)
@given(steps=STEPS)
def test_never_early_and_at_most_so_late(suffix: str, steps: list[tuple[str, int, float]]) -> None:
    clock, timers, deadline = make(importlib.import_module(f"picocorn.connection.timers{suffix}"))
    pairs = [deadline() for _ in range(3)]
    due: list[float | None] = [None, None, None]

    def check() -> None:
        for index, (_, owner) in enumerate(pairs):
            for at_seconds in owner.passed_at:
                wanted = due[index]
                assert wanted is not None
                assert wanted <= at_seconds <= wanted + LATEST_SECONDS + 1e-6
                due[index] = None
            owner.passed_at.clear()
            wanted = due[index]
            assert wanted is None or clock.now <= wanted + LATEST_SECONDS + 1e-6, "it has not passed"

    for what, index, seconds in steps:
        one = pairs[index][0]
        if what == "wait":
            clock.advance(seconds)
        elif one.owner is None:
            continue
        elif what == "arm":
            timers.arm(one, seconds)
            due[index] = clock.now + seconds
        else:
            getattr(timers, what)(one)
            due[index] = None
        check()
    clock.advance(10)
    check()
    assert due == [None, None, None]
    assert clock.pending() == []
