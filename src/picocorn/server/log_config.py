"""Applies a logging configuration: a dict, a file or a parser, ours or one written for uvicorn.

A configuration that names `uvicorn.*` loggers or `uvicorn.logging.*` formatters is understood: names are translated in a
copy before `logging.config` sees it, and the loggers answer to both names afterwards (`log_names`).
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import logging.config
import os
from configparser import ConfigParser, RawConfigParser
from typing import IO, Any

from ..base.errors import ConfigError
from .log_defaults import LOG_LEVELS, LOGGING_CONFIG, TRACE_LOG_LEVEL, TWIN_NAMES
from .log_names import install_twin_names, twin_names_withdrawn

__all__ = ["LOGGING_CONFIG", "LOG_LEVELS", "TRACE_LOG_LEVEL", "apply_level", "apply_log_config", "silence_access_log"]

_OUR_FORMATTERS = ("picocorn.logging.", "picocorn.server.formatters.")
_THEIR_FORMATTERS = "uvicorn.logging."

_LogConfig = dict[str, Any] | str | os.PathLike[str] | RawConfigParser | IO[Any] | None


def apply_log_config(log_config: _LogConfig, use_colors: bool | None = None) -> None:
    """Configure `logging`. `use_colors` not None overrules what a dict says of our formatters. None configures nothing.

    Raises ConfigError, in one line, for a configuration that cannot be read or applied.
    """
    logging.addLevelName(TRACE_LOG_LEVEL, "TRACE")
    install_twin_names()
    if log_config is None:
        return
    try:
        loaded = _load(log_config)
        with twin_names_withdrawn():
            if isinstance(loaded, RawConfigParser):
                logging.config.fileConfig(_translated_parser(loaded), disable_existing_loggers=False)
            else:
                logging.config.dictConfig(_translated_dict(loaded, use_colors))
    except ConfigError:
        raise
    except Exception as error:
        where = f" {os.fspath(log_config)!r}" if isinstance(log_config, str | os.PathLike) else ""
        raise ConfigError(f"Invalid value for '--log-config':{where} {_reasons(error)}") from error


def apply_level(level: str | int | None) -> None:
    """Set the level of the server's loggers; None leaves it to the log configuration."""
    if level is None:
        return
    number = LOG_LEVELS[level] if isinstance(level, str) else level
    for name in ("picocorn.error", "picocorn.access", "picocorn.asgi"):
        logging.getLogger(name).setLevel(number)


def silence_access_log() -> None:
    """Take every handler from the access log."""
    logger = logging.getLogger("picocorn.access")
    logger.handlers = []
    logger.propagate = False


def _reasons(error: BaseException) -> str:
    """The error and its causes in one line: dictConfig says what failed in one exception and why in the next."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(said) < 3:
        text = " ".join(str(cause).split()) or type(cause).__name__
        if text not in said:
            said.append(text)
        cause = cause.__cause__
    return ": ".join(said)


def _load(log_config: dict[str, Any] | str | os.PathLike[str] | RawConfigParser | IO[Any]) -> dict[str, Any] | RawConfigParser:
    if isinstance(log_config, dict | RawConfigParser):
        return log_config
    if not isinstance(log_config, str | os.PathLike):
        return _parse_ini(log_config)
    path = os.fspath(log_config)
    with open(path, encoding="utf-8") as file:
        if path.endswith(".json"):
            return _mapping(json.load(file))
        if path.endswith((".yaml", ".yml")):
            return _mapping(_load_yaml(file))
        return _parse_ini(file)


def _load_yaml(file: IO[str]) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise ConfigError("Invalid value for '--log-config': YAML needs the package PyYAML: pip install PyYAML") from error
    return yaml.safe_load(file)


def _mapping(loaded: Any) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise ConfigError(f"Invalid value for '--log-config': expected a mapping, but it holds {type(loaded).__name__}")
    return loaded


def _parse_ini(file: IO[Any]) -> RawConfigParser:
    parser = ConfigParser()
    parser.read_file(file)
    missing = [section for section in ("loggers", "handlers", "formatters") if not parser.has_section(section)]
    if missing:
        raise ConfigError(f"Invalid value for '--log-config': no section [{missing[0]}], so it is no logging configuration")
    return parser


# -- uvicorn's names


def _our_formatter(path: Any) -> Any:
    if isinstance(path, str) and path.startswith(_THEIR_FORMATTERS):
        return "picocorn.logging." + path.removeprefix(_THEIR_FORMATTERS)
    return path


def _translated_dict(config: dict[str, Any], use_colors: bool | None) -> dict[str, Any]:
    """A copy of `config` that names our loggers and formatters, with `use_colors` in our formatters."""
    result = dict(config)
    if isinstance(config.get("formatters"), dict):
        result["formatters"] = {name: _translated_formatter(entry, use_colors) for name, entry in config["formatters"].items()}
    if isinstance(config.get("filters"), dict):
        result["filters"] = {name: _translated_filter(entry) for name, entry in config["filters"].items()}
    if isinstance(config.get("loggers"), dict):
        # Where a configuration has both names, the later one was added to the earlier.
        result["loggers"] = {TWIN_NAMES.get(name, name): entry for name, entry in config["loggers"].items()}
    return result


def _translated_formatter(entry: Any, use_colors: bool | None) -> Any:
    if not isinstance(entry, dict):
        return entry
    entry = dict(entry)
    for key in ("()", "class"):
        if key in entry:
            entry[key] = _our_formatter(entry[key])
    if use_colors is not None and isinstance(entry.get("()"), str) and entry["()"].startswith(_OUR_FORMATTERS):
        entry["use_colors"] = use_colors
    return entry


def _translated_filter(entry: Any) -> Any:
    # logging.Filter(name) lets through what the logger of that name, or one below it, has logged.
    if isinstance(entry, dict) and "()" not in entry and entry.get("name") in TWIN_NAMES:
        return {**entry, "name": TWIN_NAMES[entry["name"]]}
    return entry


def _translated_parser(parser: RawConfigParser) -> RawConfigParser:
    parser = copy.deepcopy(parser)
    for section in parser.sections():
        with contextlib.suppress(KeyError):
            parser[section]["qualname"] = TWIN_NAMES[parser.get(section, "qualname", raw=True, fallback="")]
        if section.startswith("formatter_") and parser.has_option(section, "class"):
            parser[section]["class"] = _our_formatter(parser.get(section, "class", raw=True))
    return parser
