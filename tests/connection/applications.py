"""Small applications and request bytes for the tests of connections."""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["Held", "Reader", "body", "echo", "hello", "post", "request", "start"]


def request(target: bytes = b"/", *fields: bytes, method: bytes = b"GET", version: bytes = b"1.1", content: bytes = b"") -> bytes:
    lines = [b"%b %b HTTP/%b" % (method, target, version), b"Host: a", *fields]
    return b"\r\n".join(lines) + b"\r\n\r\n" + content


def post(content: bytes, *fields: bytes, target: bytes = b"/", length: int | None = None) -> bytes:
    size = len(content) if length is None else length
    return request(target, b"Content-Length: %d" % size, *fields, method=b"POST", content=content)


def start(status: int = 200, *headers: tuple[bytes, bytes], **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": list(headers), **more}


def body(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """Answers with its path, at once."""
    await send(start())
    await send(body(scope["path"].encode()))


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the content it was sent."""
    data = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            return
        data += event["body"]
        if not event["more_body"]:
            break
    await send(start())
    await send(body(data))


class Held:
    """An application that waits to be told, request by request, and keeps what it was given."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.gates: list[asyncio.Event] = []
        self.errors: list[BaseException] = []

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        # The gate is there from the call on, whenever the task takes its first step.
        gate = asyncio.Event()
        self.calls.append({"scope": scope, "receive": receive, "send": send})
        self.gates.append(gate)
        return self._run(gate, scope, send)

    async def _run(self, gate: asyncio.Event, scope: Any, send: Any) -> None:
        try:
            await gate.wait()
            await send(start())
            await send(body(scope["path"].encode()))
        except BaseException as error:
            self.errors.append(error)
            raise

    def paths(self) -> list[str]:
        return [call["scope"]["path"] for call in self.calls]


class Reader:
    """Reads when it is told to, and keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.wanted = asyncio.Semaphore(0)
        self.error: BaseException | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            while not self.events or self.events[-1].get("more_body"):
                await self.wanted.acquire()
                self.events.append(await receive())
            await send(start())
            await send(body(b"read"))
        except BaseException as error:
            self.error = error
            raise

    def read(self) -> None:
        self.wanted.release()

    @property
    def gates(self) -> list[Any]:
        # For the end of a test: lets it run out.
        for _ in range(1000):
            self.wanted.release()
        return []
