"""The one log level that `logging` does not know. A number, no logging: it is read before there is any."""

from __future__ import annotations

__all__ = ["TRACE_LOG_LEVEL"]

#: Below DEBUG: every connection and every ASGI message.
TRACE_LOG_LEVEL = 5
