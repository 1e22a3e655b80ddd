"""The places of a supervisor's workers: who stands in one, who is to take it, and since when it is empty. Decides nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from .health import CrashLoop
from .worker_process import WorkerProcess

__all__ = ["Slot"]


class Slot:
    """A place for one worker, with the sockets that whoever stands in it accepts on."""

    def __init__(self, sockets: list[socket.socket]) -> None:
        self.sockets = sockets
        self.worker: WorkerProcess | None = None
        #: takes the worker's place once it is ready
        self.replacement: WorkerProcess | None = None
        self.crashes = CrashLoop()
        #: a worker was ready here
        self.was_up = False
        #: when to start a worker in the empty place
        self.start_at: float | None = None
        #: when to try again to replace a worker that has reached a limit
        self.replace_at: float | None = None
        #: the worker is to be replaced because all are
        self.is_restarting = False
        #: the worker is to be replaced in any case: it has reached a limit, or lacks a socket
        self.must_be_replaced = False

    def workers(self) -> Iterator[WorkerProcess]:
        """Who is there."""
        for worker in (self.worker, self.replacement):
            if worker is not None:
                yield worker

    def forget(self, worker: WorkerProcess) -> None:
        """Let go of a worker that has ended."""
        if worker is self.worker:
            self.worker = None
        else:
            self.replacement = None

    def take(self, sockets: list[socket.socket]) -> bool:
        """Set the sockets. Returns whether the worker lacks one of them."""
        lacking = [sock for sock in sockets if sock not in self.sockets]
        self.sockets = sockets
        return bool(lacking)
