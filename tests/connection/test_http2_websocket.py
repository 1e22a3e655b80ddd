"""WebSockets over streams of HTTP/2 (RFC 8441), on both bodies."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from connection.http2_peer import HTTP2Peer, Response, context_of
from e2e.websocket_frames import BINARY, CLOSE, PING, PONG, TEXT, Frame, WebSocket, frame
from picocorn.base.errors import ClientDisconnected
from picocorn.base.limits import WebSocketLimits
from picocorn.connection.lingering import LINGER_SECONDS
from picocorn.http2.codes import CANCEL, INTERNAL_ERROR, NO_ERROR


class Socket:
    """The client's side of one WebSocket on a stream."""

    def __init__(self, peer: HTTP2Peer, *fields: tuple[bytes, bytes], path: bytes = b"/ws") -> None:
        self.peer = peer
        self.stream = peer.connect_websocket(path, *fields)
        self._taken = 0
        self._frames = WebSocket(self, None)  # type: ignore[arg-type]

    @property
    def response(self) -> Response:
        return self.peer.streams[self.stream]

    def read_exactly(self, size_bytes: int) -> bytes:
        data = self.response.body[self._taken : self._taken + size_bytes]
        assert len(data) == size_bytes
        self._taken += size_bytes
        return data

    async def frames(self) -> list[Frame]:
        """All that has come since, as whole frames."""
        await self.peer.settle()
        frames = []
        while self._taken < len(self.response.body):
            frames.append(self._frames.read())
        return frames

    def send(self, opcode: int, payload: bytes) -> None:
        self.peer.data(self.stream, frame(opcode, payload))

    def end(self) -> None:
        self.peer.data(self.stream, b"", True)


class Events:
    """An application that accepts, echoes text, and keeps all it is told."""

    def __init__(self, **accept: Any) -> None:
        self.accept = accept
        self.scopes: list[Any] = []
        self.events: list[Any] = []
        self.reading = asyncio.Event()
        self.reading.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.events.append(await receive())
        await send({"type": "websocket.accept", **self.accept})
        while True:
            await self.reading.wait()
            event = await receive()
            self.events.append(event)
            if event["type"] == "websocket.disconnect":
                return
            if event.get("text") is not None:
                await send({"type": "websocket.send", "text": event["text"]})

    @property
    def gates(self) -> list[asyncio.Event]:
        return [self.reading]


class Waiting:
    """An application that accepts when it is told to."""

    def __init__(self) -> None:
        self.accepts = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await self.accepts.wait()
        await send({"type": "websocket.accept"})

    @property
    def gates(self) -> list[asyncio.Event]:
        return [self.accepts]


def test_a_websocket(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        bench.state.default_headers = [(b"server", b"picocorn")]
        app = Events(subprotocol="chat", headers=[(b"x-a", b"1")])
        peer = HTTP2Peer(bench, app, websocket=True)
        socket = Socket(peer, (b"sec-websocket-protocol", b"super, chat"), path=b"/ws?a=b")
        await peer.settle()
        assert peer.conn.remote_settings.enable_connect_protocol == 1
        assert socket.response.status == 200
        assert socket.response.headers == [(b"server", b"picocorn"), (b"sec-websocket-protocol", b"chat"), (b"x-a", b"1")]
        scope = app.scopes[0]
        assert (scope["type"], scope["scheme"], scope["http_version"], scope["path"]) == ("websocket", "ws", "2", "/ws")
        assert scope["subprotocols"] == ["super", "chat"]
        assert "method" not in scope
        assert set(scope["extensions"]) == {"websocket.http.response"}
        socket.send(TEXT, b"hello")
        (one,) = await socket.frames()
        assert (one.opcode, one.payload) == (TEXT, b"hello")
        socket.send(PING, b"p")
        (one,) = await socket.frames()
        assert (one.opcode, one.payload) == (PONG, b"p")
        socket.send(CLOSE, b"\x03\xe8bye")
        (one,) = await socket.frames()
        assert (one.opcode, one.payload[:2]) == (CLOSE, b"\x03\xe8")
        assert socket.response.ended
        assert app.events[-1] == {"type": "websocket.disconnect", "code": 1000, "reason": "bye"}
        socket.end()
        await peer.settle()
        assert not peer.connection.protocol.streams
        assert socket.response.error_code is None


@pytest.mark.parametrize("at_once", [True, False])
def test_a_client_that_ends_before_it_is_answered(bench: Any, at_once: bool) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Waiting()
        peer = HTTP2Peer(bench, app, websocket=True)
        stream = peer.connect_websocket(b"/ws", end=at_once)
        if not at_once:
            await peer.settle()
            peer.data(stream, b"", True)
        assert (await peer.response(stream)).error_code == CANCEL
        assert not peer.connection.protocol.streams
        app.accepts.set()
        await peer.settle()
        assert not bench.state.tasks
        assert (await peer.response(stream)).status == 0


def test_a_message_and_a_reset_at_once(bench: Any, caplog: Any) -> None:
    """The application answers before the connection has come to tell it: that `send` raises is no error of its own."""

    @bench
    async def _(bench: Any) -> None:
        app = Events()
        peer = HTTP2Peer(bench, app, websocket=True)
        socket = Socket(peer)
        await peer.settle()
        peer.conn.send_data(socket.stream, frame(TEXT, b"hello"))
        peer.reset(socket.stream)
        await peer.settle()
        assert [event["type"] for event in app.events] == ["websocket.connect", "websocket.receive"]
        assert not bench.state.tasks
        assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_messages_are_compressed_where_that_is_offered(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Events(), websocket=True)
        socket = Socket(peer, (b"sec-websocket-extensions", b"permessage-deflate; client_max_window_bits"))
        await peer.settle()
        assert (socket.response.get(b"sec-websocket-extensions") or b"").startswith(b"permessage-deflate")


def test_sockets_and_requests_share_a_connection(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Events()

        async def both(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "websocket":
                await app(scope, receive, send)
            else:
                await send({"type": "http.response.start", "status": 200})
                await send({"type": "http.response.body", "body": b"page"})

        peer = HTTP2Peer(bench, both, websocket=True)
        one, other = Socket(peer), Socket(peer)
        page = peer.get()
        one.send(TEXT, b"1")
        other.send(TEXT, b"2")
        assert [one.payload for one in await one.frames()] == [b"1"]
        assert [one.payload for one in await other.frames()] == [b"2"]
        assert peer.streams[page].body == b"page"
        peer.transport.abort()
        await bench.settle()
        assert [event["code"] for event in app.events if event["type"] == "websocket.disconnect"] == [1006, 1006]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ([(b"sec-websocket-version", b"13")], 400),
        ([(b"sec-websocket-protocol", b"a, a")], 400),
        ([(b"sec-websocket-extensions", b";")], 400),
        ([(b"content-length", b"3")], 400),
    ],
)
def test_bad_handshakes(bench: Any, fields: list[tuple[bytes, bytes]], status: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Events(), websocket=True)
        socket = Socket(peer, *fields)
        await peer.settle()
        assert socket.response.status == status


def test_websockets_that_are_off(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Events())
        socket = Socket(peer)
        await peer.settle()
        assert (socket.response.status, socket.response.ended) == (501, True)


def test_a_handshake_that_is_denied(bench: Any, caplog: Any) -> None:
    caplog.set_level(logging.INFO)

    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            if scope["path"] == "/closed":
                await send({"type": "websocket.close"})
            elif scope["path"] == "/error":
                raise ValueError("oops")
            else:
                await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-a", b"1")]})
                await send({"type": "websocket.http.response.body", "body": b"no ", "more_body": True})
                if scope["path"] == "/denied":
                    await send({"type": "websocket.http.response.body", "body": b"entry"})

        peer = HTTP2Peer(bench, app, websocket=True)
        closed, error, denied, broken = (Socket(peer, path=path) for path in (b"/closed", b"/error", b"/denied", b"/broken"))
        await peer.settle()
        assert [one.response.status for one in (closed, error, denied)] == [403, 500, 401]
        assert (denied.response.body, denied.response.get(b"x-a"), denied.response.ended) == (b"no entry", b"1", True)
        assert (broken.response.ended, broken.response.error_code) == (False, INTERNAL_ERROR)
        await peer.advance(LINGER_SECONDS + 1)
        assert not peer.connection.protocol.streams

    assert '10.0.0.1:4242 - "WebSocket /denied" 401' in caplog.messages


@pytest.mark.parametrize("ends", ["reset", "end"])
def test_a_stream_that_ends_without_a_close_is_lost(bench: Any, ends: str) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Events()
        peer = HTTP2Peer(bench, app, websocket=True)
        socket = Socket(peer)
        socket.send(TEXT, b"last")
        await peer.settle()
        if ends == "reset":
            peer.reset(socket.stream, CANCEL)
        else:
            socket.end()
        await peer.settle()
        assert [event["type"] for event in app.events] == ["websocket.connect", "websocket.receive", "websocket.disconnect"]
        assert app.events[-1]["code"] == 1006
        assert not bench.state.tasks
        assert not peer.connection.protocol.streams


def test_a_client_that_does_not_end_its_side_is_waited_for_a_while(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": 3000})

        peer = HTTP2Peer(bench, app, websocket=True)
        socket = Socket(peer)
        frames = await socket.frames()
        assert frames[0].payload == b"\x0b\xb8"
        assert not socket.response.ended
        socket.send(CLOSE, b"\x0b\xb8")
        await peer.settle()
        assert socket.response.ended
        assert socket.response.error_code is None
        await peer.advance(LINGER_SECONDS + 1)
        assert socket.response.error_code == NO_ERROR
        assert not peer.connection.protocol.streams


def test_a_broken_frame_closes_the_socket_alone(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Events(), websocket=True)
        bad, good = Socket(peer), Socket(peer)
        peer.data(bad.stream, b"\xf1\x80\0\0\0\0")
        good.send(TEXT, b"x")
        assert (await bad.frames())[0].payload[:2] == (1002).to_bytes(2, "big")
        assert [one.payload for one in await good.frames()] == [b"x"]
        assert bad.response.ended


def test_messages_that_nobody_reads_hold_the_window(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Events()
        app.reading.clear()
        peer = HTTP2Peer(bench, app, websocket=True, websocket_limits=WebSocketLimits(max_queue=2))
        socket = Socket(peer)
        await peer.settle()
        window = peer.conn.local_flow_control_window(socket.stream)
        sent = 0
        while peer.conn.local_flow_control_window(socket.stream) > 60000:
            socket.send(BINARY, b"x" * 50000)
            sent += 1
            await peer.settle()
            assert sent * 50000 <= window
        app.reading.set()
        await peer.settle()
        assert sum(event["type"] == "websocket.receive" for event in app.events) == sent
        assert peer.conn.local_flow_control_window(socket.stream) > window // 2


def test_a_client_that_reads_nothing_blocks_the_sender(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        sent = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            for number in range(100):
                sent.append(number)
                await send({"type": "websocket.send", "bytes": b"x" * 16384})

        peer = HTTP2Peer(bench, app, websocket=True)
        peer.takes = False
        socket = Socket(peer)
        await peer.settle()
        assert len(sent) < 15
        # The answer to the last ping leaves as soon as there is room.
        for number in range(3):
            socket.send(PING, b"%d" % number)
        await peer.settle()
        peer.takes = True
        peer.conn.acknowledge_received_data(65535, socket.stream)
        peer.flush()
        await peer.settle()
        frames = await socket.frames()
        assert [one.payload for one in frames if one.opcode == PONG] == [b"2"]
        assert sum(one.opcode == BINARY for one in frames) == 100


def test_silence_ends_it(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Events()
        limits = WebSocketLimits(ping_interval_seconds=10, ping_timeout_seconds=5, close_timeout_seconds=3)
        peer = HTTP2Peer(bench, app, websocket=True, websocket_limits=limits)
        socket = Socket(peer)
        await peer.advance(11)
        assert [one.opcode for one in await socket.frames()] == [PING]
        await peer.advance(6)
        assert app.events[-1]["reason"] == "keepalive ping timeout"
        assert socket.response.ended


def test_who_takes_nothing_is_not_kept_by_what_it_goes_on_sending(bench: Any) -> None:
    """The application waits in `send` for a window that never opens."""

    @bench
    async def _(bench: Any) -> None:
        errors = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await send({"type": "websocket.accept"})
            try:
                for _ in range(100):
                    await send({"type": "websocket.send", "bytes": bytes(16384)})
            except ClientDisconnected as error:
                errors.append(error)

        limits = WebSocketLimits(ping_interval_seconds=10, ping_timeout_seconds=5)
        peer = HTTP2Peer(bench, app, websocket=True, websocket_limits=limits)
        peer.takes = False
        socket = Socket(peer)
        for _ in range(25):
            if not errors:
                socket.send(PONG, b"")
            await peer.advance(1)
        assert len(errors) == 1


def test_the_server_closes_sockets_when_it_ends(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Events()
        waiting = asyncio.Event()

        async def some(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] == "/waiting":
                await waiting.wait()
            await app(scope, receive, send)

        peer = HTTP2Peer(bench, some, websocket=True)
        opened, connecting = Socket(peer), Socket(peer, path=b"/waiting")
        await peer.settle()
        peer.connection.protocol.wind_down()
        assert [one.payload[:2] for one in await opened.frames()] == [(1012).to_bytes(2, "big")]
        assert connecting.response.status == 0
        opened.send(CLOSE, (1012).to_bytes(2, "big"))
        opened.end()
        peer.connection.protocol.shutdown()
        await peer.settle()
        assert connecting.response.status == 503
        waiting.set()
        await peer.settle()
        assert app.events[1]["code"] == 1012
        assert peer.transport.ended or peer.transport.closing


def test_the_limit_of_tasks_holds_for_sockets(bench: Any, caplog: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Events(), websocket=True, limit_concurrency=1)
        first, second = Socket(peer), Socket(peer)
        await peer.settle()
        assert (first.response.status, second.response.status) == (200, 503)
        assert not peer.connection.protocol.abandoned_tasks
        peer.reset(first.stream)
        await peer.settle()
        assert not peer.connection.protocol.abandoned_tasks
        third = Socket(peer)
        await peer.settle()
        assert third.response.status == 200


def test_a_context_is_needed_for_more_than_one(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Events()
        context = context_of(bench, app, websocket=True)
        sockets = [Socket(HTTP2Peer(bench, app, context=context)) for _ in range(2)]
        for socket in sockets:
            await socket.peer.settle()
            assert socket.response.status == 200
