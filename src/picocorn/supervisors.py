"""A door for code that knew uvicorn's layout (`uvicorn.supervisors`): what it names lives in `picocorn.server`."""

from __future__ import annotations

import os
import socket
import sys

from .server.config import Config
from .server.generation import first_generation
from .server.supervisor import Supervisor

__all__ = ["Multiprocess"]


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
