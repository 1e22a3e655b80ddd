"""A door for code that knew uvicorn's layout (`uvicorn.supervisors`): what it names lives in `picocorn.server`."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Any

from .server.config import Config
from .server.generation import first_generation
from .server.reload import Reloader
from .server.server import Server
from .server.supervisor import Supervisor

__all__ = ["ChangeReload", "Multiprocess"]


class ChangeReload:
    """`target(sockets=...)` in a process that is started anew when files change: `Server(config).run`, or one's own."""

    def __init__(self, config: Config, target: Callable[..., Any], sockets: list[socket.socket]) -> None:
        self.config = config
        self.target = target
        self.sockets = sockets

    def run(self) -> None:
        """Serve until told to stop. Exits (3) when the server cannot start. Raises ConfigError."""
        generation = first_generation(self.config, lambda: self.config, os.environ)
        # A server that does nothing of its own can as well be one that tells how far it is.
        server = getattr(self.target, "__self__", None)
        is_plain = type(server) is Server and self.target == server.run
        code = Reloader(generation, self.sockets, None if is_plain else self.target).run()
        if code:
            sys.exit(code)


class Multiprocess:
    """Worker processes of `config` on sockets that are bound already, for programs with a `run()` of their own."""

    def __init__(self, config: Config, sockets: list[socket.socket]) -> None:
        self.config = config
        self.sockets = sockets

    def run(self) -> None:
        """Serve until told to stop. Exits (3) when workers cannot start. Raises ConfigError."""
        generation = first_generation(self.config, lambda: self.config, os.environ)
        code = Supervisor(generation, self.sockets).run()
        if code:
            sys.exit(code)
