"""A request cycle of either body, over a wire that only notes what is asked of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.errors import LocalProtocolError


@pytest.fixture
def make(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """`make()`: a cycle; its `wire.calls` are what it asked for."""

    class FakeWire(room("asgi.wire").Wire):
        def __init__(self) -> None:
            self.calls: list[Any] = []
            self.started = False
            self.full = False
            self.refusal: LocalProtocolError | None = None
            self.drained: asyncio.Event | None = None
            self.blocked = False

        def _note(self, *call: Any) -> None:
            if self.refusal is not None:
                raise self.refusal
            self.calls.append(call)

        def write_head(self, status: int, headers: Any, trailers: bool) -> None:
            self._note("head", status, [tuple(field) for field in headers], bool(trailers))

        def discard_head(self) -> bool:
            return not self.started

        def write_data(self, data: bytes, end: bool) -> bool:
            assert type(data) is bytes
            self._note("data", data, bool(end))
            self.started = True
            return self.full

        def write_trailers(self, headers: Any) -> bool:
            self._note("trailers", [tuple(field) for field in headers])
            return self.full

        def write_informational(self, status: int, headers: Any) -> None:
            self._note("informational", status, headers)

        def request_body(self) -> None:
            self.calls.append(("request_body",))

        def consume(self, size_bytes: int) -> None:
            self.calls.append(("consume", size_bytes))

        def is_blocked(self) -> bool:
            return self.blocked

        async def drain(self) -> None:
            self.calls.append(("drain",))
            if self.drained is not None:
                await self.drained.wait()

        def fail(self) -> None:
            self.calls.append(("fail",))

    def make(method: str = "GET") -> Any:
        return room("asgi.http_cycle").HTTPCycle(FakeWire(), {"type": "http", "method": method}, method == "HEAD")

    return make
