"""What every test shares. Kept small on purpose: a fixture for one room lives beside that room's tests."""

from __future__ import annotations

import gc
import importlib
import logging
import os
from collections.abc import Callable, Iterator
from types import ModuleType

import hypothesis
import pytest

from bodies import TWINS
from picocorn.base.native import body_in_use
from picocorn.http2.engine import ENGINE
from picocorn.server.log_defaults import TWIN_NAMES

# No test asserts a time, and one that fails in CI fails on every machine: what is found by chance is for fuzz/ to find.
hypothesis.settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")

#: Those that making a `Config` sets up, under both names.
LOGGERS = [logging.getLogger(name) for name in [*TWIN_NAMES.values(), "", "asyncio"]]


def pytest_report_header() -> str:
    """Say which bodies are tested, so that a log can be trusted later."""
    return f"picocorn: {body_in_use()}; HTTP/2 over {ENGINE or 'nothing'}"


def pytest_collection_finish() -> None:
    """Keep the collector off the thousands of items: each test that looks for garbage would pay half a second for them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> str:
    """ "native" and "pure" in turn."""
    return request.param


@pytest.fixture
def room(twin: str) -> Callable[[str], ModuleType]:
    """Gives the module of a twin room, `room("http1.parser")`, in the body whose turn it is."""
    suffix = "_c" if twin == "native" else "_py"
    return lambda name: importlib.import_module(f"picocorn.{name}{suffix}")


def state_of(logger: logging.Logger) -> tuple[list[logging.Handler], list[object], int, bool, bool]:
    """All that may be set in a logger."""
    return list(logger.handlers), list(logger.filters), logger.level, logger.propagate, logger.disabled


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Put back the server's loggers after each test: a level that one leaves behind fails others, far away."""
    before = [state_of(logger) for logger in LOGGERS]
    yield
    for logger, state in zip(LOGGERS, before, strict=True):
        if state_of(logger) != state:
            logger.handlers[:], logger.filters[:], level, logger.propagate, logger.disabled = state
            logger.setLevel(level)


def environment() -> dict[str, str]:
    """That of this process, without what pytest says in it."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}


@pytest.fixture(autouse=True)
def environment_as_it_is() -> Iterator[None]:
    """Fail a test that leaves another environment behind: the tests that compile would be the ones to suffer."""
    before = environment()
    yield
    assert environment() == before
