"""Log configurations: ours, those of the user, and those that were written for uvicorn."""

from __future__ import annotations

import copy
import io
import json
import logging
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server.formatters import AccessFormatter, DefaultFormatter
from picocorn.server.log_config import LOGGING_CONFIG, apply_level, apply_log_config, silence_access_log

FOR_UVICORN: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": True,
    "formatters": {
        "default": {"()": "uvicorn.logging.DefaultFormatter", "fmt": "%(levelprefix)s|%(message)s"},
        "access": {"()": "uvicorn.logging.AccessFormatter", "fmt": "%(client_addr)s|%(request_line)s|%(status_code)s"},
    },
    "filters": {"mine": {"name": "uvicorn.access"}},
    "handlers": {
        "default": {"class": "logging.StreamHandler", "formatter": "default", "stream": "ext://sys.stderr"},
        "access": {
            "class": "logging.StreamHandler",
            "formatter": "access",
            "filters": ["mine"],
            "stream": "ext://sys.stdout",
        },
    },
    "loggers": {
        "uvicorn": {"handlers": ["default"], "level": "INFO"},
        "uvicorn.error": {"level": "INFO"},
        "uvicorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
    },
}

INI_FOR_UVICORN = """
[loggers]
keys=root,access
[handlers]
keys=console
[formatters]
keys=plain
[logger_root]
level=WARNING
handlers=console
[logger_access]
level=INFO
qualname=uvicorn.access
handlers=console
propagate=0
[handler_console]
class=StreamHandler
formatter=plain
args=(sys.stdout,)
[formatter_plain]
class=uvicorn.logging.AccessFormatter
format=%(client_addr)s %(request_line)s %(status_code)s
"""


def log_access() -> None:
    logging.getLogger("picocorn.access").info('%s - "%s %s HTTP/%s" %d', "1.2.3.4:55", "GET", "/", "1.1", 200)


def test_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    apply_log_config(LOGGING_CONFIG)
    logging.getLogger("picocorn.error").info("Started")
    logging.getLogger("picocorn.error").warning("Watch out")
    log_access()
    captured = capsys.readouterr()
    assert captured.err == "INFO:     Started\nWARNING:  Watch out\n"
    assert captured.out == 'INFO:     1.2.3.4:55 - "GET / HTTP/1.1" 200 OK\n'


def test_the_default_is_changed_in_place_under_either_name() -> None:
    config = copy.deepcopy(LOGGING_CONFIG)
    config["loggers"]["uvicorn.access"]["level"] = "ERROR"
    config["loggers"]["uvicorn"] = {"handlers": [], "level": "DEBUG"}
    assert config["loggers"]["picocorn.access"]["level"] == "ERROR"
    assert config["loggers"]["picocorn"] == {"handlers": [], "level": "DEBUG"}
    assert set(config["loggers"]) == {"picocorn", "picocorn.error", "picocorn.access"}
    with pytest.raises(KeyError):
        config["loggers"]["other"]
    apply_log_config(config)
    assert logging.getLogger("uvicorn.access").level == logging.ERROR


@pytest.mark.parametrize("wrap", [copy.deepcopy, lambda config: json.loads(json.dumps(config))])
def test_a_configuration_for_uvicorn(wrap: Any, capsys: pytest.CaptureFixture[str]) -> None:
    config = wrap(FOR_UVICORN)
    apply_log_config(config)
    assert config == FOR_UVICORN, "the user's own dict stays as it is"
    logger = logging.getLogger("picocorn.access")
    assert logging.getLogger("uvicorn.access") is logger
    assert not logger.disabled
    assert not logging.getLogger("picocorn.error").disabled
    assert isinstance(logger.handlers[0].formatter, AccessFormatter)
    logging.getLogger("picocorn.error").info("Started")
    log_access()
    captured = capsys.readouterr()
    assert captured.err == "INFO:    |Started\n"
    assert captured.out == "1.2.3.4:55|GET / HTTP/1.1|200 OK\n"


def test_only_one_of_the_loggers_is_named() -> None:
    # dictConfig disables what a configuration does not name: the second name of a logger that it names must not count.
    apply_log_config({"version": 1, "disable_existing_loggers": True, "loggers": {"uvicorn.access": {"level": "ERROR"}}})
    assert logging.getLogger("picocorn.access").level == logging.ERROR
    assert not logging.getLogger("picocorn.access").disabled
    assert logging.getLogger("picocorn.error").disabled


@pytest.mark.parametrize("use_colors", [True, False])
def test_use_colors(use_colors: bool) -> None:
    apply_log_config(LOGGING_CONFIG, use_colors)
    for name, kind in (("picocorn", DefaultFormatter), ("picocorn.access", AccessFormatter)):
        formatter = logging.getLogger(name).handlers[0].formatter
        assert isinstance(formatter, kind)
        assert formatter.use_colors is use_colors
    assert LOGGING_CONFIG["formatters"]["default"]["use_colors"] is None


def test_use_colors_leaves_other_formatters_alone() -> None:
    config = copy.deepcopy(FOR_UVICORN)
    config["formatters"]["default"] = {"format": "%(message)s"}
    apply_log_config(config, use_colors=True)
    assert type(logging.getLogger("picocorn").handlers[0].formatter) is logging.Formatter


def test_files(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text(json.dumps(FOR_UVICORN))
    (tmp_path / "log.yaml").write_text(json.dumps(FOR_UVICORN))
    (tmp_path / "log.ini").write_text(INI_FOR_UVICORN)
    for name in ("log.json", "log.yaml", "log.ini"):
        logging.getLogger("picocorn.access").handlers.clear()
        apply_log_config(str(tmp_path / name))
        assert isinstance(logging.getLogger("picocorn.access").handlers[0].formatter, AccessFormatter), name
    logging.getLogger("picocorn.access").handlers.clear()
    apply_log_config(tmp_path / "log.json")
    assert logging.getLogger("picocorn.access").handlers


def test_parsers_and_open_files() -> None:
    parser = RawConfigParser()
    parser.read_string(INI_FOR_UVICORN)
    apply_log_config(parser)
    assert parser["logger_access"]["qualname"] == "uvicorn.access", "the user's own parser stays as it is"
    assert isinstance(logging.getLogger("picocorn.access").handlers[0].formatter, AccessFormatter)
    logging.getLogger("picocorn.access").handlers.clear()
    apply_log_config(io.StringIO(INI_FOR_UVICORN))
    assert logging.getLogger("picocorn.access").handlers


def test_none_configures_nothing_but_the_names() -> None:
    logger = logging.getLogger("picocorn.access")
    before = list(logger.handlers)
    apply_log_config(None)
    assert logger.handlers == before
    assert logging.getLogger("uvicorn.access") is logger
    assert logging.getLevelName(5) == "TRACE"


def test_levels() -> None:
    apply_log_config(None)
    apply_level("trace")
    assert {logging.getLogger(f"picocorn.{name}").level for name in ("error", "access", "asgi")} == {5}
    apply_level(35)
    assert logging.getLogger("uvicorn.error").level == 35
    apply_level(None)
    assert logging.getLogger("uvicorn.error").level == 35


def test_silence_access_log() -> None:
    apply_log_config(LOGGING_CONFIG)
    silence_access_log()
    assert not logging.getLogger("uvicorn.access").hasHandlers()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("log.json", "{", "Expecting property name"),
        ("log.json", "[]", "expected a mapping, but it holds list"),
        ("log.yaml", "a: b: c", "mapping values are not allowed here"),
        ("log.json", '{"version": 2}', "Unsupported version: 2"),
        ("log.ini", "hello", "no section headers"),
        ("log.ini", "[a]\nb=c", r"no section \[loggers\]"),
        (
            "log.json",
            '{"version": 1, "formatters": {"f": {"()": "nowhere.Formatter"}}}',
            "Unable to configure formatter 'f': .*No module named 'nowhere'",
        ),
        ("log.json", None, "No such file or directory"),
    ],
)
def test_one_line_for_a_bad_file(name: str, text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=message) as caught:
        apply_log_config(str(path))
    assert str(caught.value).startswith("Invalid value for '--log-config': ")
    assert "\n" not in str(caught.value)
