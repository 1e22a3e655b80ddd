"""One WebSocket on whatever carries it: codec and ASGI cycle joined, and everything about it that takes time or room.

The marks of its queue, keep-alive pings and both close handshakes live here. Knows no HTTP version and no transport, only the
`Carrier`. The text is compiled a second time as `websocket_c`.

Application code runs inside `start`, `wake`, `feed_close` and `disconnect` of the cycle, and calls in again from there. So every
method settles its own state before it calls these.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterable
from typing import Any

from ..asgi.websocket_cycle_py import WebSocketCycle, new_websocket_cycle
from ..asgi.websocket_wire_py import WebSocketWire
from ..base.errors import ClientDisconnected, LocalProtocolError, WebSocketError
from ..base.limits import HIGH_WATER_BYTES
from ..websocket.connection_py import WebSocketConnection
from ..websocket.deflate import negotiate
from ..websocket.opcodes import (
    ABNORMAL_CLOSURE,
    BINARY,
    CLOSE,
    INTERNAL_ERROR,
    MESSAGE_TOO_BIG,
    NEED_DATA,
    PING,
    SERVICE_RESTART,
    TEXT,
)
from .access_parts import client_and_path
from .carrier_py import Carrier
from .context_py import ConnectionContext
from .deadlines import CLOSE_HANDSHAKE, SILENCE

__all__ = ["WebSocketSession"]

logger = logging.getLogger("picocorn.error")

# CONNECTING leads to OPEN or, by a response of the application's own, to DENYING; OPEN to CLOSING when our close frame has left
# and the peer's has not come; all of them to ENDED: there is nothing more to say, and the carrier is closing or gone.
CONNECTING = 0
DENYING = 1
OPEN = 2
CLOSING = 3
ENDED = 4

#: Frames that one turn of the loop looks at: messages are held to `max_queue`, but a read may bring 40,000 pings.
EVENTS_PER_TURN = 256
#: The first ping may come so much earlier, as a part of the interval: those who were accepted at once are not pinged at once.
PING_SPREAD = 0.25
#: Multiples of it, without their whole part, lie evenly between 0 and 1, however many there are.
GOLDEN_RATIO = 0.6180339887498949
#: For an application that takes its messages by way of tasks and queues of a framework, at the end: turns for each of them.
PATIENT_TURNS = 10

#: What the handshake says is the server's to say: fields that an application may not send with `websocket.accept`.
SERVERS_FIELDS = frozenset(
    (
        b"connection",
        b"content-length",
        b"sec-websocket-accept",
        b"sec-websocket-extensions",
        b"sec-websocket-key",
        b"sec-websocket-protocol",
        b"sec-websocket-version",
        b"transfer-encoding",
        b"upgrade",
    )
)


class WebSocketSession(WebSocketWire):
    """What the `carrier` tells of its peer becomes messages for the application, and what the application sends becomes frames.

    `subprotocols` (list of str) and `extension_offers` (list of bytes) are those of the handshake. The carrier calls `start`,
    `feed`, `feed_eof`, `writable`, `on_deadline` and at last `lost`; the server `shutdown` and `disconnect`.
    """

    __slots__ = (
        "_carrier",
        "_conn",
        "_context",
        "_cycle",
        "_early",
        "_eof",
        "_extension_offers",
        "_has_unsent",
        "_held",
        "_left_messages",
        "_patient_turns",
        "_pong",
        "_pump_scheduled",
        "_received",
        "_spread",
        "_state",
        "_status",
        "_step_seconds",
        "_subprotocols",
        "_taken_bytes",
        "_to_ping_seconds",
        "_waiting_seconds",
    )

    def __init__(
        self, carrier: Carrier, context: ConnectionContext, subprotocols: list[str], extension_offers: list[bytes]
    ) -> None:
        self._carrier = carrier
        self._context = context
        self._subprotocols: list[str] | None = subprotocols
        self._extension_offers: list[bytes] | None = extension_offers
        self._state = CONNECTING
        #: there from the accept to the end
        self._conn: WebSocketConnection | None = None
        #: there from the start until the carrier is lost
        self._cycle: WebSocketCycle | None = None
        #: what came before the accept
        self._early: bytearray | None = None
        #: the peer will send nothing more
        self._eof = False
        #: reading is paused, because input is held that the application has no room for yet
        self._held = False
        #: the payload of the last ping that came while the output was blocked
        self._pong: bytes | None = None
        self._pump_scheduled = False
        #: messages that were left in the last turn after the end, and since how many turns
        self._left_messages = 0
        self._patient_turns = 0
        #: of PING_SPREAD, 0 to 1
        self._spread = 0.0
        #: the status of a response of the application's own, until it has been logged
        self._status = 0
        #: bytes have come since the last look at the silence; what the peer had taken by then, and whether it was not all
        self._received = False
        self._taken_bytes = 0
        self._has_unsent = False
        #: from that look to the next one, to the next ping, and since a ping that nothing has answered (-1: there is none)
        self._step_seconds = 0.0
        self._to_ping_seconds = 0.0
        self._waiting_seconds = -1.0

    # -- from the carrier

    def start(self, scope: dict[str, Any], is_plain: bool) -> None:
        """Call the application with the websocket `scope`. `is_plain`: see TaskStarter."""
        context = self._context
        cycle = self._cycle = new_websocket_cycle(self, scope)
        # Not at the accept: any number of applications may have waited for the same thing.
        self._spread = (context.server_state.total_requests - 1) * GOLDEN_RATIO % 1.0
        if context.limit_concurrency and len(context.server_state.tasks) >= context.limit_concurrency:
            logger.warning("Exceeded concurrency limit.")
            self.reject(503)
            return
        cycle.started = True
        context.starter.start(cycle, is_plain)

    def feed(self, data: bytes) -> None:
        """Bytes have come from the peer."""
        self._received = True
        conn = self._conn
        if conn is None:
            self._keep(data)
            return
        conn.feed(data)
        if not self._held:
            self.pump()

    def feed_eof(self) -> None:
        """The peer will send nothing more: without a close frame it is lost, whatever it can still read."""
        self._eof = True
        if self._state == DENYING:
            self._state = ENDED
            self._carrier.abort()
            self._tell(ABNORMAL_CLOSURE, "")
        elif self._conn is None:
            self._end_at_eof()
        elif not self._held:
            # Else there are messages from before the end to be taken first, and maybe the close frame.
            self.pump()

    def writable(self) -> None:
        """The output is no longer blocked."""
        payload = self._pong
        conn = self._conn
        if payload is not None and conn is not None and self._state == OPEN:
            self._pong = None
            self._carrier.send_frames([conn.send_pong(payload)])

    def lost(self) -> None:
        """The carrier is gone, for whatever reason. Repeats are harmless."""
        cycle = self._cycle
        conn = self._conn
        self._cycle = None
        self._conn = None
        self._early = None
        self._state = ENDED
        if cycle is None:
            return
        if conn is not None and conn.close_received:
            cycle.feed_close(conn.close_code, conn.close_reason)
        else:
            cycle.disconnect(ABNORMAL_CLOSURE)

    def on_deadline(self, kind: int) -> None:
        """The deadline that was armed has passed."""
        if kind == SILENCE and self._state == OPEN:
            self._look_at_silence()
        elif kind == CLOSE_HANDSHAKE and self._state == CLOSING:
            self._end(False)

    # -- from the server

    def shutdown(self) -> None:
        """Wind up: an open WebSocket is closed, a handshake that waits for the application is refused. Repeats are harmless."""
        if self._state == CONNECTING:
            self.reject(503)
            self._tell(SERVICE_RESTART, "")
        elif self._state == OPEN:
            self._start_closing(SERVICE_RESTART, "")
            self._tell(SERVICE_RESTART, "")

    def disconnect(self) -> None:
        """End now. The application is told that its client is lost, unless it has been told something else already."""
        self._carrier.abort()
        self.lost()

    # -- WebSocketWire: called by the cycle

    def accept(self, subprotocol: str | None, headers: Iterable[Iterable[bytes]]) -> None:
        """See WebSocketWire."""
        fields = _fields(headers)
        offered = self._subprotocols
        if self._state != CONNECTING or offered is None:
            raise ClientDisconnected("The client has disconnected.")
        if subprotocol is not None and subprotocol not in offered:
            raise LocalProtocolError(f"The client has not offered the subprotocol {subprotocol!r}.")
        context = self._context
        limits = context.websocket_limits
        deflate = negotiate(self._extension_offers) if limits.deflate and self._extension_offers else None
        self._carrier.accept(subprotocol or "", b"" if deflate is None else deflate.response_field(), fields)
        conn = self._conn = WebSocketConnection(limits, deflate)
        self._state = OPEN
        # Thousands may idle: what only the handshake needed is not kept.
        self._subprotocols = None
        self._extension_offers = None
        early = self._early
        if early is not None:
            self._early = None
            conn.feed(bytes(early))
            # Not from here: the application is inside its `send`.
            self._schedule_pump()
        self._to_ping_seconds = limits.ping_interval_seconds * (1.0 - PING_SPREAD * self._spread)
        if self._to_ping_seconds > 0:
            self._arm_silence()
        self._log(0)

    def send_message(self, data: str | bytes) -> bool:
        """See WebSocketWire."""
        conn = self._conn
        if conn is None or self._state != OPEN:
            raise ClientDisconnected("The WebSocket is closed.")
        return self._carrier.send_frames(conn.send_message(data))

    def close(self, code: int, reason: str) -> None:
        """See WebSocketWire."""
        if self._state == OPEN:
            self._start_closing(code, reason)
        else:
            # Closed while the fields of its accept were looked at: there is no frame before the handshake.
            self.reject(403)

    def reject(self, status: int) -> None:
        """See WebSocketWire."""
        if self._state == CONNECTING:
            self._state = ENDED
            self._early = None
            self._log(status)
            self._carrier.reject(status)

    def write_response_head(self, status: int, headers: Iterable[Iterable[bytes]]) -> None:
        """See WebSocketWire."""
        fields = _pairs(headers)
        # The application may have answered while they were looked at.
        if self._state != CONNECTING:
            raise ClientDisconnected("The client has disconnected.")
        self._carrier.write_head(status, fields, False)
        self._state = DENYING
        self._status = status
        # What has come is no request, and will be no WebSocket any more.
        self._early = None
        self._hold(False)

    def write_response_body(self, data: bytes, end: bool) -> bool:
        """See WebSocketWire."""
        if self._state != DENYING:
            raise ClientDisconnected("The client has disconnected.")
        must_drain = self._carrier.write_data(data, end)
        if self._status:
            self._log(self._status)
            self._status = 0
        if end:
            self._state = ENDED
            self._carrier.end(False)
        return must_drain

    def consume(self) -> None:
        """See WebSocketWire."""
        cycle = self._cycle
        if (
            self._held
            and cycle is not None
            and cycle.queued_messages * 2 <= self._context.websocket_max_queue
            and cycle.queued_bytes * 2 <= HIGH_WATER_BYTES
        ):
            # Not from here: an application that never waits would be fed for ever, and nobody else served.
            self._schedule_pump()

    def is_blocked(self) -> bool:
        """See WebSocketWire."""
        return self._carrier.is_blocked()

    def drain(self) -> Awaitable[Any]:
        """See WebSocketWire."""
        return self._carrier.drain()

    def fail(self) -> None:
        """See WebSocketWire."""
        if self._state == DENYING:
            self._state = ENDED
            if self._status:
                self._log(500)
            self._carrier.fail()

    def application_ended(self) -> None:
        """See WebSocketWire."""
        self._carrier.application_ended()

    # -- input

    def pump(self) -> None:
        """Take events from the codec as far as there is room for messages."""
        conn = self._conn
        cycle = self._cycle
        if conn is None or cycle is None:
            return
        error: WebSocketError | None = None
        event = CLOSE
        if not conn.close_received:
            try:
                event = self._take_events(conn, cycle)
            except WebSocketError as raised:
                error = raised
            except MemoryError:
                # There may be enough for others, and a callback of the loop must not fail.
                logger.error("Out of memory for a message of a WebSocket.")
                error = WebSocketError("message is larger than memory allows (RFC 6455 7.4.1)", MESSAGE_TOO_BIG, "NO_MEMORY")
        ends = error is not None or event == CLOSE or (event == NEED_DATA and self._eof)
        if not ends:
            self._hold(event != NEED_DATA)
        if cycle.queued_messages:
            cycle.wake()
        if not ends or self._conn is not conn:
            return
        if self._is_still_taking(cycle):
            self._schedule_pump()
        elif error is not None:
            self._fail(error.close_code, str(error))
        elif event == CLOSE:
            self._closed_by_peer(conn.close_code, conn.close_reason)
        else:
            self._end_at_eof()

    def _take_events(self, conn: WebSocketConnection, cycle: WebSocketCycle) -> int:
        """Returns NEED_DATA or CLOSE; anything else when more may be there. Raises WebSocketError."""
        max_queue = self._context.websocket_max_queue
        event = TEXT
        for _ in range(EVENTS_PER_TURN):
            if self._state == OPEN and (cycle.queued_messages >= max_queue or cycle.queued_bytes >= HIGH_WATER_BYTES):
                return event
            event = conn.next_event()
            if event in (TEXT, BINARY):
                # After our close frame they are dropped (RFC 6455 1.4).
                if self._state == OPEN:
                    cycle.feed_message(conn.message)
            elif event == PING:
                self._answer_ping(conn, conn.payload)
            elif event in (NEED_DATA, CLOSE):
                return event
        self._schedule_pump()
        return event

    def _is_still_taking(self, cycle: WebSocketCycle) -> bool:
        """Whether the application is about to answer what came before the end: we may wait for that (RFC 6455 5.5.1)."""
        queued = cycle.queued_messages
        if not queued or self._state != OPEN:
            return False
        if queued != self._left_messages:
            self._left_messages = queued
            self._patient_turns = 0
        self._patient_turns += 1
        return self._patient_turns <= PATIENT_TURNS

    def _schedule_pump(self) -> None:
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._context.loop.call_soon(self._scheduled_pump, context=self._context.base_context)

    def _scheduled_pump(self) -> None:
        self._pump_scheduled = False
        self.pump()

    def _keep(self, data: bytes) -> None:
        """Bytes have come before there was an answer."""
        if self._state != CONNECTING:
            return
        early = self._early
        if early is None:
            # Not a list of pieces: of single bytes it would be forty times as large.
            early = self._early = bytearray()
        early += data
        self._hold(len(early) > HIGH_WATER_BYTES)

    def _hold(self, held: bool) -> None:
        """Read no more while input waits for the application, or again."""
        if held != self._held:
            self._held = held
            # What the peer has said meanwhile is still to be read.
            self._received = True
            self._carrier.set_reading(held)

    def _answer_ping(self, conn: WebSocketConnection, payload: bytes) -> None:
        if self._state != OPEN:
            return
        if self._carrier.is_blocked():
            # RFC 6455 5.5.3: the answer to the last one is enough.
            self._pong = payload
        else:
            self._carrier.send_frames([conn.send_pong(payload)])

    # -- the end

    def _start_closing(self, code: int, reason: str) -> None:
        """Send our close frame first. Raises LocalProtocolError, and has done nothing, for what may not be sent."""
        conn = self._conn
        if conn is None:
            return
        frame = conn.send_close(code, reason)
        self._state = CLOSING
        self._pong = None
        self._carrier.send_frames([frame])
        self._carrier.stop_drains()
        if self._eof:
            self._end(True)
            return
        self._carrier.arm(CLOSE_HANDSHAKE, self._context.websocket_limits.close_timeout_seconds)
        if self._held:
            # The peer's close frame may be in what is held.
            self._schedule_pump()

    def _closed_by_peer(self, code: int, reason: str) -> None:
        conn = self._conn
        if conn is not None and self._state == OPEN:
            self._carrier.send_frames([conn.send_close(code, reason)])
        # RFC 6455 7.1.1: the server is the first to close the connection below.
        self._end(True)
        self._tell(code, reason)

    def _fail(self, code: int, reason: str) -> None:
        """Fail the WebSocket (RFC 6455 7.1.7)."""
        conn = self._conn
        if conn is not None and self._state == OPEN:
            self._carrier.send_frames([conn.send_close(code, reason)])
        self._end(False)
        self._tell(code, reason)

    def _end_at_eof(self) -> None:
        self._end(True)
        self._tell(ABNORMAL_CLOSURE, "")

    def _end(self, settled: bool) -> None:
        self._state = ENDED
        self._conn = None
        self._early = None
        self._pong = None
        self._carrier.stop_drains()
        self._carrier.end(settled)

    def _tell(self, code: int, reason: str) -> None:
        """Have the application told how it has ended. The first to say so is believed."""
        cycle = self._cycle
        if cycle is not None:
            cycle.feed_close(code, reason)

    # -- keep-alive

    def _arm_silence(self) -> None:
        seconds = self._to_ping_seconds
        timeout = self._context.websocket_limits.ping_timeout_seconds
        if timeout > 0 and self._waiting_seconds >= 0:
            seconds = min(seconds, timeout - self._waiting_seconds)
        self._step_seconds = seconds
        self._carrier.arm(SILENCE, seconds)

    def _look_at_silence(self) -> None:
        """A step of the time to the next ping, or to the end of the patience with the last one, has passed."""
        limits = self._context.websocket_limits
        carrier = self._carrier
        unsent_bytes = carrier.unsent_bytes()
        taken_bytes = carrier.sent_bytes() - unsent_bytes
        # Whoever takes what waits for it is alive, and has our ping only behind that. Who takes nothing, and has the application
        # wait in `send`, could go on so for ever if what it says itself did count.
        has_taken = self._has_unsent and taken_bytes > self._taken_bytes
        is_stuck = self._has_unsent and not has_taken and carrier.is_blocked()
        if has_taken or (self._received and not is_stuck):
            self._waiting_seconds = -1.0
        elif self._waiting_seconds >= 0 and (not self._held or carrier.is_blocked()):
            # While reading is paused no pong can be seen, so that time does not count; unless it is the peer that keeps us from
            # going on: it has taken nothing of what is there for it.
            self._waiting_seconds += self._step_seconds
            if 0 < limits.ping_timeout_seconds <= self._waiting_seconds:
                self._fail(INTERNAL_ERROR, "keepalive ping timeout")
                return
        self._received = False
        self._to_ping_seconds -= self._step_seconds
        if self._to_ping_seconds <= 0:
            self._to_ping_seconds = limits.ping_interval_seconds
            self._ping()
        self._taken_bytes = taken_bytes
        self._has_unsent = unsent_bytes > 0
        self._arm_silence()

    def _ping(self) -> None:
        conn = self._conn
        if conn is not None and not self._carrier.is_blocked():
            self._carrier.send_frames([conn.send_ping(b"")])
        if self._waiting_seconds < 0:
            self._waiting_seconds = 0.0

    # -- the log

    def _log(self, status: int) -> None:
        """Say how the handshake was answered, in uvicorn's words: with `status`, or that it was accepted."""
        cycle = self._cycle
        if cycle is None or not logger.isEnabledFor(logging.INFO):
            return
        try:
            client, path = client_and_path(cycle.scope)
            if status:
                logger.info('%s - "WebSocket %s" %d', client, path, status)
            else:
                logger.info('%s - "WebSocket %s" [accepted]', client, path)
        except Exception as error:
            # A scope that the application has changed. Its answer is on its way all the same.
            self._context.loop.call_exception_handler(
                {"message": "Exception in the log of a WebSocket", "exception": error, "protocol": self._carrier}
            )


def _pairs(headers: Iterable[Iterable[bytes]]) -> list[Any]:
    """The application's fields as a list, so that its code runs now and not later. What is no pair is the writer's to refuse."""
    try:
        return [tuple(field) for field in headers]
    except TypeError as error:
        raise LocalProtocolError(f"headers are not an iterable of pairs of bytes: {headers!r}") from error


def _fields(headers: Iterable[Iterable[bytes]]) -> list[tuple[bytes, bytes]]:
    """The application's fields as a list. Raises LocalProtocolError for those that are the server's to send."""
    fields = _pairs(headers)
    for field in fields:
        # What is no field stays, for the writer to refuse.
        if len(field) == 2 and isinstance(field[0], bytes) and field[0].lower() in SERVERS_FIELDS:
            raise LocalProtocolError(f"'websocket.accept' must not have the field {field[0].decode()!r}.")
    return fields
