"""Which event loop to run on. Imports uvloop only when it is asked for; knows no server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from ..base.errors import ConfigError
from .importer import import_from_string

__all__ = ["get_loop_factory"]


def get_loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The factory of the event loop that the option `loop` names; None for whatever asyncio makes by itself.

    Raises ConfigError when it is not there.
    """
    if loop == "none":
        return None
    if loop == "asyncio":
        return _asyncio_loop()
    if loop in ("auto", "uvloop"):
        try:
            import uvloop
        except ImportError as error:
            if loop == "auto":
                return _asyncio_loop()
            raise ConfigError("--loop uvloop needs the package uvloop: pip install uvloop") from error
        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    custom: Callable[[], asyncio.AbstractEventLoop] = import_from_string(loop)
    if not callable(custom):
        raise ConfigError(f'"{loop}" is not callable, so it makes no event loop.')
    return custom


def _asyncio_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    if sys.platform == "win32":
        return asyncio.ProactorEventLoop
    return asyncio.SelectorEventLoop
