"""A new server on the sockets of a running one (SIGUSR2): the same command again, with the sockets as inherited descriptors.

Both accept until one of them is told to end. Knows the command line of this process as the system does; no worker.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence

__all__ = ["VARIABLE", "Successor", "inherited_sockets"]

#: "PID:FD,FD;FD": of the process that hands over, and the descriptors by group.
VARIABLE = "PICOCORN_UPGRADE"


def inherited_sockets() -> list[list[socket.socket]]:
    """The sockets that our parent has handed over, none as a rule. The variable is gone afterwards."""
    text = os.environ.pop(VARIABLE, "")
    process_id, _, groups = text.partition(":")
    if not process_id.isdecimal() or int(process_id) != os.getppid():
        # Meant for somebody between us and whoever has set it.
        return []
    found = [[socket.socket(fileno=int(fd)) for fd in group.split(",")] for group in groups.split(";") if group]
    for group in found:
        for sock in group:
            sock.set_inheritable(False)
    return found


class Successor:
    """The new server, as a process. Raises OSError if it cannot be started."""

    def __init__(self, groups: Sequence[Sequence[socket.socket]], environment: Mapping[str, str]) -> None:
        descriptors = [[sock.fileno() for sock in group] for group in groups]
        value = ";".join(",".join(map(str, group)) for group in descriptors)
        self._process = subprocess.Popen(
            [sys.executable, *sys.orig_argv[1:]],
            env={**environment, VARIABLE: f"{os.getpid()}:{value}"},
            pass_fds=[fd for group in descriptors for fd in group],
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives. Asking reaps it."""
        return self._process.poll()

    def leave(self) -> None:
        """Let it live on without us."""
        # What Popen would say at the end of this process: that somebody still runs.
        with contextlib.suppress(AttributeError):
            self._process.returncode = 0
