"""Log files that were moved away, as log rotation does: opened anew under their names. Knows only `logging`."""

from __future__ import annotations

import logging
from collections.abc import Iterator

__all__ = ["reopen_log_files"]

logger = logging.getLogger("picocorn.error")


def reopen_log_files() -> int:
    """Close and open anew the file of every handler that has one. Returns how many there are."""
    count = 0
    for handler in set(_handlers()):
        if isinstance(handler, logging.FileHandler) and _reopen(handler):
            count += 1
    return count


def _handlers() -> Iterator[logging.Handler]:
    """The handlers of all loggers, and those that others pass their records on to."""
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    for named in loggers:
        # A PlaceHolder has none.
        for handler in getattr(named, "handlers", ()):
            current: logging.Handler | None = handler
            while current is not None:
                yield current
                current = getattr(current, "target", None)


def _reopen(handler: logging.FileHandler) -> bool:
    handler.acquire()
    try:
        stream = handler.stream
        # None: opened with its first record (delay=True), so there is nothing to let go of.
        if stream is None:
            return False
        try:
            handler.stream = handler._open()
        except OSError as error:
            # Better the old one than none.
            logger.error("Cannot reopen the log file %s: %s", handler.baseFilename, error)
            return False
        stream.close()
        return True
    finally:
        handler.release()
