"""A door for code that knew uvicorn's layout (`uvicorn.middleware.asgi2`)."""

from __future__ import annotations

from ..asgi.adapters import ASGI2Middleware

__all__ = ["ASGI2Middleware"]
