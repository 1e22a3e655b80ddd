"""What runs in the process of the application when it is started anew at changes. Knows the reloader as a channel's other end."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .worker import work
from .worker_channel import WorkerEnd

if TYPE_CHECKING:
    from ..transport.sharing import Share
    from .config import Config

__all__ = ["run_target", "work_at_terminal"]


def work_at_terminal(config: Config, sockets: list[socket.socket], line: socket.socket, share: Share | None) -> None:
    """As `work`, with the standard input that the reloader has: somebody may want to use a debugger."""
    _reopen_standard_input()
    work(config, sockets, line, share)


def run_target(
    target: Callable[..., Any], config: Config, sockets: list[socket.socket], line: socket.socket, share: Share | None
) -> None:
    """Call `target(sockets=sockets)`, as uvicorn does for programs with a server of their own."""
    for sock in (*sockets, line):
        sock.set_inheritable(False)
    _reopen_standard_input()
    channel = WorkerEnd(line)
    config.configure_logging()
    channel.listen(_ignore, _wind_up)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        target(sockets=sockets)
    except KeyboardInterrupt:
        pass


def _reopen_standard_input() -> None:
    # multiprocessing has put /dev/null in its place; the descriptor is still there, unless the reloader had none.
    try:
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
    except OSError:
        pass


def _ignore(message: str) -> None:
    """Such a server understands none."""


def _wind_up() -> None:
    """The reloader is gone."""
    os.kill(os.getpid(), signal.SIGTERM)
