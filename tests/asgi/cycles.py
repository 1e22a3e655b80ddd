"""Messages, and ways to hand them to a request cycle, for the tests of the cycle."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable
from typing import Any

import pytest

__all__ = ["DISCONNECT", "END", "START", "body", "now", "run", "run_application", "sent"]

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body"}
DISCONNECT = {"type": "http.disconnect"}


def body(data: Any, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def run(coroutine: Awaitable[Any]) -> Any:
    async def main() -> Any:
        return await coroutine

    return asyncio.run(main())


def run_application(cycle: Any, app: Any) -> Any:
    """What a task steps to run `app` for `cycle`, of the cycle's own body."""
    twin = type(cycle).__module__.rpartition("_")[2]
    return importlib.import_module(f"picocorn.asgi.tasks_{twin}").run_application(cycle, app)


def now(awaitable: Any) -> Any:
    """What an awaitable gives that has no need to wait."""
    with pytest.raises(StopIteration) as caught:
        awaitable.send(None)
    return caught.value.value


def sent(cycle: Any, *messages: dict[str, Any]) -> list[Any]:
    for message in messages:
        assert now(cycle.send(message)) is None
    return cycle.wire.calls
