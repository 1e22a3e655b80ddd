"""Applications and messages for the conformance tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

__all__ = ["Application", "Recorder", "answer", "body", "hello", "lifespan_answered", "read_all", "start"]

Application = Callable[[Any, Any, Any], Awaitable[None]]


def start(status: int = 200, headers: Any = (), **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(data: Any = b"", more_body: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more_body}


async def answer(send: Any, data: bytes = b"", status: int = 200) -> None:
    await send(start(status, [(b"content-length", b"%d" % len(data))]))
    await send(body(data))


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answers with its path."""
    await answer(send, scope["path"].encode())


async def read_all(receive: Any) -> bytes:
    """The whole content of a request."""
    data = b""
    while True:
        event = await receive()
        assert event["type"] == "http.request", event
        data += event["body"]
        if not event["more_body"]:
            return data


async def lifespan_answered(receive: Any, send: Any) -> None:
    """The lifespan of an application that has none to speak of."""
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


class Recorder:
    """Keeps every scope, and the events of requests that it reads to their end."""

    def __init__(self) -> None:
        self.scopes: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        while not self.events or self.events[-1].get("more_body", True):
            self.events.append(await receive())
        await answer(send, b"recorded")
        self.events.append(await receive())

    @property
    def scope(self) -> dict[str, Any]:
        """The only one."""
        (scope,) = self.scopes
        return scope
