"""The access log: uvicorn's record, and nothing in it that a terminal would obey."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from picocorn.connection.access_log import AccessLog


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "client": ("1.2.3.4", 55),
        **changes,
    }


@pytest.fixture
def access(caplog: pytest.LogCaptureFixture) -> AccessLog:
    caplog.set_level(logging.INFO, "test.access")
    return AccessLog(logging.getLogger("test.access"))


def test_the_record_is_uvicorns(access: AccessLog, caplog: pytest.LogCaptureFixture) -> None:
    access.log(scope(path="/rp/a/b c/h", query_string=b"x=1%20&y=%C3%A9"), 200)
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert record.args == ("1.2.3.4:55", "GET", "/rp/a/b%20c/h?x=1%20&y=%C3%A9", "1.1", 200)
    assert record.msg == '%s - "%s %s HTTP/%s" %d'
    assert record.getMessage() == '1.2.3.4:55 - "GET /rp/a/b%20c/h?x=1%20&y=%C3%A9 HTTP/1.1" 200'


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"client": None}, ' - "GET / HTTP/1.1" 200'),
        ({"path": "*", "method": "OPTIONS"}, '1.2.3.4:55 - "OPTIONS %2A HTTP/1.1" 200'),
        ({"path": "/é"}, '1.2.3.4:55 - "GET /%C3%A9 HTTP/1.1" 200'),
        ({"path": "/a\r\nINFO: forged\x1b[31m"}, '1.2.3.4:55 - "GET /a%0D%0AINFO%3A%20forged%1B%5B31m HTTP/1.1" 200'),
        ({"query_string": b"a\x1b[2J\xff\n"}, '1.2.3.4:55 - "GET /?a\\x1b[2J\xff\\n HTTP/1.1" 200'),
        # From X-Forwarded-For: C1 controls are allowed in a field value.
        ({"client": ("\x9b31mroot\u2028", 0)}, '\\x9b31mroot\\u2028:0 - "GET / HTTP/1.1" 200'),
        ({"http_version": "1.0"}, '1.2.3.4:55 - "GET / HTTP/1.0" 200'),
    ],
)
def test_lines(changes: Any, expected: str, access: AccessLog, caplog: pytest.LogCaptureFixture) -> None:
    access.log(scope(**changes), 200)
    assert caplog.messages == [expected]


def test_nothing_is_made_for_a_log_that_is_off(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "test.access")
    # A scope that could not even be formatted.
    AccessLog(logging.getLogger("test.access")).log({}, 200)
    assert caplog.messages == []
