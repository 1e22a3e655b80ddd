"""Middleware that logs every ASGI message at level TRACE, with large values left out. Knows ASGI and `logging`."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from .log_defaults import TRACE_LOG_LEVEL

__all__ = ["MessageLoggerMiddleware"]


def _shortened(message: Any) -> Any:
    """A copy of a scope or message that says how long its contents are instead of showing them."""
    if not isinstance(message, dict):
        # For the server to refuse.
        return f"<{type(message).__name__}>"
    short = dict(message)
    for key, unit in (("body", "bytes"), ("bytes", "bytes"), ("text", "chars")):
        if short.get(key) is not None:
            short[key] = _size(short[key], unit)
    if short.get("headers") is not None:
        short["headers"] = "<...>"
    return short


def _size(content: Any, unit: str) -> str:
    if isinstance(content, memoryview):
        return f"<{content.nbytes} {unit}>"
    if isinstance(content, (str, bytes, bytearray)):
        return f"<{len(content)} {unit}>"
    return f"<{type(content).__name__}>"


class MessageLoggerMiddleware:
    """Wraps an ASGI 3 application; numbers its calls."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self.app = app
        self.calls = 0
        self.logger = logging.getLogger("picocorn.asgi")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application, and log what it receives and sends."""
        self.calls += 1
        client = scope.get("client")
        peer = f"{client[0]}:{client[1]} - " if client else ""
        prefix = f"{peer}ASGI [{self.calls}]"

        def trace(text: str, *args: Any) -> None:
            self.logger.log(TRACE_LOG_LEVEL, "%s " + text, prefix, *args)

        async def traced_receive() -> Any:
            message = await receive()
            trace("Receive %s", _shortened(message))
            return message

        async def traced_send(message: Any) -> None:
            trace("Send %s", _shortened(message))
            await send(message)

        trace("Started scope=%s", _shortened(scope))
        try:
            await self.app(scope, traced_receive, traced_send)
        except BaseException:
            trace("Raised exception")
            raise
        trace("Completed")
