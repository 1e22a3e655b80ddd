"""Applications that are not ASGI 3: how they are recognised, and what makes ASGI 3 of them. Knows no socket.

ASGI 2 applications take the scope and return a callable; WSGI applications run in threads through a2wsgi.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ..base.errors import ConfigError

__all__ = ["ASGI2Middleware", "WSGIMiddleware", "accepts_positional", "detect_interface"]

#: Threads of a WSGI application: how many requests it works on at a time.
WSGI_THREADS = 10


def detect_interface(app: Any) -> str:
    """Say which interface `app` speaks: "asgi3" or "asgi2", or "wsgi" where its parameters leave no doubt.

    A class is ASGI 3 if its instances can be awaited (one instance per scope); anything else if calling it gives a
    coroutine, or if it takes exactly (scope, receive, send).
    """
    if inspect.isclass(app):
        return "asgi3" if hasattr(app, "__await__") else "asgi2"
    if inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None)):  # noqa: B004
        return "asgi3"
    one, two, three = (accepts_positional(app, count) for count in (1, 2, 3))
    if not one and two != three:
        return "wsgi" if two else "asgi3"
    return "asgi2"


def accepts_positional(app: Any, count: int) -> bool:
    """Whether `app` can be called with `count` positional arguments. True when nobody can tell."""
    try:
        signature = inspect.signature(app)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*(None,) * count)
    except TypeError:
        return False
    return True


class ASGI2Middleware:
    """Makes an ASGI 3 callable of a double callable: `app(scope)` gives the instance that takes (receive, send)."""

    def __init__(self, app: Callable[..., Any]) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Call the application with the scope, and what comes of it with the rest."""
        instance = self.app(scope)
        await instance(receive, send)


class WSGIMiddleware:
    """Makes an ASGI 3 callable of a WSGI application, with `workers` threads. Raises ConfigError when a2wsgi is missing."""

    def __init__(self, app: Callable[..., Any], workers: int = WSGI_THREADS, send_queue_size: int = 10) -> None:
        try:
            from a2wsgi import WSGIMiddleware as Adapter
        except ImportError as error:
            raise ConfigError("WSGI applications need the package a2wsgi: pip install a2wsgi") from error
        self.app: Any = Adapter(app, workers, send_queue_size)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application in a thread."""
        await self.app(scope, receive, send)
