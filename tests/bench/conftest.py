"""Puts the modules of the benchmark suite, and what its tests share, on the import path: they are scripts, not a package."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "bench"), str(Path(__file__).parent)]
