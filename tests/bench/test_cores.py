"""A core that is kept awake is still free for others, and its rest is not taken for work; read from a made-up /proc too."""

from __future__ import annotations

import os
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
    assert before == (83, 488)
    (proc / "stat").write_text(STAT.format(user=80, nice=340, idle=110, softirq=40))
    assert cores.busy_share(before, cores.core_ticks(1, proc)) == pytest.approx(0.5)


def test_no_time_has_passed() -> None:
    assert cores.busy_share((1, 2), (1, 2)) == 0


def test_a_core_that_is_not_there(proc: Path) -> None:
    with pytest.raises(BenchFailure, match="no core 7"):
        cores.core_ticks(7, proc)


def test_awake_and_behind_everybody_else() -> None:
    core = min(os.sched_getaffinity(0))
    with cores.kept_awake([core, core]):
        children = [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and is_awake(pid)]
        assert len(children) == 1
        pid = int(children[0].name)
        assert os.sched_getaffinity(pid) == {core}
        assert os.sched_getscheduler(pid) == os.SCHED_IDLE
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
    assert not children[0].exists()


def is_awake(process: Path) -> bool:
    try:
        fields = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")
    except OSError:
        return False
    return fields[0].endswith("(awake") and int(fields[2].split()[1]) == os.getpid()


def test_a_core_that_cannot_be_kept_awake() -> None:
    with pytest.raises(BenchFailure, match="core 1023 is not kept awake"), cores.kept_awake([1023]):
        pass
