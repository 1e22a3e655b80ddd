"""How cases are chosen and dealt out, and what is said where the suite cannot run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import run
import wstest
from wstest import SuiteMissing, deal, find_python27, select

CASES = ["1.1.1", "1.1.2", "9.1.1", "9.1.6", "10.1.1", "12.1.1", "12.1.10"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["*"], CASES),
        (["1.*"], ["1.1.1", "1.1.2"]),
        (["9.1.[1-3]", "10.*"], ["9.1.1", "10.1.1"]),
        (["12.*.1", "1.1.1"], ["1.1.1", "12.1.1"]),
    ],
)
def test_patterns_choose_cases_in_their_order(patterns: list[str], chosen: list[str]) -> None:
    assert select(CASES, patterns) == chosen


def test_a_pattern_that_chooses_nothing_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"8\.\*"):
        select(CASES, ["1.*", "8.*"])


@pytest.mark.parametrize("count", [1, 2, 3, 7, 20])
def test_every_case_is_dealt_once(count: int) -> None:
    hands = deal(CASES, count)
    assert sorted(case for hand in hands for case in hand) == sorted(CASES)
    assert all(hands)
    assert max(map(len, hands)) - min(map(len, hands)) <= 1


@pytest.fixture
def no_python27(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    # Named, and not what it is named for.
    monkeypatch.setenv("PYTHON27", sys.executable)
    monkeypatch.setattr(wstest, "FOLDER", tmp_path / "autobahn")


@pytest.mark.usefixtures("no_python27")
def test_no_other_python_will_do() -> None:
    with pytest.raises(SuiteMissing, match=r"no Python 2\.7 found"):
        find_python27()


@pytest.mark.usefixtures("no_python27")
@pytest.mark.parametrize(
    ("options", "code", "start"), [([], run.EXIT_SKIPPED, "autobahn: "), (["--may-skip"], 0, "SKIPPED autobahn: ")]
)
def test_a_machine_without_the_suite_hears_so_in_one_line(
    options: list[str], code: int, start: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["run.py", "--quick", *options])
    assert run.main() == code
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(start)
    assert "PYTHON27" in line


def test_reports_stay_until_the_next_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run, "FOLDER", tmp_path)
    # No process has a number as high as that (Linux: 2^22).
    over, running = tmp_path / "run-99999999", tmp_path / f"run-{os.getppid()}"
    over.mkdir()
    running.mkdir()
    assert run.new_folder() == tmp_path / f"run-{os.getpid()}"
    assert (over.exists(), running.exists()) == (False, True)
