"""Lets each benchmark run over both bodies of a room. Knows no room."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from picocorn.base.native import NO_EXTENSIONS_VARIABLE

# traffic.py and others, for every benchmark beside them.
sys.path.append(str(Path(__file__).parent))

BODIES = ["pure"] if os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0") else ["native", "pure"]


@pytest.fixture(params=BODIES)
def room(request: pytest.FixtureRequest) -> Callable[[str], ModuleType]:
    """Gives the module of a twin room, `room("http1.parser")`, in the body whose turn it is."""
    suffix = "_c" if request.param == "native" else "_py"
    return lambda name: importlib.import_module(f"picocorn.{name}{suffix}")
