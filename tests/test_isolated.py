"""Runs every script of tests/isolated/ in a process of its own: what must be seen from outside, or must not touch the others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = sorted((Path(__file__).parent / "isolated").glob("*.py"))
DEADLINE_SECONDS = 300.0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_isolated(script: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-W", "error", str(script)], capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False
    )
    assert ran.returncode == 0, f"{script.name} ended with {ran.returncode}\n{ran.stdout}{ran.stderr}"
