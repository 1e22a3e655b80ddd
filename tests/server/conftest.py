"""Logging as it was, after each test of the server: making a `Config` sets it up."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from picocorn.server.log_defaults import TWIN_NAMES


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Put back the server's loggers, under both names."""
    names = [*TWIN_NAMES.values(), "", "asyncio"]
    before = {name: logging.getLogger(name) for name in names}
    states = {
        name: (list(logger.handlers), list(logger.filters), logger.level, logger.propagate, logger.disabled)
        for name, logger in before.items()
    }
    yield
    for name, (handlers, filters, level, propagate, disabled) in states.items():
        logger = logging.getLogger(name)
        logger.handlers[:] = handlers
        logger.filters[:] = filters
        logger.setLevel(level)
        logger.propagate = propagate
        logger.disabled = disabled
