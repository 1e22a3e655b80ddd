"""A door for code that knew uvicorn's layout (`uvicorn.middleware.proxy_headers`)."""

from __future__ import annotations

from ..asgi.proxy_headers import ProxyHeadersMiddleware

__all__ = ["ProxyHeadersMiddleware"]
