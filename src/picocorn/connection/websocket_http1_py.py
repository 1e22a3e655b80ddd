"""A WebSocket on a connection of HTTP/1.1, from the upgrade on: the asyncio protocol that carries its session.

Knows asyncio's transports and answers the handshake by the `HTTP1Connection` that has read it. Frames, messages and what becomes
of them are the session's business. The text is compiled a second time as `websocket_http1_c`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..asgi.canned import canned_response
from ..asgi.websocket_scope import websocket_scope
from ..websocket.handshake import accept_value
from .context_py import ConnectionContext
from .deadlines import LINGER, NO_DEADLINE, STALL
from .lingering import kernel_bytes
from .stream_py import StreamConnection
from .websocket_py import WebSocketSession

__all__ = ["WebSocketProtocol"]

#: Who does nothing but send is told of a loss after so many messages at the latest. To ask costs half as much as to send.
SENDS_PER_LOOK = 16


class WebSocketProtocol(StreamConnection):
    """asyncio-style protocol of one connection that was upgraded, and the `Carrier` of the WebSocket on it.

    Takes the place of the protocol that has read the handshake (`take_over`). `shutdown()` ends it by a close handshake,
    `disconnect()` at once.
    """

    __slots__ = ("_conn", "_key", "_sent_bytes", "_sent_messages", "_session")

    def __init__(self, context: ConnectionContext) -> None:
        StreamConnection.__init__(self, context)
        #: the HTTP1Connection of either body; there until the handshake is answered
        self._conn: Any = None
        self._key = b""
        self._sent_bytes = 0
        self._sent_messages = 0
        #: there until the connection is lost
        self._session: WebSocketSession | None = None

    # -- the beginning

    def take_over(
        self, transport: Any, conn: Any, head: Any, handshake: Any, scope: dict[str, Any], rest: bytes, eof: bool
    ) -> None:
        """Go on where HTTP has ended. `scope` is that of the request, `rest` came behind it, `eof` says that nothing follows.

        `head` (RequestHead) is for protocols that read the handshake themselves.
        """
        context = self._context
        self._conn = conn
        self._key = handshake.key
        session = self._session = WebSocketSession(self, context, handshake.subprotocols, handshake.extension_offers)
        transport.set_protocol(self)
        self._open(transport, "WebSocket")
        if rest:
            session.feed(rest)
        session.start(websocket_scope(scope, list(handshake.subprotocols)), context.loop.get_task_factory() is None)
        if eof and self.transport is not None:
            self.eof_received()

    # -- asyncio protocol

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        session = self._session
        if self._closing or session is None:
            self._linger(len(data))
        else:
            session.feed(data)

    def eof_received(self) -> bool:
        """The client has closed its side: what it has said before is still heard."""
        session = self._session
        if self._closing or session is None:
            return False
        self._eof = True
        session.feed_eof()
        transport = self.transport
        return transport is not None and not transport.is_closing() and bool(transport.can_write_eof())

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        session = self._session
        self._session = None
        self._conn = None
        self._lost("WebSocket")
        if session is not None:
            session.lost()

    def pause_writing(self) -> None:
        """The transport holds more than its high-water mark."""
        if self._conn is None:
            # The session itself looks whether anybody is there.
            self._block_output()
        else:
            # A denial is a response like any other.
            self._watch_output()

    def resume_writing(self) -> None:
        """The transport has drained to its low-water mark."""
        self._unblock_output()
        session = self._session
        if session is not None:
            session.writable()

    def on_deadline(self) -> None:
        """The deadline has passed."""
        kind = self._deadline_kind
        session = self._session
        self._deadline_kind = NO_DEADLINE
        if self.transport is None or kind == NO_DEADLINE or session is None:
            return
        if kind == LINGER:
            self._lingered()
        elif kind == STALL:
            self._look_at_output()
        else:
            session.on_deadline(kind)

    # -- asked by the server

    def shutdown(self) -> None:
        """End the WebSocket by a close handshake (1012), or refuse it (503) while the application has not accepted it."""
        session = self._session
        if session is not None:
            session.shutdown()

    def wind_down(self) -> None:
        """End the WebSocket by a close handshake if it is open: its client may come again, and has no answer to wait for."""
        session = self._session
        if session is not None and self._conn is None:
            session.shutdown()

    def disconnect(self) -> None:
        """End the connection now: the application sees its client gone."""
        session = self._session
        if session is not None:
            session.disconnect()

    # -- Carrier: the handshake

    def accept(self, subprotocol: str, extensions: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """See Carrier."""
        fields = [(b"upgrade", b"websocket"), (b"connection", b"Upgrade"), (b"sec-websocket-accept", accept_value(self._key))]
        if subprotocol:
            fields.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        if extensions:
            fields.append((b"sec-websocket-extensions", extensions))
        fields += headers
        response = self._conn.write_upgrade(fields, self._context.server_state.default_fields)
        # An idle WebSocket does not need what has read and answered its handshake.
        self._conn = None
        self._key = b""
        self._send([response])

    def reject(self, status: int) -> None:
        """See Carrier."""
        status, headers, body = canned_response(status)
        self._conn.write_head(status, headers, self._context.server_state.default_fields)
        self._send(self._conn.write_data(body, True))
        self._conn = None
        self.end(False)

    def write_head(self, status: int, headers: Iterable[Iterable[bytes]], trailers: bool) -> None:
        """See Wire."""
        self._conn.write_head(status, headers, self._context.server_state.default_fields, trailers)

    def write_data(self, data: bytes, end: bool) -> bool:
        """See Wire."""
        self._send(self._conn.write_data(data, end))
        if end:
            self._conn = None
        else:
            self._notice_loss()
        return self._writing_paused

    def fail(self) -> None:
        """See Wire."""
        if self._conn.discard_head():
            self.reject(500)
        else:
            # Never a clean end for a broken response (ASGI C7). A handshake is HTTP/1.1, so none ends by the close alone.
            self.abort()

    # -- Carrier: frames

    def send_frames(self, frames: list[bytes]) -> bool:
        """See Carrier."""
        self._send(frames)
        for frame in frames:
            self._sent_bytes += len(frame)
        self._sent_messages += 1
        if not self._sent_messages % SENDS_PER_LOOK:
            self._notice_loss()
        return self._writing_paused

    def sent_bytes(self) -> int:
        """See Carrier."""
        return self._sent_bytes

    def unsent_bytes(self) -> int:
        """See Carrier."""
        transport = self.transport
        return 0 if transport is None else int(transport.get_write_buffer_size()) + kernel_bytes(transport)
