"""The server: settings, sockets, event loop, signals, start and end. Knows no command line.

`Server` and `ServerState` are imported when first asked for (PEP 562): who wants the declarations of the options alone
must not pay for asyncio.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..connection.context import ServerState
    from .server import Server

__all__ = ["Server", "ServerState"]


def __getattr__(name: str) -> object:
    """Import `Server` or `ServerState`; AttributeError for anything else."""
    if name == "Server":
        from .server import Server

        return Server
    if name == "ServerState":
        from ..connection.context import ServerState

        return ServerState
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
