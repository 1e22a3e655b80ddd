"""Plays one recorded conversation against the native stack a given number of times: what bench/instructions.py counts.

Everything that could make two runs differ is kept out: one thread, a clock that stands still, no cyclic garbage collection (its
turns come by a count that the start-up has begun), Unix sockets (their delivery is over when `send` returns).

    python bench/instructions_conversations.py raw-get stack 1000
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import socket
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import traffic
from apps import raw, websocket
from null_stack import NullTransport, QueueLoop, protocol_factory

__all__ = ["CONVERSATIONS", "WAYS", "play"]


@dataclass(frozen=True)
class Conversation:
    """What is said again and again, and how its answer begins and ends."""

    request: bytes
    beginning: bytes
    ending: bytes
    app: Any = raw.app
    #: said once before, answered at once
    opening: bytes = b""

    def checked(self, answer: bytes) -> int:
        """The length of an answer that is right. Raises SystemExit for any other."""
        if not answer.startswith(self.beginning) or not answer.endswith(self.ending) or answer.count(self.beginning) != 1:
            raise SystemExit(f"wrong answer: {answer!r}")
        return len(answer)


def _http(request: bytes, ending: bytes) -> Conversation:
    return Conversation(request, b"HTTP/1.1 200 OK\r\n", ending)


CONVERSATIONS = {
    "raw-get": _http(traffic.RAW_GET, b"\r\n\r\nHello, World!"),
    "browser-get": _http(traffic.BROWSER_GET, b"\r\n\r\nHello, World!"),
    "post-1-kib": _http(traffic.POST_1_KIB, traffic.POST_1_KIB[-1024:]),
    "ws-echo": Conversation(
        traffic.WEBSOCKET_TEXT_64, b"\x81\x40", traffic.WEBSOCKET_TEXT, websocket.echo, traffic.WEBSOCKET_HANDSHAKE
    ),
}

#: Connections that have a request ready in the same turn of the loop, in the way with sockets.
SOCKETS = 16


def native(name: str) -> ModuleType:
    """The native body of a twin room."""
    return importlib.import_module(f"picocorn.{name}_c")


# --- without sockets: from `data_received` to the transport's `write` ----------------------------------------------------


def play_stack(conversation: Conversation, count: int) -> None:
    """`count` requests on one connection, over a transport that only counts."""
    loop: Any = QueueLoop()
    # Eager tasks ask whether their loop runs.
    asyncio._set_running_loop(loop)
    protocol = protocol_factory(loop, native, conversation.app)()
    transport = NullTransport(protocol)
    protocol.connection_made(transport)
    if conversation.opening:
        protocol.data_received(conversation.opening)
        loop.run_ready()
    opened_bytes, protocol = transport.written_bytes, transport.protocol
    for _ in range(count):
        protocol.data_received(conversation.request)
        loop.run_ready()
    # An application that waits for more is told that nothing comes.
    protocol.connection_lost(None)
    loop.run_ready()
    asyncio._set_running_loop(None)
    written_bytes = transport.written_bytes - opened_bytes
    if written_bytes != count * conversation.checked(transport.last):
        raise SystemExit(f"{written_bytes} bytes written for {count} answers of {len(transport.last)}")


# --- with sockets: from the poller's `epoll_wait` to its flush ------------------------------------------------------------


class StandingLoop(asyncio.SelectorEventLoop):
    """Its time stands still, so no timer ever passes and none may be waited for."""

    def time(self) -> float:
        return 1000.0


async def play_poller(conversation: Conversation, count: int) -> None:
    """`count` requests over the native poller, in turns of `SOCKETS` connections each of which has one ready.

    Counted with it: the two socket calls of each client, and each connection's share of the turns of asyncio's loop.
    """
    from picocorn.transport.listener_c import Listener  # type: ignore[import-not-found]

    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("")  # the kernel finds a name: one in a folder would need a random one
        listening.setblocking(False)
        listening.listen(SOCKETS)
        listener = Listener(loop, protocol_factory(loop, native, conversation.app), listening)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(SOCKETS)]
        for client in clients:
            client.connect(listening.getsockname())
            client.setblocking(False)
        await turns()
        buffer = bytearray(1 << 16)
        if conversation.opening:
            for client in clients:
                client.send(conversation.opening)
            await turns()
            for client in clients:
                client.recv_into(buffer)
        received = length = 0
        for _ in range(count // SOCKETS):
            for client in clients:
                client.send(conversation.request)
            await turns()
            for client in clients:
                length = client.recv_into(buffer)
                received += length
        expected = count // SOCKETS * SOCKETS * conversation.checked(bytes(buffer[:length]))
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
    gc.disable()
    if way == "stack":
        play_stack(CONVERSATIONS[conversation], count)
        return
    with asyncio.Runner(loop_factory=StandingLoop) as runner:
        runner.run(play_poller(CONVERSATIONS[conversation], count))


#: from `data_received` to `write`; with the poller and its system calls around that
WAYS = ("stack", "poller")


if __name__ == "__main__":
    play(sys.argv[1], sys.argv[2], int(sys.argv[3]))
