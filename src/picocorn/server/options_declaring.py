"""What a declaration of an option can say, and the checks that follow from it. Knows no option.

Knows neither asyncio nor click, as all the files of options.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

__all__ = [
    "GROUPS",
    "HTTP_CHOICES",
    "LOOP_CHOICES",
    "WS_CHOICES",
    "DefaultNumber",
    "DefaultText",
    "Option",
    "about",
    "check_value",
    "flag_of",
    "parse_size",
]

#: Help pages and docs show the options in these groups, in this order.
GROUPS = (
    "Application",
    "Binding",
    "TLS",
    "Processes",
    "Server",
    "Limits",
    "Timeouts",
    "HTTP/2",
    "WebSocket",
    "Responses",
    "Proxies",
    "Logging",
)

LOOP_CHOICES = ("auto", "asyncio", "uvloop", "none")
#: `httptools`, `zttp` and `h11` are uvicorn's names for its fast parsers and its pure one.
HTTP_CHOICES = ("auto", "native", "pure", "httptools", "zttp", "h11")
#: The last three are the names of the libraries that uvicorn can use.
WS_CHOICES = ("auto", "none", "native", "pure", "websockets", "websockets-sansio", "wsproto")

#: What stands for a boolean in the value of an option, as with uvicorn.
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """What the command line, the docs and the checks know of one option."""

    help: str
    group: str
    #: "text", "integer", "octal", "seconds", "size", "switch" (--x/--no-x), "flag" (--x), "boolean" (--x true), "file", "list"
    kind: str = "text"
    choices: tuple[str, ...] = ()
    #: with choices: an import string is accepted as well
    importable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    #: name on the command line without "--", when it is not the parameter's name
    flag: str = ""
    #: what stands for the value in help
    metavar: str = ""
    #: of "list": what stands between values in an environment variable, whitespace if nothing else is said
    separator: str = ""
    #: of "list": each value is a path, and on the command line something has to be there
    must_exist: bool = False
    #: how to name the default where there is none to show
    shown_default: str = ""
    #: environment variable that `Config` reads where only a configuration file, or nothing, gives a value
    variable: str = ""
    #: of text that may hold several values: what stands between them; a configuration file may have a list
    joined_by: str = ""
    #: a table stands for it in a configuration file
    table: bool = False
    #: a path, which in a configuration file is relative to that; implied by "file" and must_exist
    path: bool = False
    #: what a value that is a path begins with
    path_prefix: str = ""
    #: not to be shown
    secret: bool = False
    #: part of the API alone
    api_only: bool = False

    @property
    def is_path(self) -> bool:
        """Whether values are paths, at least those that begin with path_prefix."""
        return self.path or self.must_exist or self.kind == "file"


def about(help: str, group: str, **details: Any) -> dict[str, Option]:  # noqa: A002
    """The metadata of a field that is an option; see `Option`."""
    return {"option": Option(help, group, **details)}


class DefaultText(str):
    """A default that can be told from the same value given: who says where to bind means it."""

    __slots__ = ()


class DefaultNumber(int):
    """See DefaultText."""

    __slots__ = ()


def flag_of(name: str, details: Option) -> str:
    """The option's name on the command line, with its dashes."""
    return f"--{(details.flag or name).replace('_', '-')}"


_SUFFIXES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(value: str) -> int:
    """Bytes of "65536", "64k", "1m" or "2g" (1k = 1024). Raises ValueError."""
    text = value.strip().lower().removesuffix("b")
    factor = _SUFFIXES.get(text[-1:], 1)
    return int(text[:-1] if factor > 1 else text) * factor


def check_value(details: Option, value: Any) -> Any:
    """Return `value` as the option uses it. Raises TypeError and ValueError."""
    if details.choices:
        return _check_choice(details, value)
    if details.kind == "boolean" and isinstance(value, str):
        if value.lower() not in _BOOLEANS:
            raise ValueError(f"{value!r} is neither true nor false.")
        return _BOOLEANS[value.lower()]
    if details.kind == "size" and isinstance(value, str):
        try:
            value = parse_size(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a size such as 65536, 64k or 1m.") from None
    if details.kind == "octal" and isinstance(value, str):
        try:
            value = int(value, 8)
        except ValueError:
            raise ValueError(f"{value!r} is no octal number such as 0660.") from None
    if details.kind in ("integer", "octal", "size", "seconds"):
        numbers = (int, float) if details.kind == "seconds" else (int,)
        if not isinstance(value, numbers) or isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number.")
        if value == math.inf:
            raise ValueError(f"{value!r} is not finite.")
        if value != value or (details.minimum is not None and value < details.minimum):
            raise ValueError(f"{_shown(details, value)} is less than {_shown(details, details.minimum)}.")
        if details.maximum is not None and value > details.maximum:
            raise ValueError(f"{_shown(details, value)} is more than {_shown(details, details.maximum)}.")
    return value


def _shown(details: Option, value: Any) -> str:
    return f"{value:04o}" if details.kind == "octal" else repr(value)


def _check_choice(details: Option, value: Any) -> Any:
    if not isinstance(value, str) or (details.importable and ":" in value):
        return value
    if value.lower() in details.choices:
        return value.lower()
    last = " nor an import string module:attribute" if details.importable else ""
    raise ValueError(f"{value!r} is not one of {', '.join(details.choices)}{last}.")
