"""From what was imported to what is called: factories, what the application speaks, adapters and middleware around it.

Knows the options that say so, and no running server.
"""

from __future__ import annotations

import inspect
import logging
from typing import TYPE_CHECKING, Any

from ..asgi.adapters import ASGI2Middleware, WSGIMiddleware, accepts_positional, detect_interface
from ..asgi.proxy_headers import ProxyHeadersMiddleware
from ..base.errors import ConfigError
from .log_config import TRACE_LOG_LEVEL
from .message_logger import MessageLoggerMiddleware

if TYPE_CHECKING:
    from .config import Config

__all__ = ["made_application", "wrapped"]

logger = logging.getLogger("picocorn.error")


def made_application(app: Any, factory: bool) -> Any:
    """What the factory `app` makes, `app` itself if it is none. Raises ConfigError; what a factory raises goes through."""
    if not factory and not _looks_like_factory(app):
        return app
    try:
        made = app()
    except TypeError as error:
        if not factory and accepts_positional(app, 1):
            # A wrapper that takes anything: it was worth a try.
            return app
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            # From inside the factory, where the traceback says more.
            raise
        raise ConfigError(f"Error loading ASGI app factory: {error}") from None
    if inspect.iscoroutine(made):
        made.close()
        raise ConfigError(
            "Error loading ASGI app factory: it is a coroutine function, which cannot be called before the loop runs."
        )
    if not factory:
        logger.warning("ASGI app factory detected. Using it, but please consider setting the --factory flag explicitly.")
    return made


def _looks_like_factory(app: Any) -> bool:
    # Calling what gives a coroutine would only leave one that nobody awaits.
    return callable(app) and accepts_positional(app, 0) and detect_interface(app) != "asgi3"


def wrapped(app: Any, config: Config) -> Any:
    """The application `app`, to be called as ASGI 3. Settles `config.interface`. Raises ConfigError."""
    name = f'Error loading ASGI app. "{config.app}"'
    if not callable(app):
        raise ConfigError(f"{name} is not callable, so it is no ASGI application: it is of type {type(app).__name__}.")
    if config.interface == "auto":
        if not any(accepts_positional(app, count) for count in (1, 2, 3)):
            raise ConfigError(f"{name} takes neither (scope, receive, send) nor (scope), so it is no ASGI application.")
        detected = detect_interface(app)
        if detected == "wsgi":
            raise ConfigError(
                "Error loading ASGI app. It takes two arguments, as WSGI applications do. If it is one, use --interface wsgi."
            )
        config.interface = detected
    if config.interface == "wsgi":
        app = WSGIMiddleware(app)
    elif config.interface == "asgi2":
        app = ASGI2Middleware(app)
    if logging.getLogger("picocorn.asgi").isEnabledFor(TRACE_LOG_LEVEL):
        app = MessageLoggerMiddleware(app)
    if config.proxy_headers:
        app = ProxyHeadersMiddleware(app, trusted_hosts=config.forwarded_allow_ips or "")
    return app
