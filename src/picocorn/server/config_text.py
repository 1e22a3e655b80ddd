"""Writes the effective configuration as a configuration file: what was given as TOML, with its source; defaults as comments."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .config_file import key_of
from .options import GROUPS, Option, Settings, declared

__all__ = ["config_text"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def config_text(settings: Settings, origins: Mapping[str, str]) -> str:
    """`settings` as a file that `--config` reads. `origins` has the name of the source of each value that is no default.

    Paths are absolute, so that the file may lie anywhere. What must not be shown is left out, in a comment, as is a value
    that only Python can give.
    """
    lines = ["# The configuration in effect, and where each value is from."]
    tables: list[str] = []
    options = declared()
    for group in GROUPS:
        lines += ["", f"# {group}"]
        for name, (field, details) in options.items():
            if details.group != group:
                continue
            value = getattr(settings, name)
            if name not in origins:
                lines.append(_default(name, field, details))
            elif isinstance(value, dict):
                tables += ["", f"# {origins[name]}", *_table(key_of(name), value)]
            else:
                lines.append(_line(name, details, value, origins[name]))
    return "\n".join(lines + tables).rstrip() + "\n"


def _line(name: str, details: Option, value: Any, origin: str) -> str:
    key = key_of(name)
    if details.secret:
        return f"# {key} is set, and not shown  # {origin}"
    try:
        return f"{key} = {_toml(_written(details, value))}  # {origin}"
    except (TypeError, UnicodeEncodeError):
        return f"# {key} has no form in a file: {value!a}  # {origin}"


def _default(name: str, field: dataclasses.Field[Any], details: Option) -> str:
    key = key_of(name)
    if details.shown_default:
        return f"# {key}  # default: {details.shown_default}"
    if not isinstance(field.default, str | int | float) or field.default == "":
        return f"# {key}  # default"
    return f"# {key} = {_toml(_written(details, field.default))}  # default"


def _written(details: Option, value: Any) -> Any:
    """The value as a file has it."""
    if details.kind == "octal":
        return f"{value:04o}"
    if details.kind == "list":
        several = [value] if isinstance(value, str) else value
        return [_absolute(details, one if isinstance(one, str | os.PathLike) else ": ".join(one)) for one in several]
    if details.joined_by and not isinstance(value, str):
        value = details.joined_by.join(value)
    return _absolute(details, value)


def _absolute(details: Option, value: Any) -> Any:
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    prefix = details.path_prefix
    if not details.is_path or not isinstance(value, str) or not value.startswith(prefix):
        return value
    path = value.removeprefix(prefix)
    return prefix + (path if os.path.isabs(path) else os.fspath(Path.cwd() / path))


# -- TOML


def _toml(value: Any) -> str:
    """A value on one line. Raises TypeError for what TOML does not have, UnicodeEncodeError for half of a character."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(int(value) if isinstance(value, int) else value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, Iterable):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise TypeError(f"TOML has nothing for {type(value).__name__}")


def _string(text: str) -> str:
    text.encode()
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)


def _table(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    """A table and those inside, a section each."""
    inside = {key: value for key, value in table.items() if isinstance(value, dict)}
    if len(inside) < len(table) or not table:
        yield f"[{path}]"
        yield from (f"{_key(key)} = {_toml(value)}" for key, value in table.items() if key not in inside)
        yield ""
    for key, value in inside.items():
        yield from _table(f"{path}.{_key(key)}", value)
