"""What every test shares. Kept small on purpose: a fixture for one room lives beside that room's tests."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest

from bodies import TWINS
from picocorn.base.native import body_in_use


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
