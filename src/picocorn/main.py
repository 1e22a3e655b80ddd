"""A door for code that knew uvicorn's layout (`uvicorn.main`). Named like the command, so it can be called like it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .server.config import STARTUP_FAILURE, Config
from .server.run import run
from .server.server import Server, ServerState

if TYPE_CHECKING:
    from .cli.main import main

__all__ = ["STARTUP_FAILURE", "Config", "Server", "ServerState", "main", "run"]


def __getattr__(name: str) -> Any:
    """Import the command when it is asked for: click is of no use to a server that runs from a program."""
    if name != "main":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .cli.main import main

    return main


class _CallableModule(ModuleType):
    """`from picocorn import main` gives this module once it was imported, and the command before."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return __getattr__("main")(*args, **kwargs)


sys.modules[__name__].__class__ = _CallableModule
