"""A door for code that knew uvicorn's layout (`uvicorn.middleware.message_logger`)."""

from __future__ import annotations

from ..server.message_logger import MessageLoggerMiddleware

__all__ = ["MessageLoggerMiddleware"]
