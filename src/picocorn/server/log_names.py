"""Makes one logger answer to two names: `picocorn.access` and, for code written for uvicorn, `uvicorn.access`.

Knows `logging` from the inside (its table of loggers), and nothing of the server. Everything else just asks for
`logging.getLogger("picocorn....")`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from .log_defaults import TWIN_NAMES

__all__ = ["install_twin_names", "twin_names_withdrawn"]


def install_twin_names() -> None:
    """Give the loggers their second names. What was set up under those names before is taken over. May be repeated."""
    table = logging.Logger.manager.loggerDict
    for theirs, ours in TWIN_NAMES.items():
        logger = logging.getLogger(ours)
        known = table.get(theirs)
        if known is logger:
            continue
        if isinstance(known, logging.Logger):
            _take_over(known, logger)
        elif known is not None:
            for child in list(known.loggerMap):
                # Children that were there before their parent hang on the next logger above.
                if child.parent is None or child.parent is logging.root:
                    child.parent = logger
        table[theirs] = logger


def _take_over(known: logging.Logger, logger: logging.Logger) -> None:
    """Make `known`, which somebody may hold a reference to, and `logger` one: what is set on one is set on both."""
    for child in logging.Logger.manager.loggerDict.values():
        if isinstance(child, logging.Logger) and child.parent is known:
            child.parent = logger
    for handler in known.handlers:
        logger.addHandler(handler)
    for entry in known.filters:
        logger.addFilter(entry)
    if known.level != logging.NOTSET:
        logger.setLevel(known.level)
    logger.propagate = logger.propagate and known.propagate
    known.__dict__ = logger.__dict__


@contextlib.contextmanager
def twin_names_withdrawn() -> Iterator[None]:
    """Take the second names back while `logging.config` works.

    It goes by names: of two names of one logger it would set up the one that is mentioned, and then disable or reset
    the other.
    """
    table = logging.Logger.manager.loggerDict
    for theirs, ours in TWIN_NAMES.items():
        if table.get(theirs) is logging.getLogger(ours):
            del table[theirs]
    try:
        yield
    finally:
        install_twin_names()
