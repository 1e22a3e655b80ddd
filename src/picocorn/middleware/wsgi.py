"""A door for code that knew uvicorn's layout (`uvicorn.middleware.wsgi`)."""

from __future__ import annotations

from ..asgi.adapters import WSGIMiddleware

__all__ = ["WSGIMiddleware"]
