"""What every test shares. Kept small on purpose: a fixture for one room lives beside that room's tests."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from types import ModuleType

import pytest

from picocorn.base.native import NO_EXTENSIONS_VARIABLE, body_in_use

#: The bodies under test. Native is left out only when somebody asked for that: where it is merely missing, its tests fail.
TWINS = ("pure",) if os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0") else ("native", "pure")


def pytest_report_header() -> str:
    """Say which bodies are tested, so that a log can be trusted later."""
    return f"picocorn: {body_in_use()}"


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> str:
    """ "native" and "pure" in turn."""
    return request.param


@pytest.fixture
def room(twin: str) -> Callable[[str], ModuleType]:
    """Gives the module of a twin room, `room("http1.parser")`, in the body whose turn it is."""
    suffix = "_c" if twin == "native" else "_py"
    return lambda name: importlib.import_module(f"picocorn.{name}{suffix}")
