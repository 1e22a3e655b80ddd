"""The client's side of a WebSocket on the bench, and applications for it. Knows bytes and the bench, no server."""

from __future__ import annotations

import asyncio
from typing import Any

from e2e.websocket_frames import Frame, WebSocket, handshake

__all__ = ["Peer", "Puppet", "echo", "opened", "opened_puppet"]


class Output:
    """What a connection has written, read as from a socket."""

    def __init__(self) -> None:
        self.bytes = b""

    def read_exactly(self, size_bytes: int) -> bytes:
        assert len(self.bytes) >= size_bytes, f"{self.bytes!r} has no {size_bytes} bytes"
        data, self.bytes = self.bytes[:size_bytes], self.bytes[size_bytes:]
        return data


class Peer:
    """A client on a connection of the bench that has sent a handshake."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.transport = connection.transport
        self._output = Output()
        self._frames = WebSocket(self._output, None)  # type: ignore[arg-type]

    @property
    def protocol(self) -> Any:
        return self.connection.protocol

    def send(self, *pieces: bytes) -> Peer:
        """Bytes arrive, in so many pieces."""
        self.connection.send(*pieces)
        return self

    async def settle(self) -> None:
        await self.connection.bench.settle()

    async def head(self) -> bytes:
        """The head of the answer to the handshake, once the loop has nothing to do; b"" when there is none yet."""
        self._output.bytes += await self.connection.answer()
        head, end, self._output.bytes = self._output.bytes.partition(b"\r\n\r\n")
        return head + end

    async def rest(self) -> bytes:
        """What has been written and not been read, as it is."""
        rest = self._output.bytes + await self.connection.answer()
        self._output.bytes = b""
        return rest

    async def frames(self) -> list[Frame]:
        """Everything that has been written since, as whole frames, once the loop has nothing to do."""
        self._output.bytes += await self.connection.answer()
        frames = []
        while self._output.bytes:
            frames.append(self._frames.read())
        return frames


class Puppet:
    """An application that is asked for what it should do by the test: `await puppet.send(...)`, `await puppet.receive()`."""

    def __init__(self) -> None:
        self.scope: Any = None
        self.receive: Any = None
        self.send: Any = None
        self.gate = asyncio.Event()
        self.error: BaseException | None = None
        self.raises: BaseException | None = None
        self.ended = False

    @property
    def gates(self) -> list[asyncio.Event]:
        return [self.gate]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        try:
            await self.gate.wait()
            if self.raises is not None:
                raise self.raises
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended = True

    async def accept(self, **fields: Any) -> None:
        assert await self.receive() == {"type": "websocket.connect"}
        await self.send({"type": "websocket.accept", **fields})

    async def say(self, data: str | bytes) -> None:
        await self.send({"type": "websocket.send", "text" if isinstance(data, str) else "bytes": data})

    async def close(self, **fields: Any) -> None:
        await self.send({"type": "websocket.close", **fields})

    async def hear(self) -> Any:
        """The next message, or (code, reason) at the end."""
        event = await self.receive()
        if event["type"] == "websocket.disconnect":
            return event["code"], event["reason"]
        assert event["type"] == "websocket.receive", event
        return event["text"] if "text" in event else event["bytes"]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accepts, and sends each message back as it came."""
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] != "websocket.disconnect":
        await send({**event, "type": "websocket.send"})


async def opened(bench: Any, app: Any, *fields: bytes, behind: bytes = b"", **options: Any) -> Peer:
    """A client whose handshake the application has accepted."""
    peer = Peer(bench.connect(app, websocket=True, **options))
    peer.send(handshake(b"/", *fields) + behind)
    head = await peer.head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
    return peer


async def opened_puppet(bench: Any, *fields: bytes, behind: bytes = b"", **options: Any) -> tuple[Puppet, Peer]:
    """An application that has accepted, and its client."""
    puppet = Puppet()
    peer = Peer(bench.connect(puppet, websocket=True, **options))
    peer.send(handshake(b"/", *fields) + behind)
    await peer.settle()
    await puppet.accept()
    head = await peer.head()
    assert head.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), head
    return puppet, peer
