"""One line of the access log per response: a log record as uvicorn makes it, or the same bytes without one.

A record costs as much as a whole request. So where the server says that the log configuration would print nothing but the
known line, the line is put together here and handed to an output that writes once per turn of the event loop. The
configuration is looked at again for every line, because anybody may change it at any time.

Knows scopes and `logging`; which configuration is which, and where lines go, is the server's. The text is compiled a second
time as `access_log_c`.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from .access_line_py import LineFormat, Watch
from .access_parts import request_parts

__all__ = ["AccessLog"]

#: `record.args` is (client_addr, method, path, http_version, status): formatters and filters out there unpack it.
FORMAT = '%s - "%s %s HTTP/%s" %d'


class Output(Protocol):
    """Where lines go. `lines` are those of this turn: append, and call `schedule()` after the first."""

    lines: list[str]

    def schedule(self) -> None:
        """Have the lines written when this turn of the loop is over."""

    def flush(self) -> None:
        """Write them now."""


class Shortcut(Protocol):
    """What the server knows of log configurations."""

    def watched(self, logger: logging.Logger) -> tuple[Any, ...]:
        """Everything that decides how a line is printed: the arguments of a `Watch`."""

    def line_parts(self, logger: logging.Logger) -> tuple[Any, ...] | None:
        """The arguments of a `LineFormat`, None when records have to be made."""

    def output(self, logger: logging.Logger) -> Output:
        """Where the lines of `logger` go."""


class AccessLog:
    """Writes the access log to `logger`, at level INFO. Without a `shortcut` always by log records."""

    __slots__ = ("_format", "_lines", "_output", "_shortcut", "_watch", "logger")

    def __init__(self, logger: logging.Logger, shortcut: Shortcut | None = None) -> None:
        self.logger = logger
        self._shortcut = shortcut
        self._watch: Watch | None = None
        self._format: LineFormat | None = None
        self._output: Output | None = None
        #: of the output; None while records are made
        self._lines: list[str] | None = None

    def log(self, scope: Any, status: int) -> None:
        """Record that the request of `scope` is answered with `status`. Called when the response starts."""
        if self._shortcut is None:
            self._log_record(scope, status)
            return
        watch = self._watch
        lines = self._lines
        # Records are right whatever has changed, so while they are made only a part is watched; so it is within one turn.
        if watch is None or not (watch.holds() if lines is None or lines else watch.holds_all()):
            self._look()
            lines = self._lines
        line_format = self._format
        if lines is None or line_format is None:
            self._log_record(scope, status)
            return
        lines.append(line_format.line(scope, status))
        if len(lines) == 1 and self._output is not None:
            self._output.schedule()

    def _look(self) -> None:
        """Find out how lines are printed from now on. What was to be printed the old way is, first."""
        shortcut = self._shortcut
        if shortcut is None:
            return
        if self._output is not None:
            self._output.flush()
        self._lines = None
        self._format = None
        # Remembered first: what changes from here on is seen at the next line.
        self._watch = Watch(*shortcut.watched(self.logger))
        parts = shortcut.line_parts(self.logger)
        if parts is not None:
            self._format = LineFormat(*parts)
            self._output = shortcut.output(self.logger)
            self._lines = self._output.lines

    def _log_record(self, scope: Any, status: int) -> None:
        if self.logger.isEnabledFor(logging.INFO):
            client, method, path, version = request_parts(scope)
            self.logger.info(FORMAT, client, method, path, version, status)
