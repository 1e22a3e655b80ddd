"""Whose turn it is to be replaced, and what becomes of the others when that fails: with workers that are none."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from picocorn.server.rolling_restart import RollingRestart
from picocorn.server.slots import Slot


class Pool:
    """As a WorkerPool, whose workers are started and ended in name only."""

    def __init__(self, count: int) -> None:
        self.generation: Any = generation()
        self.slots = [Slot([]) for _ in range(count)]
        self.ending: list[Any] = []
        self.retired: list[Any] = []
        self.started = 0
        for slot in self.slots:
            slot.worker = self.start(slot, self.generation)

    def start(self, slot: Slot, made_with: Any) -> Any:
        self.started += 1
        return SimpleNamespace(pid=self.started, generation=made_with, started_at=0.0, ready_by=None, kill=lambda: None)

    def retire(self, worker: Any) -> None:
        self.retired.append(worker.pid)

    def retire_surplus(self) -> None:
        pass


def generation() -> Any:
    return SimpleNamespace(config=SimpleNamespace(timeout_worker_healthcheck=5.0))


@pytest.fixture
def pool() -> Any:
    return Pool(2)


def test_one_after_the_other(pool: Any) -> None:
    restart = RollingRestart(pool)
    first, second = pool.slots
    new = generation()
    restart.replace_all(new)
    restart.go_on()
    assert (first.replacement.pid, second.replacement) == (3, None)
    assert first.replacement.generation is new is not pool.generation
    restart.became_ready(first.replacement, first, now=1.0)
    assert pool.generation is new
    old = next(iter(pool.retired))
    restart.go_on()
    # The one that was replaced has not ended.
    assert (old, second.replacement) == (1, None)
    restart.ended(restart._leaver)  # type: ignore[arg-type]
    restart.go_on()
    restart.became_ready(second.replacement, second, now=2.0)
    assert pool.retired == [1, 2]
    assert not restart.is_going_on


def test_who_has_reached_a_limit_is_replaced_though_a_restart_of_all_has_failed(pool: Any) -> None:
    """It has asked, and will not ask again."""
    restart = RollingRestart(pool)
    first, second = pool.slots
    restart.replace_all(generation())
    restart.go_on()
    restart.add_worker(first, first.worker)
    restart.add_worker(second, second.worker)
    restart.failed(first, first.replacement, "failed to start")
    assert not restart.is_going_on
    restart.go_on()
    assert second.replacement.generation is pool.generation
    restart.became_ready(second.replacement, second, now=1.0)
    restart.ended(restart._leaver)  # type: ignore[arg-type]
    # Not at once, as its replacement has just failed.
    restart.go_on()
    assert not list(first.workers())[1:]
    restart.look_after(first.replace_at)
    restart.go_on()
    restart.became_ready(first.replacement, first, now=2.0)
    assert pool.retired == [2, 1]
    assert [slot.must_be_replaced for slot in (first, second)] == [False, False]


def test_nobody_else_is_replaced_when_a_restart_of_all_has_failed(pool: Any) -> None:
    restart = RollingRestart(pool)
    restart.replace_all(generation())
    restart.go_on()
    first, second = pool.slots
    restart.failed(first, first.replacement, "failed to start")
    restart.go_on()
    assert (first.replacement, first.replace_at, second.replacement) == (None, None, None)
