"""Signals as a queue that a selector can wait for together with everything else. Knows no worker, and not what signals mean."""

from __future__ import annotations

import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

from ..base.errors import ConfigError

__all__ = ["SIGNALS", "SignalQueue", "held_back"]

#: What a supervisor takes, by name: those that this platform has.
SIGNALS: dict[str, signal.Signals] = {
    name: getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGUSR2", "SIGWINCH", "SIGCHLD")
    if hasattr(signal, name)
}


class SignalQueue:
    """Takes the signals of `SIGNALS` while its context lasts; ready for reading when one has come.

    The numbers come from the wake-up descriptor and not from the handlers, which run once for two signals in quick succession.
    """

    def __init__(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise ConfigError("Workers can only be started from the main thread, which alone gets signals.")
        self._reader, self._writer = socket.socketpair()
        self._previous: dict[signal.Signals, Any] = {}
        self._previous_fd = -1

    def __enter__(self) -> SignalQueue:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._previous_fd = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number in SIGNALS.values():
            self._previous[number] = signal.signal(number, _wake_up)
        return self

    def __exit__(self, *unused: object) -> None:
        for number, handler in self._previous.items():
            # None: somebody's handler in C, which Python cannot put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        """For selectors."""
        return self._reader.fileno()

    def take(self) -> list[str]:
        """The names of the signals that have come since the last call, in their order."""
        try:
            numbers = self._reader.recv(4096)
        except BlockingIOError:
            return []
        return [signal.Signals(number).name for number in numbers]


def _wake_up(number: int, frame: FrameType | None) -> None:
    """The wake-up descriptor has told already."""


@contextlib.contextmanager
def held_back(*numbers: signal.Signals) -> Iterator[None]:
    """Keep signals from this thread until the block ends, and from processes started in it until they let them through."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
