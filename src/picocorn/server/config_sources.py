"""From where options come and what beats what: command line, environment, configuration file, default.

Reads the file as often as it is asked, because a running server is told to. Knows no command line: it is told what was given.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ..base.errors import ConfigError
from .config_file import find_config_file, read_config_file
from .options import DefaultNumber, DefaultText, declared, flag_of

__all__ = ["Effective", "Layer", "Sources"]

#: Options that say where to listen, beside `bind`.
PLACES = ("host", "port", "uds", "fd")
#: What is said of the files of Unix sockets.
ABOUT_FILES = ("uds_permissions", "uds_owner")


@dataclasses.dataclass(frozen=True, slots=True)
class Layer:
    """What one source gives."""

    #: parameter -> value
    values: Mapping[str, Any]
    #: parameter -> what to call its source
    origins: Mapping[str, str]


@dataclasses.dataclass(frozen=True, slots=True)
class Effective:
    """The options that were given somewhere, each from the strongest source. The others have their defaults."""

    #: parameter -> value, without `app_dir`
    options: dict[str, Any]
    #: parameter -> what to call its source
    origins: dict[str, str]
    #: the directory before `sys.path`
    app_dir: str = ""
    #: what to call the configuration file that was read
    file: str | None = None
    #: where it is
    path: str | None = None

    def explained(self, error: ConfigError) -> ConfigError:
        """`error`, which names an option, with the file that set it."""
        flags = {flag_of(name, details): name for name, (_, details) in declared().items()}
        found = re.match(r"Invalid value for '(--[a-z0-9-]+)'", str(error))
        if found and self.file is not None and self.origins.get(flags.get(found[1], "")) == self.file:
            return ConfigError(f"{self.file}: {error}")
        return error


class Sources:
    """What was given to the command, and where to look for a file.

    `layers` are what beats the file, the strongest first. `file` is its path, None to look into `directory`; "" is for none.
    """

    def __init__(self, layers: Sequence[Layer], file: str | None = None, directory: str | None = None) -> None:
        self._layers = layers
        self._file = file
        # The server may go elsewhere before it reads the file again.
        self._directory = os.getcwd() if directory is None else os.path.abspath(directory)

    def read(self) -> Effective:
        """Read the file, and settle everything. Raises ConfigError."""
        path = find_config_file(self._directory) if self._file is None else self._file
        path = path and os.path.join(self._directory, path)
        file = shown = None
        if path:
            shown = self._file or os.path.basename(path)
            values = read_config_file(path, shown)
            file = Layer(_weak(values), dict.fromkeys(values, shown))
        merged, origins = _merged(self._layers, file)
        if "app" not in merged:
            raise ConfigError("Missing argument 'APP'. Try --help.")
        app_dir = merged.pop("app_dir", None) or ""
        return Effective(merged, origins, app_dir, shown, path or None)


def _weak(values: dict[str, Any]) -> dict[str, Any]:
    """Mark what a variable of the environment beats that only `Config` reads: the environment file may set it."""
    marked = dict(values)
    for name, (_, details) in declared().items():
        if details.variable and name in values:
            value = values[name]
            marked[name] = DefaultText(value) if isinstance(value, str) else DefaultNumber(value)
    return marked


def _merged(layers: Sequence[Layer], file: Layer | None) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for layer in (*layers, *([file] if file else [])):
        refused = _overruled(values, layer is file)
        for name, value in layer.values.items():
            if name not in values and name not in refused:
                values[name] = value
                origins[name] = layer.origins[name]
    return values, origins


def _overruled(stronger: Mapping[str, Any], file: bool) -> set[str]:
    """What a weaker source, or the file, says of where to listen in vain: a stronger one has decided that.

    In one source --bind and --port contradict each other, which is for the configuration to say. Of --port and UVICORN_UDS the
    latter wins, as with uvicorn; but a port beats the file's socket.
    """
    given = {name for name in ("bind", *PLACES) if name in stronger}
    refused: set[str] = set()
    if "bind" in given:
        refused.update(PLACES)
    if given:
        refused.add("bind")
    if given and file:
        # A port without a host, or the other way round, is no whole decision.
        refused.update(("uds", "fd") if given <= {"host", "port"} else PLACES)
        if "uds" not in given and not any(address.startswith("unix:") for address in stronger.get("bind", ())):
            refused.update(ABOUT_FILES)
    return refused
