"""What log lines look like."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from picocorn.server.formatters import AccessFormatter, ColourizedFormatter, DefaultFormatter, style

ACCESS = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'


def record(level: int = logging.INFO, message: str = "hello", *args: Any, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("picocorn.error", level, __file__, 1, message, args, None)
    made.__dict__.update(extra)
    return made


@pytest.mark.parametrize(
    ("level", "line"),
    [
        (logging.DEBUG, "DEBUG:    hello"),
        (logging.INFO, "INFO:     hello"),
        (logging.WARNING, "WARNING:  hello"),
        (logging.CRITICAL, "CRITICAL: hello"),
    ],
)
def test_prefix(level: int, line: str) -> None:
    assert DefaultFormatter("%(levelprefix)s %(message)s", use_colors=False).format(record(level)) == line


def test_colours() -> None:
    formatter = DefaultFormatter("%(levelprefix)s %(message)s", use_colors=True)
    assert formatter.format(record()) == "\x1b[32mINFO\x1b[0m:     hello"
    assert formatter.format(record(logging.CRITICAL)).startswith("\x1b[91mCRITICAL\x1b[0m:")
    assert formatter.format(record(17)) == "Level 17: hello"
    coloured = record(logging.INFO, "process [%d]", 7, color_message="process [\x1b[36m%d\x1b[0m]")
    assert formatter.format(coloured) == "\x1b[32mINFO\x1b[0m:     process [\x1b[36m7\x1b[0m]"
    # Other handlers see the record as it was.
    assert coloured.getMessage() == "process [7]"
    assert "levelprefix" not in coloured.__dict__
    assert DefaultFormatter("%(message)s", use_colors=False).format(coloured) == "process [7]"


def test_without_a_word_the_terminal_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stream:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdout", Stream())
    assert ColourizedFormatter().use_colors
    monkeypatch.setattr("sys.stdout", None)
    assert not ColourizedFormatter().use_colors


@pytest.mark.parametrize(
    ("status", "plain", "coloured"),
    [
        (200, "200 OK", "\x1b[32m200 OK\x1b[0m"),
        (103, "103 Early Hints", "\x1b[97m103 Early Hints\x1b[0m"),
        (302, "302 Found", "\x1b[33m302 Found\x1b[0m"),
        (404, "404 Not Found", "\x1b[31m404 Not Found\x1b[0m"),
        (500, "500 Internal Server Error", "\x1b[91m500 Internal Server Error\x1b[0m"),
        (599, "599 ", "\x1b[91m599 \x1b[0m"),
    ],
)
def test_access(status: int, plain: str, coloured: str) -> None:
    made = record(logging.INFO, '%s - "%s %s HTTP/%s" %d', "1.2.3.4:55", "GET", "/", "1.1", status)
    assert AccessFormatter(ACCESS, use_colors=False).format(made) == f'INFO:     1.2.3.4:55 - "GET / HTTP/1.1" {plain}'
    line = AccessFormatter(ACCESS, use_colors=True).format(made)
    assert line == f'\x1b[32mINFO\x1b[0m:     1.2.3.4:55 - "\x1b[1mGET / HTTP/1.1\x1b[0m" {coloured}'
    assert made.args == ("1.2.3.4:55", "GET", "/", "1.1", status)


def test_style() -> None:
    assert style("x") == "x"
    assert style("x", bold=True) == "\x1b[1mx\x1b[0m"
    assert style("x", "cyan", bold=True) == "\x1b[1m\x1b[36mx\x1b[0m"
