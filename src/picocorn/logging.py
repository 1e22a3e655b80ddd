"""A door for log configurations: `picocorn.logging.DefaultFormatter` and the others, which live in `picocorn.server`."""

from __future__ import annotations

from .server.formatters import TRACE_LOG_LEVEL, AccessFormatter, ColourizedFormatter, DefaultFormatter

__all__ = ["TRACE_LOG_LEVEL", "AccessFormatter", "ColourizedFormatter", "DefaultFormatter"]
