"""Cycles of either body, over wires that only note what is asked of them, and what their waiters are tried with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest

from asgi.waiting import FACTORIES, LOOPS, source_class
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


@pytest.fixture
def make_websocket(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """`make_websocket()`: a WebSocket's cycle; its `wire.calls` are what it asked for, but for `consume`, which is counted."""

    class FakeWire(room("asgi.websocket_wire").WebSocketWire):
        def __init__(self) -> None:
            self.calls: list[Any] = []
            self.consumed = 0
            self.full = False
            self.blocked = False
            self.refusal: BaseException | None = None
            self.drained: asyncio.Event | None = None
            #: called inside each call of the cycle's
            self.meanwhile: Callable[[], Any] | None = None

        def _note(self, *call: Any) -> None:
            if self.refusal is not None:
                raise self.refusal
            self.calls.append(call)
            if self.meanwhile is not None:
                self.meanwhile()

        def accept(self, subprotocol: str | None, headers: Any) -> None:
            self._note("accept", subprotocol, [tuple(field) for field in headers])

        def send_message(self, data: str | bytes) -> bool:
            assert type(data) in (str, bytes)
            self._note("message", data)
            return self.full

        def close(self, code: int, reason: str) -> None:
            assert type(code) is int
            assert type(reason) is str
            self._note("close", code, reason)

        def reject(self, status: int) -> None:
            self._note("reject", status)

        def write_response_head(self, status: int, headers: Any) -> None:
            self._note("head", status, [tuple(field) for field in headers])

        def write_response_body(self, data: bytes, end: bool) -> bool:
            assert type(data) is bytes
            self._note("body", data, bool(end))
            return self.full

        def consume(self) -> None:
            self.consumed += 1

        def is_blocked(self) -> bool:
            return self.blocked

        async def drain(self) -> None:
            self.calls.append(("drain",))
            if self.drained is not None:
                await self.drained.wait()

        def fail(self) -> None:
            self._note("fail")

    return lambda: room("asgi.websocket_cycle").WebSocketCycle(FakeWire(), {"type": "websocket"})


@pytest.fixture
def make_source(room: Callable[[str], ModuleType]) -> Any:
    """`make_source()`: something to wait for; see `waiting.source_class`."""
    return source_class(room("asgi.waiters"))


@pytest.fixture(params=LOOPS)
def new_loop(request: pytest.FixtureRequest) -> Any:
    """Makes an event loop of each kind there is."""
    return LOOPS[request.param]


@pytest.fixture(params=FACTORIES)
def run_tasks(request: pytest.FixtureRequest, new_loop: Any) -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine on each kind of loop with each kind of task, and complains about what the loop was told."""

    def run(main: Coroutine[Any, Any, Any]) -> Any:
        told: list[dict[str, Any]] = []

        async def around() -> Any:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: told.append(context))
            loop.set_task_factory(FACTORIES[request.param])
            return await asyncio.create_task(main)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            result = runner.run(around())
        assert not told
        return result

    return run
