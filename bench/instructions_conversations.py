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
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from types import ModuleType
from typing import Any

import instructions_http2
import traffic
from apps import raw, websocket
from instructions_callgrind import MANY
from instructions_tls import Client, encrypted
from null_stack import NullTransport, QueueLoop, protocol_factory
from picocorn.http2.engine import ENGINE

__all__ = ["CONVERSATIONS", "WAYS", "play"]

#: Of the loop, that an answer of HTTP/1.1 takes at most.
TURNS = 4


@dataclass(frozen=True)
class Conversation:
    """What is said again and again, and how its answer begins and ends."""

    request: bytes
    beginning: bytes
    ending: bytes
    app: Any = raw.app
    #: said once before, answered at once
    opening: bytes = b""
    #: over TLS; without an opening
    is_encrypted: bool = False
    #: requests in one piece, each on a stream of its own: HTTP/2 if there is more than one
    streams: int = 1
    #: of the loop, that an answer takes over sockets, with a margin
    turns: int = TURNS

    def check(self, answer: bytes) -> None:
        """Raises SystemExit for an answer that is wrong."""
        if self.streams > 1:
            instructions_http2.check(answer, self.ending)
        elif not answer.startswith(self.beginning) or not answer.endswith(self.ending) or answer.count(self.beginning) != 1:
            raise SystemExit(f"wrong answer: {answer!r}")

    def said(self, client: Client, count: int) -> Iterator[bytes]:
        """What the client says for `count` requests. All of it that has to be made is, before the first is given out."""
        if self.is_encrypted:
            return client.said(self.request, count)
        return instructions_http2.pieces(count // self.streams) if self.streams > 1 else repeat(self.request)


def _http(request: bytes, ending: bytes, *, is_encrypted: bool = False) -> Conversation:
    return Conversation(request, b"HTTP/1.1 200 OK\r\n", ending, is_encrypted=is_encrypted)


CONVERSATIONS = {
    "raw-get": _http(traffic.RAW_GET, b"\r\n\r\nHello, World!"),
    "browser-get": _http(traffic.BROWSER_GET, b"\r\n\r\nHello, World!"),
    "post-1-kib": _http(traffic.POST_1_KIB, traffic.POST_1_KIB[-1024:]),
    "ws-echo": Conversation(
        traffic.WEBSOCKET_TEXT_64, b"\x81\x40", traffic.WEBSOCKET_TEXT, websocket.echo, traffic.WEBSOCKET_HANDSHAKE
    ),
    "tls-get": _http(traffic.RAW_GET, b"\r\n\r\nHello, World!", is_encrypted=True),
}
#: Only with libnghttp2, whose engine is not built where its headers are missing.
if ENGINE == "nghttp2":
    CONVERSATIONS["h2-get"] = Conversation(
        b"",
        b"",
        b"Hello, World!",
        opening=instructions_http2.OPENING,
        streams=instructions_http2.STREAMS,
        # Before Python 3.12 the tasks begin in the next, and what they send leaves in one behind that.
        turns=6,
    )

#: Connections that have a request ready in the same turn of the loop, in the way with sockets.
SOCKETS = 16


def native(name: str) -> ModuleType:
    """The native body of a twin room."""
    return importlib.import_module(f"picocorn.{name}_c")


def native_factory(loop: Any, conversation: Conversation) -> Any:
    """What the server makes the connections of `conversation` with."""
    factory = protocol_factory(loop, native, conversation.app, is_tls=conversation.is_encrypted)
    return encrypted(loop, native, factory) if conversation.is_encrypted else factory


# --- without sockets: from `data_received` to the transport's `write` ----------------------------------------------------


def play_stack(conversation: Conversation, count: int) -> None:
    """`count` requests on one connection, over a transport that only counts."""
    loop: Any = QueueLoop()
    # Eager tasks ask whether their loop runs.
    asyncio._set_running_loop(loop)
    protocol = native_factory(loop, conversation)()
    transport = NullTransport(protocol)
    protocol.connection_made(transport)
    if conversation.opening:
        protocol.data_received(conversation.opening)
        loop.run_ready()
    client, first = Client(), b""
    if conversation.is_encrypted:
        answer = b""
        while asked := client.shake_hands(answer):
            transport.keep = kept = list[bytes]()
            protocol.data_received(asked)
            answer = b"".join(kept)
        transport.keep = None
    requests = conversation.said(client, MANY)
    opened_bytes, protocol = transport.written_bytes, transport.protocol
    for request in islice(requests, count // conversation.streams):
        protocol.data_received(request)
        loop.run_ready()
        first = first or transport.last
    # An application that waits for more is told that nothing comes.
    protocol.connection_lost(None)
    loop.run_ready()
    asyncio._set_running_loop(None)
    written_bytes = transport.written_bytes - opened_bytes
    conversation.check(client.heard(first) if conversation.is_encrypted else first)
    if written_bytes != count // conversation.streams * len(first):
        raise SystemExit(f"{written_bytes} bytes written for {count} requests, {len(first)} of them for the first piece")


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
        listener = Listener(loop, native_factory(loop, conversation), listening)
        clients = [socket.socket(socket.AF_UNIX) for _ in range(SOCKETS)]
        for client in clients:
            client.connect(listening.getsockname())
            client.setblocking(False)
        await turns()
        buffer = bytearray(1 << 16)
        if conversation.opening:
            for client in clients:
                client.send(conversation.opening)
            await turns(conversation.turns)
            for client in clients:
                client.recv_into(buffer)
        speakers = [Client() for _ in clients]
        if conversation.is_encrypted:
            for client, speaker in zip(clients, speakers, strict=True):
                answer = b""
                while asked := speaker.shake_hands(answer):
                    client.send(asked)
                    await turns()
                    answer = client.recv(len(buffer))
        requests = [conversation.said(speaker, MANY // SOCKETS) for speaker in speakers]
        received = 0
        first = b""
        pieces = count // SOCKETS // conversation.streams
        for _ in range(pieces):
            for client, each in zip(clients, requests, strict=True):
                client.send(next(each))
            await turns(conversation.turns)
            for client in clients:
                length = client.recv_into(buffer)
                received += length
                first = first or bytes(buffer[:length])
        conversation.check(speakers[0].heard(first) if conversation.is_encrypted else first)
        if received != pieces * SOCKETS * len(first):
            raise SystemExit(f"{received} bytes received for {count} requests, {len(first)} of them for the first piece")
        for client in clients:
            client.close()
        listener.close()
        await turns()


async def turns(count: int = TURNS) -> None:
    """As many turns of the loop; the same number each time, so that they cost the same."""
    for _ in range(count):
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
