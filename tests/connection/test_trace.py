"""uvicorn's TRACE lines about connections."""

from __future__ import annotations

import logging

import pytest

from picocorn.base.levels import TRACE_LOG_LEVEL
from picocorn.connection.trace import is_tracing, trace


def test_lines_have_the_client_in_front(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(TRACE_LOG_LEVEL, "picocorn.error"):
        assert is_tracing()
        trace(("127.0.0.1", 5000), "HTTP connection made")
        trace(None, "HTTP connection lost")
    assert [record.getMessage() for record in caplog.records] == [
        "127.0.0.1:5000 - HTTP connection made",
        "HTTP connection lost",
    ]


def test_not_at_debug(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "picocorn.error"):
        assert not is_tracing()
