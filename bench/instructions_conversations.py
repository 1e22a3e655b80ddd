"""Plays one recorded conversation against the native stack a given number of times: what bench/instructions.py counts.

Everything that could make two runs differ is kept out: one thread, a clock that stands still, no cyclic garbage collection (its
turns come by a count that the start-up has begun), Unix sockets (their delivery is over when `send` returns).

    python bench/instructions_conversations.py raw-get stack 1000
"""

from __future__ import annotations

import asyncio
import gc
import socket
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import traffic
from apps.raw import app
from picocorn.asgi.proxy_headers import TrustedHosts
from picocorn.base.limits import HTTP1Limits

__all__ = ["CONVERSATIONS", "WAYS", "play"]

#: conversation name -> (the request, the end of its answer)
CONVERSATIONS = {
    "raw-get": (traffic.RAW_GET, b"\r\n\r\nHello, World!"),
    "browser-get": (traffic.BROWSER_GET, b"\r\n\r\nHello, World!"),
    "post-1-kib": (traffic.POST_1_KIB, traffic.POST_1_KIB[-1024:]),
}

#: Connections that have a request ready in the same turn of the loop, in the way with sockets.
SOCKETS = 16

DEFAULT_HEADERS = [(b"date", b"Sat, 21 Nov 2026 11:00:00 GMT"), (b"server", b"picocorn")]


def protocol_factory(loop: Any) -> Callable[[], Any]:
    """What a server with default settings and no access log makes its connections with, in native bodies."""
    from picocorn.connection.context_c import ConnectionContext, ServerState  # type: ignore[import-not-found]
    from picocorn.connection.http1_c import HTTP1Protocol  # type: ignore[import-not-found]

    state = ServerState()
    state.default_headers = DEFAULT_HEADERS
    context = ConnectionContext(
        app=app,
        loop=loop,
        server_state=state,
        app_state={},
        limits=HTTP1Limits(),
        trusted_hosts=TrustedHosts("127.0.0.1"),
    )
    return partial(HTTP1Protocol, context)


def checked(answer: bytes, ending: bytes) -> int:
    """The length of an answer that is right. Raises SystemExit for any other."""
    if not answer.startswith(b"HTTP/1.1 200 OK\r\n") or not answer.endswith(ending) or answer.count(b"HTTP/1.1") != 1:
        raise SystemExit(f"wrong answer: {answer!r}")
    return len(answer)


# --- without sockets: from `data_received` to the transport's `write` ----------------------------------------------------


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
    """Counts what is written and keeps the last of it."""

    def __init__(self) -> None:
        self.written_bytes = 0
        self.last = b""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 50000) if name == "peername" else ("127.0.0.1", 8000) if name == "sockname" else default

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

    def writelines(self, pieces: list[bytes]) -> None:
        self.write(b"".join(pieces))

    def close(self) -> None:
        raise SystemExit("the connection was closed")

    abort = close


def play_stack(request: bytes, ending: bytes, count: int) -> None:
    """`count` requests on one connection, over a transport that only counts."""
    loop: Any = QueueLoop()
    # Eager tasks ask whether their loop runs.
    asyncio._set_running_loop(loop)
    protocol = protocol_factory(loop)()
    transport = NullTransport()
    protocol.connection_made(transport)
    for _ in range(count):
        protocol.data_received(request)
        loop.run_ready()
    asyncio._set_running_loop(None)
    if transport.written_bytes != count * checked(transport.last, ending):
        raise SystemExit(f"{transport.written_bytes} bytes written for {count} answers of {len(transport.last)}")


# --- with sockets: from the poller's `epoll_wait` to its flush ------------------------------------------------------------


class StandingLoop(asyncio.SelectorEventLoop):
    """Its time stands still, so no timer ever passes and none may be waited for."""

    def time(self) -> float:
        return 1000.0


async def play_poller(request: bytes, ending: bytes, count: int) -> None:
    """`count` requests over the native poller, in turns of `SOCKETS` connections each of which has one ready.

    Counted with it: the two socket calls of each client, and each connection's share of the turns of asyncio's loop.
    """
    from picocorn.transport.listener_c import Listener  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")  # the kernel finds a name: one in a folder would need a random one
        listening.setblocking(False)
        listening.listen(SOCKETS)
        listener = Listener(loop, protocol_factory(loop), listening)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(SOCKETS)]
        for client in clients:
            client.connect(listening.getsockname())
            client.setblocking(False)
        await turns()
        buffer = bytearray(1 << 16)
        received = 0
        for _ in range(count // SOCKETS):
            for client in clients:
                client.send(request)
            await turns()
            for client in clients:
                received += client.recv_into(buffer)
        expected = count // SOCKETS * SOCKETS * checked(bytes(buffer[: buffer.find(ending) + len(ending)]), ending)
        if received != expected:
            raise SystemExit(f"{received} bytes received of {expected}")
        for client in clients:
            client.close()
        listener.close()
        await turns()


async def turns() -> None:
    """As many turns of the loop as an answer takes, with a margin; the same number each time."""
    for _ in range(4):
        await asyncio.sleep(0)


# --- what is called --------------------------------------------------------------------------------------------------------


def play(conversation: str, way: str, count: int) -> None:
    """Play `conversation` one of the `WAYS`. Raises SystemExit if an answer is wrong."""
    request, ending = CONVERSATIONS[conversation]
    gc.disable()
    if way == "stack":
        play_stack(request, ending, count)
        return
    with asyncio.Runner(loop_factory=StandingLoop) as runner:
        runner.run(play_poller(request, ending, count))


#: from `data_received` to `write`; with the poller and its system calls around that
WAYS = ("stack", "poller")


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2], int(sys.argv[3]))
