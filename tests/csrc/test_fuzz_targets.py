"""`make fuzz` reaches every fuzz target that there is. What it finds is not this test's matter: it runs nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "fuzz"
TARGETS = sorted(path.name.removesuffix("_libfuzzer.c") for path in FUZZ.glob("*_libfuzzer.c"))

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="there is no make here")


def recipe(folder: Path, target: str) -> str:
    command = ["make", "--dry-run", "--always-make", "-C", str(folder), target]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_targets_are_found() -> None:
    assert {"http1", "websocket"} <= set(TARGETS)


def test_the_c_targets_are_built_and_run() -> None:
    lines = recipe(FUZZ, "run").splitlines()
    for target in TARGETS:
        assert any(f"{target}_libfuzzer.c" in line for line in lines), f"{target} is not compiled"
        assert any(f"build/{target} -max_total_time=" in line for line in lines), f"{target} is not run"
    assert not any("run.sh" in line for line in lines), "make takes run.sh for the source of `run`"


def test_one_script_runs_them_all() -> None:
    assert "sh fuzz/run.sh 60" in recipe(ROOT, "fuzz")
    script = (FUZZ / "run.sh").read_text(encoding="utf-8")
    assert "twins_*.py" in script
    assert 'make -s -C "$here" run ' in script
