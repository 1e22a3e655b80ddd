"""The access log with and without log records: the same bytes, through the real configuration; and which of the two when."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from picocorn.connection import access_log, access_log_py
from picocorn.server.formatters import AccessFormatter
from picocorn.server.log_config import LOGGING_CONFIG, apply_log_config
from picocorn.server.log_shortcut import LineShortcut

LOGGER = logging.getLogger("picocorn.access")


@pytest.fixture(params=[access_log.AccessLog, access_log_py.AccessLog], ids=["chosen", "pure"])
def log_class(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def configured() -> io.StringIO:
    """Apply the default configuration and return where it writes to. In the test itself: the runner has handlers of its own."""
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        apply_log_config(LOGGING_CONFIG, use_colors=False)
    return stream


class Noting(LineShortcut):
    """Notes what was decided."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self.decisions: list[bool] = []

    def line_parts(self, logger: logging.Logger) -> Any:
        parts = super().line_parts(logger)
        self.decisions.append(parts is not None)
        return parts


def scope(path: str = "/", **changes: Any) -> dict[str, Any]:
    return {"method": "GET", "path": path, "query_string": b"", "http_version": "1.1", "client": ("1.2.3.4", 55), **changes}


def one_turn(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_until_complete(asyncio.sleep(0))


HOSTS = st.one_of(st.ip_addresses().map(str), st.text(max_size=10), st.sampled_from(["\x9b31m", "é", "\u2028", "%s", "a\nb"]))
SCOPES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["GET", "POST", "OPTIONS", "M-SEARCH", "%s"]),
        "path": st.one_of(
            st.text("/abc-_.~%é \x1b*", max_size=20), st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
        ),
        "query_string": st.one_of(st.binary(max_size=10), st.sampled_from([b"a=1&b=%20", b"\x1b[0m", b"\r\n"])),
        "http_version": st.sampled_from(["1.0", "1.1", "2"]),
        # A list is what the test client of an application may put there.
        "client": st.one_of(st.none(), st.tuples(HOSTS, st.integers(0, 65535)), st.tuples(HOSTS, st.none())),
    }
)


@settings(deadline=None)
@given(scopes=st.lists(st.tuples(SCOPES, st.one_of(st.sampled_from([200, 404, 500]), st.integers(100, 999))), min_size=1),
       colours=st.booleans(), encoding=st.sampled_from(["utf-8", "ascii", "latin-1", "utf-16"]),
       errors=st.sampled_from(["backslashreplace", "replace", "strict"]))  # fmt: skip
@pytest.mark.parametrize("body", [access_log.AccessLog, access_log_py.AccessLog], ids=["chosen", "pure"])
def test_both_ways_print_the_same_bytes(body: Any, scopes: Any, colours: bool, encoding: str, errors: str) -> None:
    written = []
    for way in ("records", "text", "descriptor"):
        with tempfile.TemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
            stream = io.TextIOWrapper(open(os.dup(file.fileno()), "wb"), encoding, errors, newline="\n")  # noqa: SIM115
            # Lines that cannot be encoded are told of, each in its way.
            patch.setattr(logging, "raiseExceptions", False)
            patch.setattr("sys.stdout", stream)
            if way == "descriptor":
                patch.setattr("sys.__stdout__", stream)
            apply_log_config(LOGGING_CONFIG, colours)
            with contextlib.closing(asyncio.new_event_loop()) as loop:
                log = body(LOGGER, None if way == "records" else LineShortcut(loop))
                for one, status in scopes:
                    log.log(one, status)
                one_turn(loop)
            stream.close()
            file.seek(0)
            written.append(file.read())
    assert written[1] == written[0]
    assert written[2] == written[0]


def test_one_write_a_turn(log_class: Any, loop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = configured()
    log = log_class(LOGGER, LineShortcut(loop))
    written: list[str] = []
    monkeypatch.setattr(stream, "write", written.append)
    for number in range(3):
        log.log(scope(f"/{number}"), 200)
    assert written == []
    one_turn(loop)
    assert written == ["".join(f'INFO:     1.2.3.4:55 - "GET /{n} HTTP/1.1" 200 OK\n' for n in range(3))]
    log.log(scope("/3"), 200)
    one_turn(loop)
    assert len(written) == 2


class Adapter(logging.Filter):
    """A filter that lets everything through."""


class Quoting(AccessFormatter):
    """A formatter of somebody's own."""


class Record(logging.LogRecord):
    """A record of somebody's own."""


def other_record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    return Record(*args, **kwargs)


def handler_of() -> logging.Handler:
    return LOGGER.handlers[0]


def set_format(fmt: str) -> None:
    formatter = handler_of().formatter
    assert formatter is not None
    formatter._style._fmt = fmt


CHANGES = {
    "a second handler": lambda patch: LOGGER.addHandler(logging.NullHandler()),
    "another handler": lambda patch: patch.setattr(LOGGER, "handlers", [logging.NullHandler()]),
    "no handler": lambda patch: LOGGER.removeHandler(handler_of()),
    "a filter": lambda patch: LOGGER.addFilter(Adapter()),
    "a filter of the handler": lambda patch: handler_of().addFilter(Adapter()),
    "a formatter": lambda patch: handler_of().setFormatter(Quoting()),
    "no formatter": lambda patch: handler_of().setFormatter(None),
    "a format": lambda patch: set_format("%(client_addr)s"),
    "a level of the handler": lambda patch: handler_of().setLevel(logging.WARNING),
    "a level": lambda patch: LOGGER.setLevel(logging.WARNING),
    "disabled": lambda patch: patch.setattr(LOGGER, "disabled", True),
    "propagation to a handler": lambda patch: (
        patch.setattr(LOGGER, "propagate", True),
        patch.setattr(LOGGER.parent, "handlers", [logging.NullHandler()]),
    ),
    "a record factory": lambda patch: patch.setattr(logging, "_logRecordFactory", other_record),
    "a class of logger": lambda patch: patch.setattr(LOGGER, "__class__", type("Own", (logging.Logger,), {})),
    "a method of the logger": lambda patch: patch.setattr(LOGGER, "handle", lambda record: None, raising=False),
    "a method of loggers": lambda patch: patch.setattr(logging.Logger, "callHandlers", lambda self, record: None),
    "a method of formatters": lambda patch: patch.setattr(AccessFormatter, "get_status_code", lambda self, status: "fine"),
    "logging off": lambda patch: (
        patch.setattr(logging.root.manager, "disable", logging.INFO),
        logging.root.manager._clear_cache(),  # type: ignore[attr-defined]
    ),
    "the terminator": lambda patch: patch.setattr(logging.StreamHandler, "terminator", "\r\n"),
}


#: What is looked at once a turn.
RARE = {"a method of loggers", "a method of formatters", "a record factory", "the terminator", "a format", "a class of logger"}


@pytest.mark.parametrize("change", CHANGES)
def test_a_configuration_that_is_not_the_default_gets_records(
    change: str, log_class: Any, loop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = configured()
    shortcut = Noting(loop)
    log = log_class(LOGGER, shortcut)
    before = 'INFO:     1.2.3.4:55 - "GET /before HTTP/1.1" 200 OK\n'
    log.log(scope("/before"), 200)
    log.log(scope("/before"), 200)
    assert shortcut.decisions == [True]
    if change in RARE:
        one_turn(loop)
    with monkeypatch.context() as patch:
        CHANGES[change](patch)
        log.log(scope("/meanwhile"), 200)
    assert shortcut.decisions == [True, False]
    # What was to be printed the old way has been, first.
    assert stream.getvalue().startswith(2 * before)


def test_a_change_within_a_turn_keeps_the_order(log_class: Any, loop: Any) -> None:
    class Paths(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            assert isinstance(record.args, tuple)
            return record.args[2] != "/secret"

    stream = configured()
    log = log_class(LOGGER, LineShortcut(loop))
    secrets = Paths()
    log.log(scope("/secret"), 200)
    LOGGER.addFilter(secrets)
    log.log(scope("/secret"), 200)
    log.log(scope("/1"), 200)
    LOGGER.removeFilter(secrets)
    log.log(scope("/secret"), 200)
    one_turn(loop)
    assert [line.split()[4] for line in stream.getvalue().splitlines()] == ["/secret", "/1", "/secret"]


def test_a_change_of_the_stream_keeps_lines_apart(log_class: Any, loop: Any) -> None:
    stream = configured()
    log = log_class(LOGGER, LineShortcut(loop))
    log.log(scope("/1"), 200)
    other = io.StringIO()
    handler = handler_of()
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(other)
    log.log(scope("/2"), 200)
    handler.setStream(stream)
    log.log(scope("/3"), 200)
    one_turn(loop)
    assert [line.split()[4] for line in stream.getvalue().splitlines()] == ["/1", "/3"]
    assert [line.split()[4] for line in other.getvalue().splitlines()] == ["/2"]


def test_colours_and_level_names_may_change(log_class: Any, loop: Any) -> None:
    stream = configured()
    log = log_class(LOGGER, LineShortcut(loop))
    log.log(scope(), 200)
    one_turn(loop)
    formatter = handler_of().formatter
    assert isinstance(formatter, AccessFormatter)
    formatter.use_colors = True
    log.log(scope(), 404)
    one_turn(loop)
    formatter.use_colors = False
    logging.addLevelName(logging.INFO, "Info")
    try:
        log.log(scope(), 200)
        one_turn(loop)
    finally:
        logging.addLevelName(logging.INFO, "INFO")
    assert stream.getvalue() == (
        'INFO:     1.2.3.4:55 - "GET / HTTP/1.1" 200 OK\n'
        '\x1b[32mINFO\x1b[0m:     1.2.3.4:55 - "\x1b[1mGET / HTTP/1.1\x1b[0m" \x1b[31m404 Not Found\x1b[0m\n'
        'Info:     1.2.3.4:55 - "GET / HTTP/1.1" 200 OK\n'
    )


def test_a_level_below_info_changes_nothing(log_class: Any, loop: Any) -> None:
    LOGGER.setLevel(logging.DEBUG)
    stream = configured()
    log = log_class(LOGGER, LineShortcut(loop))
    log.log(scope(), 200)
    one_turn(loop)
    assert stream.getvalue() == 'INFO:     1.2.3.4:55 - "GET / HTTP/1.1" 200 OK\n'


def test_without_a_loop_lines_are_written_at_once(log_class: Any, loop: Any) -> None:
    stream = configured()
    log = log_class(LOGGER, LineShortcut(loop))
    loop.close()
    log.log(scope(), 200)
    assert stream.getvalue().count("\n") == 1
