"""What a connection needs to run without sockets and without a clock: a loop that is a queue, a transport that drops everything.

For the micro-benchmarks and the counting of instructions. Knows how a server makes its connections; no conversation.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

from apps import raw
from picocorn.asgi.proxy_headers import TrustedHosts
from picocorn.base.limits import HTTP1Limits
from picocorn.http2.engine import new_session

__all__ = ["NullTransport", "QueueLoop", "protocol_factory"]

DEFAULT_HEADERS = [(b"date", b"Sat, 21 Nov 2026 11:00:00 GMT"), (b"server", b"picocorn")]


def protocol_factory(
    loop: Any, room: Callable[[str], ModuleType], app: Any = raw.app, *, is_tls: bool = False
) -> Callable[[], Any]:
    """What a server with default settings and no access log makes its connections with; `room` gives the body of a twin room."""
    module = room("connection.context")
    state = module.ServerState()
    state.default_headers = DEFAULT_HEADERS
    context = module.ConnectionContext(
        app=app,
        loop=loop,
        server_state=state,
        app_state={},
        limits=HTTP1Limits(),
        trusted_hosts=TrustedHosts("127.0.0.1"),
        is_tls=is_tls,
    )
    context.http2 = partial(room("connection.http2").HTTP2Protocol, context)
    context.new_http2_session = new_session
    context.websocket = partial(room("connection.websocket_http1").WebSocketProtocol, context)
    return partial(room("connection.http1").HTTP1Protocol, context)


class QueueLoop:
    """As much of an event loop as a request needs: a queue of callbacks. Time stands still, so no timer ever passes."""

    def __init__(self) -> None:
        self._ready: deque[asyncio.Handle] = deque()

    def run_ready(self) -> None:
        """Run until nothing is queued."""
        while self._ready:
            self._ready.popleft()._run()

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        loop: Any = self
        handle = asyncio.Handle(callback, args, loop, context)
        self._ready.append(handle)
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        loop: Any = self
        return asyncio.TimerHandle(delay, callback, args, loop, context)

    def time(self) -> float:
        return 0.0

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None, **options: Any) -> asyncio.Task[Any]:
        loop: Any = self
        return asyncio.Task(coro, loop=loop, name=name, context=context, **options)

    def create_future(self) -> asyncio.Future[Any]:
        loop: Any = self
        return asyncio.Future(loop=loop)

    def get_task_factory(self) -> None:
        return None

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        raise SystemExit(str(context))


class NullTransport:
    """Counts what is written, and keeps the last of it; all of it while `keep` is a list."""

    def __init__(self, protocol: Any = None) -> None:
        #: whose bytes they are: another one's after an upgrade
        self.protocol = protocol
        self.written_bytes = 0
        self.last = b""
        self.keep: list[bytes] | None = None

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else ("127.0.0.1", 8000) if name == "sockname" else default

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int, low: int) -> None:
        """Nothing is ever queued."""

    def get_write_buffer_size(self) -> int:
        return 0

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written_bytes += len(data)
        self.last = data
        if self.keep is not None:
            self.keep.append(data)

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        raise SystemExit("the connection was closed")

    abort = close
