"""What is told outside of the process that is the server: its pid file, and its states to the service manager.

One for each server, whether it serves alone or supervises workers; a worker's tells nobody anything. Decides nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import time
from collections.abc import Callable

from .pidfile import PidFile
from .systemd import Notifier

__all__ = ["Service"]

logger = logging.getLogger("picocorn.error")

#: Signs of life within the time that the manager waits for one, as sd_watchdog_enabled(3) asks for.
BEATS_PER_TIMEOUT = 2


class Service:
    """A server as seen from outside. Without `pidfile` and `notifier` there is nothing to see."""

    def __init__(self, pidfile: str | os.PathLike[str] | None = None, notifier: Notifier | None = None) -> None:
        self._pidfile = None if pidfile is None else PidFile(os.fspath(pidfile))
        self._notifier = notifier or Notifier({})
        self._timer: asyncio.TimerHandle | None = None
        #: when the manager wants a sign of life (seconds of the monotonic clock), None for never
        self.beat_at: float | None = None
        self.is_reloading = False

    def check(self) -> None:
        """Raise OSError if there is no way to write the pid file, as when the server it names is running."""
        if self._pidfile is not None:
            self._pidfile.check()

    def listening(self) -> None:
        """Write the pid file. Raises OSError."""
        if self._pidfile is not None:
            self._pidfile.write()

    def ready(self, status: str) -> None:
        """Requests are served: at the beginning, and when a reload is done."""
        self.is_reloading = False
        self._notifier.ready(status)

    def reloading(self) -> None:
        """Configuration and processes are being renewed; `ready` ends it."""
        self.is_reloading = True
        self._notifier.reloading()

    def stopping(self, status: str) -> None:
        """The end has begun."""
        self._notifier.stopping(status)

    def end(self) -> None:
        """Nothing more is to be told. Doing it again does nothing."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._try("remove", PidFile.remove)

    def _try(self, what: str, do: Callable[[PidFile], None]) -> None:
        if self._pidfile is None:
            return
        try:
            do(self._pidfile)
        except OSError as error:
            logger.error("Cannot %s the pid file: %s", what, error)

    # -- signs of life

    def beat(self, now: float) -> None:
        """Give a sign of life if it is time to. `now` as of the monotonic clock."""
        seconds = self._notifier.watchdog_seconds / BEATS_PER_TIMEOUT
        if not seconds:
            self.beat_at = None
        elif self.beat_at is None or now >= self.beat_at:
            self._notifier.alive()
            self.beat_at = now + seconds

    def beat_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give signs of life for as long as `loop` goes round, until `end`."""
        self.beat(time.monotonic())
        if self.beat_at is not None:
            # In an empty context: whoever calls this has one that is none of its business.
            again = self.beat_at - time.monotonic()
            self._timer = loop.call_later(again, self.beat_on, loop, context=contextvars.Context())

    # -- a new server in the place of this one

    def make_room(self) -> None:
        """A new server has been started on our sockets: leave it the name of the pid file."""
        self._try("rename", PidFile.move_aside)

    def take_back(self) -> None:
        """It has ended before its time."""
        self._try("rename", PidFile.move_back)

    def hand_over(self, process_id: int) -> None:
        """Have the service manager take process `process_id` for the service."""
        self._notifier.hand_over(process_id)
        self.beat_at = None

    def for_successor(self) -> dict[str, str]:
        """The variables by which it finds the service manager."""
        return self._notifier.for_successor()
