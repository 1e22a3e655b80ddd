"""Four client libraries behind one face, so that each conversation can be had with every one of them. Knows no server.

    with connect_with("aiohttp", url, subprotocols=["a"]) as client:
        client.send("text")
        assert client.receive() == "text"

The asynchronous ones run their loop only while they are asked something.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import Any, TypeVar
from urllib.parse import urlsplit

import aiohttp
import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client
import wsproto
import wsproto.events
import wsproto.extensions
import wsproto.utilities

from harness import DEADLINE_SECONDS

__all__ = ["LIBRARIES", "Closed", "Conversation", "Denied", "connect_with"]

T = TypeVar("T")
MAX_MESSAGE_BYTES = 32 * 1024 * 1024


class Closed(Exception):
    """The server has closed: code and reason of its close frame, 1006 when there was none."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Denied(Exception):
    """The handshake was answered by something else than 101."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes | None) -> None:
        super().__init__(status)
        self.status = status
        self.headers = headers
        #: None where the library does not show it
        self.body = body


class Conversation(ABC):
    """One open WebSocket, with whichever library."""

    #: names of the accepted extensions, as the server's field has them
    extensions: str = ""
    #: fields of the 101, lower-cased names; the last of each name
    headers: dict[str, str]
    subprotocol: str | None = None

    @abstractmethod
    def send(self, data: str | bytes) -> None:
        """Send one message."""

    @abstractmethod
    def receive(self) -> str | bytes:
        """The next message; raises Closed."""

    @abstractmethod
    def ping(self, payload: bytes) -> None:
        """Send a ping and wait for its pong."""

    @abstractmethod
    def close(self, code: int = 1000, reason: str = "") -> None:
        """The whole close handshake."""

    @abstractmethod
    def release(self) -> None:
        """Let everything go, whatever state it is in."""

    def send_in_pieces(self, pieces: Sequence[str] | Sequence[bytes]) -> None:
        """Send one message in fragments; NotImplementedError where the library has no way to."""
        raise NotImplementedError


class _Looped(Conversation):
    """What an asynchronous library has in common with another."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        async def in_time() -> T:
            return await asyncio.wait_for(coroutine, DEADLINE_SECONDS)

        return self._runner.run(in_time())


def _closed(error: websockets.exceptions.ConnectionClosed) -> Closed:
    return Closed(error.rcvd.code, error.rcvd.reason) if error.rcvd else Closed(1006, "")


def _denied(error: websockets.exceptions.InvalidStatus) -> Denied:
    response = error.response
    headers = {name.lower(): value for name, value in response.headers.raw_items()}
    return Denied(response.status_code, headers, response.body)


def _options(subprotocols: Sequence[str], deflate: bool, headers: dict[str, str]) -> dict[str, Any]:
    return {
        "subprotocols": list(subprotocols) or None,
        "compression": "deflate" if deflate else None,
        "additional_headers": headers,
        "max_size": MAX_MESSAGE_BYTES,
        "open_timeout": DEADLINE_SECONDS,
        "close_timeout": DEADLINE_SECONDS,
        "ping_interval": None,
        "proxy": None,
    }


class WebsocketsAsyncio(_Looped):
    """websockets, on asyncio."""

    def __init__(self, url: str, subprotocols: Sequence[str], deflate: bool, headers: dict[str, str]) -> None:
        super().__init__()
        try:
            self._socket = self._run(self._connect(url, _options(subprotocols, deflate, headers)))
        except websockets.exceptions.InvalidStatus as error:
            self._runner.close()
            raise _denied(error) from error
        except BaseException:
            self._runner.close()
            raise
        response = self._socket.response
        assert response is not None
        self.headers = {name.lower(): value for name, value in response.headers.raw_items()}
        self.extensions = self.headers.get("sec-websocket-extensions", "")
        self.subprotocol = self._socket.subprotocol

    @staticmethod
    async def _connect(url: str, options: dict[str, Any]) -> websockets.asyncio.client.ClientConnection:
        return await websockets.asyncio.client.connect(url, **options)

    def send(self, data: str | bytes) -> None:
        self._run(self._socket.send(data))

    def send_in_pieces(self, pieces: Sequence[str] | Sequence[bytes]) -> None:
        self._run(self._socket.send(pieces))

    def receive(self) -> str | bytes:
        try:
            return self._run(self._socket.recv())
        except websockets.exceptions.ConnectionClosed as error:
            raise _closed(error) from error

    def ping(self, payload: bytes) -> None:
        async def ping() -> None:
            await (await self._socket.ping(payload))

        self._run(ping())

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._run(self._socket.close(code, reason))

    def release(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._socket.transport.abort()
            self._run(self._socket.wait_closed())
        self._runner.close()


class WebsocketsSync(Conversation):
    """websockets, on threads."""

    def __init__(self, url: str, subprotocols: Sequence[str], deflate: bool, headers: dict[str, str]) -> None:
        self._stack = contextlib.ExitStack()
        try:
            # Newer versions insist on a block around it.
            connecting = websockets.sync.client.connect(url, **_options(subprotocols, deflate, headers))
            self._socket = self._stack.enter_context(connecting)
        except websockets.exceptions.InvalidStatus as error:
            raise _denied(error) from error
        response = self._socket.response
        assert response is not None
        self.headers = {name.lower(): value for name, value in response.headers.raw_items()}
        self.extensions = self.headers.get("sec-websocket-extensions", "")
        self.subprotocol = self._socket.subprotocol

    def send(self, data: str | bytes) -> None:
        self._socket.send(data)

    def send_in_pieces(self, pieces: Sequence[str] | Sequence[bytes]) -> None:
        self._socket.send(pieces)

    def receive(self) -> str | bytes:
        try:
            return self._socket.recv(DEADLINE_SECONDS)
        except websockets.exceptions.ConnectionClosed as error:
            raise _closed(error) from error

    def ping(self, payload: bytes) -> None:
        assert self._socket.ping(payload).wait(DEADLINE_SECONDS), "no pong"

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._socket.close(code, reason)

    def release(self) -> None:
        self._socket.close_socket()
        self._stack.close()


class Aiohttp(_Looped):
    """aiohttp's client."""

    def __init__(self, url: str, subprotocols: Sequence[str], deflate: bool, headers: dict[str, str]) -> None:
        super().__init__()
        self._session: aiohttp.ClientSession | None = None
        try:
            self._socket = self._run(self._connect(url, subprotocols, deflate, headers))
        except aiohttp.WSServerHandshakeError as error:
            self.release()
            fields = {name.lower(): value for name, value in (error.headers or {}).items()}
            raise Denied(error.status, fields, None) from error
        except BaseException:
            self.release()
            raise
        self.headers = {name.lower(): value for name, value in self._socket._response.headers.items()}
        self.extensions = self.headers.get("sec-websocket-extensions", "")
        self.subprotocol = self._socket.protocol

    async def _connect(
        self, url: str, subprotocols: Sequence[str], deflate: bool, headers: dict[str, str]
    ) -> aiohttp.ClientWebSocketResponse:
        self._session = aiohttp.ClientSession()
        return await self._session.ws_connect(
            url,
            protocols=tuple(subprotocols),
            compress=15 if deflate else 0,
            headers=headers,
            autoping=False,
            max_msg_size=MAX_MESSAGE_BYTES,
        )

    def send(self, data: str | bytes) -> None:
        self._run(self._socket.send_str(data) if isinstance(data, str) else self._socket.send_bytes(data))

    def receive(self) -> str | bytes:
        message = self._run(self._socket.receive())
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        if message.type == aiohttp.WSMsgType.CLOSE:
            raise Closed(message.data, message.extra or "")
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.ERROR), message
        raise Closed(self._socket.close_code or 1006, "")

    def ping(self, payload: bytes) -> None:
        async def ping() -> None:
            await self._socket.ping(payload)
            message = await self._socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, payload), message

        self._run(ping())

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._run(self._socket.close(code=code, message=reason.encode()))

    def release(self) -> None:
        async def release() -> None:
            if self._session is not None:
                await self._session.close()
            # aiohttp leaves the last steps of its transports to the loop.
            await asyncio.sleep(0)

        with contextlib.suppress(RuntimeError):
            self._run(release())
        self._runner.close()


class Wsproto(Conversation):
    """wsproto over a blocking socket."""

    def __init__(self, url: str, subprotocols: Sequence[str], deflate: bool, headers: dict[str, str]) -> None:
        parts = urlsplit(url)
        self._wire = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._sock = socket.create_connection((parts.hostname or "", parts.port or 80), DEADLINE_SECONDS)
        self._events: list[Any] = []
        self._deflate = wsproto.extensions.PerMessageDeflate()
        request = wsproto.events.Request(
            host=parts.netloc,
            target=f"{parts.path}?{parts.query}" if parts.query else parts.path,
            subprotocols=list(subprotocols),
            extensions=[self._deflate] if deflate else [],
            extra_headers=[(name.encode(), value.encode()) for name, value in headers.items()],
        )
        try:
            self._sock.sendall(self._wire.send(request))
            self._handshake()
        except BaseException:
            self._sock.close()
            raise

    def _handshake(self) -> None:
        event = self._next()
        if isinstance(event, wsproto.events.RejectConnection):
            body = b""
            finished = not event.has_body
            while not finished:
                piece = self._next()
                assert isinstance(piece, wsproto.events.RejectData), piece
                body += piece.data
                finished = piece.body_finished
            headers = {name.decode(): value.decode() for name, value in event.headers}
            raise Denied(event.status_code, headers, body)
        assert isinstance(event, wsproto.events.AcceptConnection), event
        self.headers = {name.decode(): value.decode() for name, value in event.extra_headers}
        self.extensions = "permessage-deflate" if self._deflate.enabled() else ""
        self.subprotocol = event.subprotocol

    def _next(self) -> Any:
        while not self._events:
            data = self._sock.recv(65536)
            self._wire.receive_data(data or None)
            self._events.extend(self._wire.events())
        return self._events.pop(0)

    def send(self, data: str | bytes) -> None:
        self._send_piece(data, True)

    def send_in_pieces(self, pieces: Sequence[str] | Sequence[bytes]) -> None:
        for number, piece in enumerate(pieces):
            self._send_piece(piece, number == len(pieces) - 1)

    def _send_piece(self, data: str | bytes, finished: bool) -> None:
        kind: Callable[..., Any] = wsproto.events.TextMessage if isinstance(data, str) else wsproto.events.BytesMessage
        self._sock.sendall(self._wire.send(kind(data=data, message_finished=finished)))

    def receive(self) -> str | bytes:
        pieces: list[Any] = []
        while True:
            event = self._next()
            if isinstance(event, wsproto.events.CloseConnection):
                with contextlib.suppress(wsproto.utilities.LocalProtocolError, OSError):
                    self._sock.sendall(self._wire.send(event.response()))
                raise Closed(event.code, event.reason or "")
            assert isinstance(event, wsproto.events.Message), event
            pieces.append(event.data if isinstance(event, wsproto.events.TextMessage) else bytes(event.data))
            if event.message_finished:
                whole: str | bytes = type(pieces[0])().join(pieces)
                return whole

    def ping(self, payload: bytes) -> None:
        self._sock.sendall(self._wire.send(wsproto.events.Ping(payload=payload)))
        event = self._next()
        assert isinstance(event, wsproto.events.Pong), event
        assert bytes(event.payload) == payload

    def close(self, code: int = 1000, reason: str = "") -> None:
        self._sock.sendall(self._wire.send(wsproto.events.CloseConnection(code=code, reason=reason)))
        event = self._next()
        while not isinstance(event, wsproto.events.CloseConnection):
            event = self._next()
        assert event.code == code, event
        # The server is the one to end TCP (RFC 6455 7.1.1).
        assert self._sock.recv(1) == b""

    def release(self) -> None:
        self._sock.close()


LIBRARIES: dict[str, Callable[..., Conversation]] = {
    "websockets": WebsocketsAsyncio,
    "websockets-sync": WebsocketsSync,
    "aiohttp": Aiohttp,
    "wsproto": Wsproto,
}


@contextlib.contextmanager
def connect_with(
    library: str, url: str, *, subprotocols: Sequence[str] = (), deflate: bool = False, headers: dict[str, str] | None = None
) -> Iterator[Conversation]:
    """An open WebSocket by that library; raises Denied. `deflate` offers permessage-deflate."""
    conversation = LIBRARIES[library](url, subprotocols, deflate, headers or {})
    try:
        yield conversation
    finally:
        conversation.release()
