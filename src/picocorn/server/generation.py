"""A configuration and the environment that belongs to it: what workers are started with. Made anew at each SIGHUP.

Knows how to make a configuration, not what is in it; no process and no socket.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Mapping

from ..base.errors import ConfigError
from .config import Config

__all__ = ["Generation", "first_generation"]

#: Options that a running server cannot follow: its sockets are bound.
_FIXED = ("host", "port", "uds", "fd", "bind", "uds_permissions", "uds_owner", "socket_balance", "pidfile", "redirect_http")


class Generation:
    """One configuration with its environment (`environment` as it was when the configuration was made from it)."""

    def __init__(self, config: Config, make_config: Callable[[], Config], base: Mapping[str, str]) -> None:
        self.config = config
        self.environment = dict(os.environ)
        self._make_config = make_config
        #: before any environment file was read
        self.base_environment = dict(base)

    def renewed(self) -> Generation:
        """Read everything again: environment file and configuration. Raises ConfigError; the environment is then as before."""
        # An environment file does not overrule what is set already: what it has set itself must be gone.
        apply_environment(self.base_environment)
        try:
            config = self._make_config()
            check_picklable(config)
        except Exception as error:
            self.apply()
            if isinstance(error, ConfigError):
                raise
            # Somebody else's code: classes that a log configuration names. That is no reason for a server to end.
            raise ConfigError(f"The configuration cannot be read anew. {type(error).__name__}: {error}") from error
        return Generation(config, self._make_config, self.base_environment)

    def apply(self) -> None:
        """Make the environment that of this generation: the next worker inherits it."""
        apply_environment(self.environment)

    def forget(self, name: str) -> None:
        """Leave a variable out of the environment of workers."""
        for environment in (self.environment, self.base_environment):
            environment.pop(name, None)

    def fixed_differences(self, other: Generation) -> list[str]:
        """Names of options that differ from `other`'s and take no effect without a restart."""
        return [name for name in _FIXED if getattr(self.config, name, None) != getattr(other.config, name, None)]


def first_generation(config: Config, make_config: Callable[[], Config], base: Mapping[str, str]) -> Generation:
    """The generation of `config`, which was made by `make_config` when the environment was `base`. Raises ConfigError."""
    check_picklable(config)
    return Generation(config, make_config, base)


def apply_environment(wanted: Mapping[str, str]) -> None:
    """Make `os.environ` equal `wanted`, touching only what differs."""
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    for name, value in wanted.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def check_picklable(config: Config) -> None:
    """Raise ConfigError, with the option at fault, if workers cannot be given `config`."""
    try:
        pickle.dumps(config)
    except Exception:
        for name, value in vars(config).items():
            try:
                pickle.dumps(value)
            except Exception as error:
                raise ConfigError(f"'{name}' cannot be handed to worker processes: {error}") from error
        raise
