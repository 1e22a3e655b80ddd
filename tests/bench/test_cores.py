"""All that keeps a core busy counts; read from a made-up /proc."""

from __future__ import annotations

from pathlib import Path

import pytest

import cores
from failure import BenchFailure

STAT = """cpu  100 0 100 1000 0 0 0 0 0 0
cpu0 1 2 3 4 5 6 7 8 0 0
cpu1 {user} {nice} 10 {idle} 5 2 {softirq} 1 0 0
intr 12345
"""


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "stat").write_text(STAT.format(user=50, nice=300, idle=100, softirq=20))
    return tmp_path


def test_work_is_what_processes_do_and_what_the_kernel_does_for_packets(proc: Path) -> None:
    before = cores.core_ticks(1, proc)
    assert before == (383, 488)
    (proc / "stat").write_text(STAT.format(user=80, nice=340, idle=110, softirq=40))
    assert cores.busy_share(before, cores.core_ticks(1, proc)) == pytest.approx(0.9)


def test_no_time_has_passed() -> None:
    assert cores.busy_share((1, 2), (1, 2)) == 0


def test_a_core_that_is_not_there(proc: Path) -> None:
    with pytest.raises(BenchFailure, match="no core 7"):
        cores.core_ticks(7, proc)
