"""Reads a configuration file: picocorn.toml, or [tool.picocorn] of pyproject.toml. Keys are the names of the options.

Knows what a file says, not what else was given; see config_sources.py for what beats what.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..base.errors import ConfigError
from .options import declared, flag_of
from .options_declaring import Option, check_value

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ConfigFileError", "find_config_file", "key_of", "read_config_file"]

#: Looked for in this order, in one directory.
NAMES = ("picocorn.toml", "pyproject.toml")

_KINDS = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a table"}


class ConfigFileError(ConfigError):
    """A configuration file cannot be used. `problems` are all that was found, a line each; the message is the first."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        more = f" ({len(problems) - 1} more: --check-config shows them all)" if len(problems) > 1 else ""
        super().__init__(problems[0] + more)


def key_of(name: str) -> str:
    """The key of a parameter, as we write it."""
    return name.replace("_", "-")


def find_config_file(directory: str) -> str | None:
    """The file in `directory` that is read if nobody names one. Raises ConfigFileError if it cannot be told."""
    for name in NAMES:
        path = os.path.join(directory, name)
        if not os.path.isfile(path):
            continue
        # Somebody else's pyproject.toml is none of our business, whatever its state.
        if name != "pyproject.toml" or _has_our_table(path, name):
            return path
    return None


def read_config_file(path: str, shown: str = "") -> dict[str, Any]:
    """The options that the file sets: parameter -> value, relative paths joined to the folder of the file.

    Sizes, levels and the like are checked but kept as they are written. `shown` is what to call the file in messages.
    Raises ConfigFileError.
    """
    shown = shown or path
    if os.path.basename(path) == "pyproject.toml":
        document = _table_of_ours(_load(path, shown))
        if document is None:
            raise ConfigFileError([f"{shown}: there is no table [tool.picocorn]."])
        if not isinstance(document, dict):
            raise ConfigFileError([f"{shown}: 'tool.picocorn' is {_kind(document)}, not a table."])
    else:
        document = _load(path, shown)
    values: dict[str, Any] = {}
    problems = [f"{shown}: {text}" for text in _read_into(values, document, Path(os.path.abspath(path)).parent)]
    if problems:
        raise ConfigFileError(problems)
    return values


def _load(path: str, shown: str) -> dict[str, Any]:
    import tomllib

    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigFileError([f"{shown}: there is no such file."]) from None
    except OSError as error:
        raise ConfigFileError([f"{shown}: cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError as error:
        raise ConfigFileError([f"{shown}: is not UTF-8: byte {error.start}."]) from None
    except (ValueError, RecursionError) as error:
        # Not TOML, or a number or nesting beyond what Python takes.
        raise ConfigFileError([f"{shown}: {error}"]) from None


def _has_our_table(path: str, shown: str) -> bool:
    try:
        # Without the word there is no such table, and most have it not: no need to parse those.
        if b"picocorn" not in Path(path).read_bytes():
            return False
    except OSError as error:
        raise ConfigFileError([f"{shown}: cannot be read: {error.strerror}."]) from None
    return _table_of_ours(_load(path, shown)) is not None


def _table_of_ours(document: dict[str, Any]) -> Any:
    tool = document.get("tool")
    return tool.get("picocorn") if isinstance(tool, dict) else None


def _read_into(values: dict[str, Any], document: dict[str, Any], folder: Path) -> Iterator[str]:
    """Put what is right into `values`; the problems come out."""
    options = declared()
    names = {key: name for name, (_, details) in options.items() for key in (flag_of(name, details)[2:], key_of(name))}
    for written, value in document.items():
        key = written.replace("_", "-")
        name = names.get(key)
        if name is None:
            yield _unknown(written, names)
        elif name in values:
            yield f"'{written}': '{key_of(name)}' is there twice, under two names."
        else:
            try:
                values[name] = _value(options[name][1], value, folder)
            except (TypeError, ValueError) as error:
                yield f"'{written}': {error}"
    places = [key_of(name) for name in ("host", "port", "uds", "fd") if name in values]
    if values.get("bind") and places:
        yield f"'bind': it stands for '{places[0]}' as well; leave one of them out."


def _unknown(written: str, names: dict[str, str]) -> str:
    key = written.replace("_", "-").lower()
    if key.startswith("no-") and key[3:] in names:
        return f"'{written}': there is no such option; write {key[3:]} = false."
    import difflib

    near = difflib.get_close_matches(key, names, n=1, cutoff=0.75) or _with_the_same_words(key, names)
    return f"'{written}': there is no such option" + (f"; did you mean '{near[0]}'?" if near else ".")


def _with_the_same_words(key: str, names: dict[str, str]) -> list[str]:
    """For who knows the option by another server's name: graceful-timeout."""
    words = set(key.split("-"))
    shared = {name: len(words.intersection(name.split("-"))) for name in names}
    most = max(shared.values())
    found = [name for name in names if shared[name] == most]
    return [min(found, key=len)] if most > 1 or (most == 1 and len(found) == 1) else []


# -- values


def _value(details: Option, value: Any, folder: Path) -> Any:
    """What the option takes for what the file has. Raises ValueError and TypeError."""
    if details.kind in ("switch", "flag", "boolean"):
        return _typed(value, bool, "true or false")
    if details.table and isinstance(value, dict):
        return _fields(value) if details.kind == "list" else value
    if details.kind == "list":
        several = value if isinstance(value, list) else [value]
        return [_text(details, one, folder, "a list of text") for one in several]
    if details.kind in ("integer", "seconds"):
        _typed(value, (int, float), "a number")
    elif details.kind == "size":
        _typed(value, (int, str), 'a size such as 65536 or "64k"')
    elif details.kind == "octal":
        # 660 and 0o660 would look the same from here, and mean something else.
        _typed(value, str, 'an octal number in quotes, such as "0660"')
    elif details.joined_by and isinstance(value, list):
        return details.joined_by.join(_typed(one, str, "a list of text") for one in value)
    else:
        value = _text(details, value, folder, "text")
    check_value(details, value)
    return value


def _text(details: Option, value: Any, folder: Path, wanted: str) -> str:
    text: str = _typed(value, str, wanted)
    prefix = details.path_prefix
    if not details.is_path or not text.startswith(prefix):
        return text
    if text == prefix:
        raise ValueError(f"{value!r} names no path.")
    path = text.removeprefix(prefix)
    if not os.path.isabs(path):
        path = os.fspath(folder / path)
    if (details.kind == "file" or details.must_exist) and not os.path.exists(path):
        raise ValueError(f"{'File' if details.kind == 'file' else 'Path'} {path!r} does not exist.")
    return prefix + path


def _fields(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Header fields as a table: the value of a name is text, or a list of it for a field that is sent several times."""
    fields: list[tuple[str, str]] = []
    for name, value in table.items():
        several = value if isinstance(value, list) else [value]
        fields += ((name, _typed(one, str, f"text for {name}")) for one in several)
    return fields


def _typed(value: Any, kind: type | tuple[type, ...], wanted: str) -> Any:
    # To Python, booleans are numbers.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"expected {wanted}, not {_kind(value)}{_shown(value)}.")
    return value


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "a date or time")


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return ""
    return f" {value!r}" if isinstance(value, str) else f" {str(value).lower() if isinstance(value, bool) else value}"
