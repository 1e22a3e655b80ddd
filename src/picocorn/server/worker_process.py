"""A worker process as its supervisor sees it: started, listened to, told, ended, reaped. Decides nothing."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import multiprocessing.resource_tracker
import os
import signal
import socket
import time
from collections.abc import Callable, Sequence

from ..transport.sharing import Share, ShareTable
from .config import Config
from .generation import Generation
from .health import Heart
from .supervisor_signals import held_back
from .worker import STACK_SIGNAL, work
from .worker_channel import RETIRE, SupervisorEnd

__all__ = ["WorkerProcess"]

logger = logging.getLogger("picocorn.error")

_spawn = multiprocessing.get_context("spawn")


class WorkerProcess:
    """One worker, from its start on. Raises OSError if the process cannot be started.

    `target` is what runs in it, and takes what `work` takes.
    """

    def __init__(
        self,
        generation: Generation,
        sockets: Sequence[socket.socket],
        table: ShareTable | None,
        target: Callable[[Config, list[socket.socket], socket.socket, Share | None], None] = work,
    ) -> None:
        config = generation.config
        self.generation = generation
        self.heart = Heart(config.timeout_worker_healthcheck, config.timeout_worker_hung)
        self.started_at = time.monotonic()
        #: when it began to accept connections, None before that
        self.ready_at: float | None = None
        #: it has been told to end, or winds up on its own
        self.is_ending = False
        #: when to end it the hard way, None for never
        self.kill_at: float | None = None
        #: when it must be ready, None for no matter when
        self.ready_by: float | None = None
        #: its event loop is stuck, and it is about to be killed for that
        self.is_hung = False
        #: lines for the log that it could not write itself, and when they are complete
        self._words: list[str] = []
        self.speak_at: float | None = None
        self._table = table
        self._cell = -1 if table is None else table.take()
        share = Share(table, self._cell) if table is not None and self._cell >= 0 else None
        ours, theirs = socket.socketpair()
        try:
            generation.apply()
            # Now, because it lets SIGINT through when it has started.
            multiprocessing.resource_tracker.ensure_running()
            # A Ctrl+C goes to every process of the terminal. One that is still starting would answer with a traceback.
            with held_back(signal.SIGINT):
                self._process = _spawn.Process(target=target, args=(config, list(sockets), theirs, share))
                self._process.start()
        except BaseException:
            ours.close()
            self._give_back_cell()
            raise
        finally:
            # With a copy of our own, nobody would notice that the worker's is closed.
            theirs.close()
        self.channel = SupervisorEnd(ours)
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to accept connections."""
        return self.ready_at is not None

    @property
    def exit_code(self) -> int | None:
        """As of `subprocess`: negative for a signal, None while the process lives. Asking reaps it."""
        return self._process.exitcode

    def deadlines(self) -> list[float | None]:
        """When there is something to do about it."""
        feel_at = self.heart.look_again_at() if not self.is_ending and not self.is_hung else None
        return [self.kill_at, self.ready_by, self.speak_at if self.kill_at is None else None, feel_at]

    def hear(self, lines: list[str], speak_at: float) -> None:
        """Keep lines for the log, most likely those of a stack; more of them may come until `speak_at`."""
        self._words += lines
        self.speak_at = speak_at

    def speak(self) -> None:
        """Log what it has written for the log."""
        if self._words:
            logger.error("Child process [%d] was here:\n%s", self.pid, "\n".join(self._words))
        self._words = []
        self.speak_at = None

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has been reaped."""
        if self.exit_code is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Have it wind up."""
        self.is_ending = True
        self.send_signal(signal.SIGTERM)

    def retire(self) -> None:
        """Have it wind up, unnoticed by its clients: another one accepts in its place."""
        if not self.is_ready:
            self.terminate()
            return
        self.is_ending = True
        self.channel.send(RETIRE)

    def kill(self) -> None:
        """End it now."""
        self.is_ending = True
        self.ready_by = self.kill_at = None
        self.send_signal(signal.SIGKILL)

    def ask_for_stack(self) -> bool:
        """Have it write its main thread's stack, whatever that is doing. Returns whether it can."""
        if STACK_SIGNAL is None:
            return False
        self.send_signal(STACK_SIGNAL)
        return True

    def close(self) -> None:
        """Let go of a process that has ended."""
        self.channel.close()
        self._process.close()
        self._give_back_cell()

    def _give_back_cell(self) -> None:
        if self._table is not None:
            self._table.give_back(self._cell)
