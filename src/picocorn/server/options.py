"""Every option, declared once: name, type, default, help, group and bounds are the fields of `Settings`.

`Config` is a `Settings` with behaviour, `run()` takes the same parameters; the command line, the configuration file and
docs/settings.md follow from here. The declarations stand in the files options_*.py. Options that uvicorn has stand in its
order, because they may be given by position; our own stand by subject and are given by name. Knows neither asyncio nor
click, so that `picocorn --version` is quick.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from ..base.errors import ConfigError
from .options_binding import BindingOptions
from .options_declaring import (
    GROUPS,
    HTTP_CHOICES,
    LOOP_CHOICES,
    WS_CHOICES,
    DefaultNumber,
    DefaultText,
    Option,
    about,
    check_value,
    flag_of,
    parse_size,
)
from .options_http2 import HTTP2Options
from .options_processes import ProcessOptions
from .options_proxies import ProxyOptions
from .options_requests import RequestOptions
from .options_tls import TLSOptions
from .options_uvicorn import UvicornsOptions

__all__ = [
    "GROUPS",
    "HTTP_CHOICES",
    "LOOP_CHOICES",
    "WS_CHOICES",
    "DefaultNumber",
    "DefaultText",
    "Option",
    "Settings",
    "check",
    "declared",
    "flag_of",
    "parse_size",
]


# The fields of the last base come first.
@dataclasses.dataclass(eq=False, repr=False)
class Settings(HTTP2Options, TLSOptions, ProxyOptions, ProcessOptions, RequestOptions, BindingOptions, UvicornsOptions):
    """The options. Times are seconds, sizes bytes; None and 0 mean "no limit" where the help says so."""

    app_dir: str | None = dataclasses.field(
        default="",
        init=False,
        metadata=about(
            metavar="DIRECTORY",
            path=True,
            group="Application",
            shown_default="the current directory",
            help="Look for APP here first.",
        ),
    )

    def __post_init__(self) -> None:
        for name in declared(api=True):
            setattr(self, name, check(name, getattr(self, name)))


@functools.cache
def declared(api: bool = False) -> dict[str, tuple[dataclasses.Field[Any], Option]]:
    """Parameter name -> (field, option), in the order of declaration. `api` adds what the command line does not have."""
    found = {field.name: (field, field.metadata["option"]) for field in dataclasses.fields(Settings)}
    return {name: (field, details) for name, (field, details) in found.items() if api or not details.api_only}


def check(name: str, value: Any) -> Any:
    """Return `value` as the option `name` uses it (sizes as int, levels in lower case). Raises ConfigError naming the option."""
    _field, details = declared(api=True)[name]
    if value is None or details.api_only:
        return value
    try:
        return check_value(details, value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"Invalid value for '{flag_of(name, details)}': {error}") from None
