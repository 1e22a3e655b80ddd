"""What is logged of connections at level TRACE, in uvicorn's words. Knows the logger, no transport."""

from __future__ import annotations

import logging

from ..base.levels import TRACE_LOG_LEVEL

__all__ = ["is_tracing", "trace"]

logger = logging.getLogger("picocorn.error")


def is_tracing() -> bool:
    """Whether TRACE lines go anywhere. Asked once per server: connections come and go by the thousand."""
    return logger.isEnabledFor(TRACE_LOG_LEVEL)


def trace(client: tuple[str, int] | None, event: str) -> None:
    """Log `event` with the client's address in front, if it has one."""
    prefix = f"{client[0]}:{client[1]} - " if client is not None else ""
    logger.log(TRACE_LOG_LEVEL, "%s%s", prefix, event)
