"""HTTP/1.1 on a stream connection: runs the application for each request, in order, and decides how each connection ends.

Knows asyncio, the sans-IO `HTTP1Connection` and the ASGI cycle; knows no server, no command line and not which kind of
transport carries it. The text is compiled a second time as `http1_c`.

Application code runs inside `pump` (tasks start eagerly, and go on where they are woken), inside `receive` and inside `send`. So
every method settles its own state before it calls out, and looks again afterwards.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

from ..asgi.canned import canned_response, health_response
from ..asgi.http_cycle_py import HTTPCycle, new_cycle
from ..asgi.proxy_headers import rewrite_scope
from ..base.errors import RemoteProtocolError
from ..base.limits import HIGH_WATER_BYTES
from ..base.request_head_py import RequestHead
from ..http1.connection_py import HTTP1Connection
from ..http1.events import CLOSED, DATA, END, HEAD
from ..websocket.handshake import check_handshake, wants_websocket
from .context_py import ConnectionContext
from .deadlines import KEEP_ALIVE, LINGER, NO_DEADLINE, REQUEST_BODY, REQUEST_HEAD, STALL
from .lingering import make_close_a_reset
from .security_py import Security, security_of
from .stream_py import StreamConnection
from .trace import trace
from .trailers import takes_trailers

__all__ = ["HTTP1Protocol"]

logger = logging.getLogger("picocorn.error")

#: Pipelined requests that one turn of the loop begins. Where tasks start eagerly nothing else would stop a client that sends
#: 256 KiB of small ones at once: measured, every other client waited for 10,000 of them.
REQUESTS_PER_TURN = 32
#: As far as HTTP/1.1 reads. What has to follow is for HTTP/2 to say.
HTTP2_PREFACE_LINE = b"PRI * HTTP/2.0\r\n"


class HTTP1Protocol(StreamConnection):
    """asyncio-style protocol of one HTTP/1.1 connection, and the `Wire` of the request that is being answered on it.

    `shutdown()` ends it when its request is done, `disconnect()` at once.
    """

    __slots__ = (
        "_begun",
        "_conn",
        "_cycle",
        "_plain_tasks",
        "_pump_scheduled",
        "_pumping",
        "_security",
        "_shutting_down",
        "_status",
        "_trusted",
    )

    def __init__(self, context: ConnectionContext) -> None:
        StreamConnection.__init__(self, context)
        self._conn = HTTP1Connection(context.limits)
        self._cycle: HTTPCycle | None = None
        self._begun = 0
        self._plain_tasks = True
        self._pump_scheduled = False
        self._pumping = False
        self._security: Security | None = None
        self._shutting_down = False
        self._status = 0
        self._trusted = False

    # -- asyncio protocol

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        context = self._context
        self._open(transport, "HTTP")
        hosts = context.trusted_hosts
        if hosts is not None:
            self._trusted = (self.client[0] if self.client is not None else None) in hosts
        if context.is_prefaced:
            self._security = security_of(transport, context.server_cert_of)
        self._plain_tasks = context.loop.get_task_factory() is None
        self.arm(REQUEST_HEAD, context.request_header_seconds)

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        if self._closing:
            self._linger(len(data))
            return
        self._conn.feed(data)
        self.pump()

    def eof_received(self) -> bool:
        """The client has closed its side. It may still read, so what runs is finished (RFC 9112 9.6)."""
        if self._closing:
            return False
        self._eof = True
        self._conn.feed_eof()
        transport = self.transport
        self.pump()
        if self.transport is None:
            # Gone, or another protocol's since an upgrade, who has heard of it and closes by itself.
            return bool(not transport.is_closing() and transport.can_write_eof())
        cycle = self._cycle
        if cycle is None:
            # Between requests pump() has closed already, or is waiting for the client to take its answers.
            return True
        cycle.feed_eof()
        # asyncio warns at a true answer where directions have no end of their own, as with its TLS.
        return bool(transport.can_write_eof())

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        cycle = self._cycle
        self._cycle = None
        self._lost("HTTP")
        if cycle is not None:
            cycle.disconnect()

    def pause_writing(self) -> None:
        """The transport holds more than its high-water mark."""
        self._watch_output()

    def resume_writing(self) -> None:
        """The transport has drained to its low-water mark."""
        self._unblock_output()
        # Pipelined requests wait while their answers have nowhere to go.
        self._schedule_pump()

    # -- asked by the server

    def shutdown(self) -> None:
        """End the connection when its request is done: at once if it is idle."""
        self._shutting_down = True
        if self._cycle is not None:
            self._conn.keep_alive = False
            self._schedule_pump()
        elif not self._closing and not self._conn.parser.mid_message():
            self._close()

    def disconnect(self) -> None:
        """End the connection now: the application sees its client gone."""
        cycle = self._cycle
        if cycle is not None:
            cycle.disconnect()
        self.abort()

    # -- requests

    def pump(self) -> None:
        """Take events from the parser as far as the running request, flow control and the client allow."""
        if self._pumping:
            return
        self._pumping = True
        self._begun = 0
        refusal = None
        try:
            try:
                while not self._closing and self._step():
                    pass
            except RemoteProtocolError as error:
                refusal = (error.status_hint, str(error), error.code)
            # Behind the handler: errors of applications that begin now shall not seem to come from this one.
            if refusal is not None and (refusal[2] != "VERSION_NOT_SUPPORTED" or not self._leave_to_http2()):
                self._refuse(refusal[0], refusal[1])
        finally:
            self._pumping = False
        if not self._closing:
            self._update_reading()
            self._update_deadline()

    def _step(self) -> bool:
        """Do the next thing there is to do. Returns False when there is nothing until something happens."""
        cycle = self._cycle
        if cycle is None:
            if self._begun and self._conn.parser.buffered_bytes():
                # The answer to the request before may have found the client gone: nobody waits for the others.
                self._notice_loss()
            if self._writing_paused:
                return False
            if self._begun >= REQUESTS_PER_TURN:
                self._schedule_pump()
                return False
            event = self._conn.next_event()
            if event == HEAD:
                self._begin_request()
                return True
            if event == CLOSED:
                self._close()
            return False
        conn = self._conn
        if conn.response_complete and (conn.request_complete or not conn.keep_alive):
            self._end_request()
            return True
        if not conn.request_complete and (cycle.body_bytes < HIGH_WATER_BYTES or conn.response_complete):
            event = conn.next_event()
            if event == DATA:
                # After an early answer the rest of the content is read and dropped (RFC 9112 9.3).
                if not conn.response_complete:
                    cycle.feed_data(conn.parser.data)
                return True
            if event == END:
                cycle.feed_end()
                if conn.response_complete:
                    return True
        if not cycle.started:
            # Only now, so that content which came with the head is there at the first receive().
            cycle.started = True
            self._start(cycle)
            return True
        if cycle.body_bytes or cycle.body_complete:
            return self._wake(cycle, conn)
        return False

    def _wake(self, cycle: HTTPCycle, conn: HTTP1Connection) -> bool:
        """Let the application have what there is. Returns True when that has made room for more, or ended the response."""
        held_bytes, was_complete = cycle.body_bytes, conn.response_complete
        cycle.wake()
        return cycle.body_bytes != held_bytes or conn.response_complete != was_complete

    def _begin_request(self) -> None:
        head = self._conn.parser.head
        context = self._context
        if context.health_check_path is not None and head.raw_path == context.health_check_path:
            self._answer_health_check(head, context)
            return
        if head.upgrade or self._conn.http10:
            websocket = context.websocket
            if websocket is not None and wants_websocket(head):
                self._upgrade(head, websocket)
                return
            if head.upgrade:
                self._ignore_upgrade(head)
        scope = self._scope(head)
        if self._shutting_down or context.keep_alive_seconds <= 0:
            self._conn.keep_alive = False
        self.disarm()
        self._begun += 1
        context.server_state.total_requests += 1
        self._cycle = new_cycle(self, scope, self._conn.is_head)
        if self._eof:
            self._cycle.feed_eof()

    def _scope(self, head: RequestHead) -> dict[str, Any]:
        context = self._context
        scope = context.scopes.build(head, self.client, self.server)
        if self._security is not None:
            self._security.apply(scope)
        if head.forwarded and self._trusted:
            hosts = context.trusted_hosts
            assert hosts is not None
            rewrite_scope(scope, hosts)
        return scope

    def _answer_health_check(self, head: RequestHead, context: ConnectionContext) -> None:
        """Say whether the server wants requests: for load balancers, not for the application, its limits and the access log."""
        conn, state = self._conn, context.server_state
        self.disarm()
        self._begun += 1
        # Content has nobody who takes it, and what follows an upgrade may be frames.
        may_stay = conn.next_event() == END and not head.upgrade
        if not may_stay or state.winding_down or self._shutting_down or context.keep_alive_seconds <= 0:
            conn.keep_alive = False
        status, headers, body = health_response(state.draining)
        conn.write_head(status, headers, state.default_fields)
        self._send(conn.write_data(body, True))
        if not conn.keep_alive:
            self._close()

    def _upgrade(self, head: RequestHead, websocket: Callable[[], Any]) -> None:
        """Leave the connection to a protocol of the WebSocket's. Raises RemoteProtocolError for a handshake that is none."""
        context, conn, transport = self._context, self._conn, self.transport
        # What follows may be frames: whatever becomes of the handshake, it must never be taken for a request.
        conn.keep_alive = False
        handshake = check_handshake(head)
        self.disarm()
        context.server_state.total_requests += 1
        if self._shutting_down:
            self._answer(503, "")
            return
        scope = self._scope(head)
        rest = conn.parser.take_rest()
        self.set_reading(False)
        self._leave()
        if context.is_tracing:
            trace(self.client, "Upgrading to WebSocket")
        # Nothing of this object is used from here on, so that it can go while the WebSocket lives.
        websocket().take_over(transport, conn, head, handshake, scope, rest, self._eof)

    def _leave_to_http2(self) -> bool:
        """Leave the connection to HTTP/2 if what was refused is how that begins (RFC 9113 3.3). Returns whether it was.

        Only in cleartext: over TLS it is agreed upon by ALPN.
        """
        context, conn, transport = self._context, self._conn, self.transport
        if context.http2 is None or context.is_tls or conn.head is not None or self._shutting_down:
            return False
        data = conn.parser.take_rest()
        if not data.startswith(HTTP2_PREFACE_LINE):
            return False
        self.disarm()
        self._leave()
        # Nothing of this object is used from here on.
        context.http2().take_over(transport, data, self._eof)
        return True

    def _ignore_upgrade(self, head: RequestHead) -> None:
        logger.warning("Unsupported upgrade request.")
        if b"websocket" in head.upgrade.lower():
            # What follows may be frames: it must never be taken for a request.
            self._conn.keep_alive = False

    def _start(self, cycle: HTTPCycle) -> None:
        context = self._context
        if context.limit_concurrency and len(context.server_state.tasks) >= context.limit_concurrency:
            logger.warning("Exceeded concurrency limit.")
            self._answer(503, "")
            return
        context.starter.start(cycle, self._plain_tasks)

    def _end_request(self) -> None:
        """The response is complete, and the request too unless the connection is to be closed."""
        self._cycle = None
        if not self._conn.keep_alive or self._shutting_down:
            self._close()

    def _refuse(self, status: int, message: str) -> None:
        """Answer what the parser has refused, and close."""
        logger.warning("Invalid HTTP request received. %s", message)
        cycle = self._cycle
        if cycle is None:
            self._conn.begin_refusal()
        if cycle is None or not cycle.started:
            self._answer(status, message)
            return
        # The content of a running request is broken: for its application the client is gone.
        unanswered = self._conn.discard_head() and not self._conn.response_complete
        cycle.disconnect()
        if self.transport is None:
            return
        if unanswered:
            self._answer(status, message)
        elif self._conn.response_complete:
            self._close()
        else:
            self.abort()

    def _answer(self, status: int, detail: str) -> None:
        """Send an answer in the server's own name, and close once it is sent."""
        status, headers, body = canned_response(status, detail)
        cycle = self._cycle
        self._conn.write_head(status, headers, self._context.server_state.default_fields)
        self._send(self._conn.write_data(body, True))
        self._log_access(cycle, status)
        self._close()

    # -- Wire: called by the cycle

    def write_head(self, status: int, headers: Iterable[Iterable[bytes]], trailers: bool) -> None:
        """See Wire."""
        head = self._conn.head
        if trailers and head is not None:
            trailers = takes_trailers(head.headers)
        self._conn.write_head(status, headers, self._context.server_state.default_fields, trailers)
        self._status = status

    def discard_head(self) -> bool:
        """See Wire."""
        return self._conn.discard_head()

    def write_data(self, data: bytes, end: bool) -> bool:
        """See Wire."""
        conn = self._conn
        first = not conn.response_started
        if first and self._context.server_state.winding_down:
            # Announced (RFC 9112 9.6). A response that is under way ends as it has begun, and the next one announces it.
            conn.keep_alive = False
        out = conn.write_data(data, end)
        if first and self._context.access_log is not None:
            self._log_access(self._cycle, self._status)
        self._send(out)
        if end:
            self._response_ended()
        else:
            self._notice_loss()
        return self._writing_paused

    def write_trailers(self, headers: list[Iterable[bytes]]) -> bool:
        """See Wire."""
        self._send(self._conn.write_trailers(headers))
        self._response_ended()
        return self._writing_paused

    def write_informational(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """See Wire."""
        data = self._conn.write_informational(status, headers)
        if data:
            self._send([data])

    def request_body(self) -> None:
        """See Wire."""
        if self._conn.continue_pending:
            data = self._conn.write_continue()
            if data:
                self._send([data])
                # The client's time starts only now.
                self._update_deadline()

    def consume(self, size_bytes: int) -> None:
        """See Wire."""
        if not self._conn.request_complete and not self._pumping:
            self.pump()

    def fail(self) -> None:
        """See Wire."""
        if self.transport is None:
            return
        if self._conn.discard_head():
            self._answer(500, "")
        else:
            # Never a clean end for a broken response: the client must be able to tell (ASGI C7).
            if self._conn.ends_by_close():
                make_close_a_reset(self.transport)
            self.abort()

    def _response_ended(self) -> None:
        if self._pumping:
            return
        conn = self._conn
        if conn.request_complete and not conn.parser.buffered_bytes():
            # Nothing is there that could start: the rest is bookkeeping.
            self.pump()
        else:
            # Not from here: the next request must not start inside this one's `send`, nor nest ever deeper.
            self._schedule_pump()

    def _schedule_pump(self) -> None:
        if not self._pump_scheduled and not self._closing:
            self._pump_scheduled = True
            self._context.loop.call_soon(self._scheduled_pump, context=self._context.base_context)

    def _scheduled_pump(self) -> None:
        self._pump_scheduled = False
        if not self._closing:
            self.pump()

    def _log_access(self, cycle: HTTPCycle | None, status: int) -> None:
        access_log = self._context.access_log
        if access_log is None or cycle is None:
            return
        try:
            access_log.log(cycle.scope, status)
        except Exception as error:
            # A user's filter, or a scope that the application has changed. The response is on its way and goes on.
            self._context.loop.call_exception_handler(
                {"message": "Exception in the access log", "exception": error, "protocol": self}
            )

    # -- flow control and deadlines

    def _update_reading(self) -> None:
        cycle, conn = self._cycle, self._conn
        if cycle is None:
            # Unless kept from it, the parser has taken what it could: a head may be longer than the mark.
            held, waits = False, self._writing_paused or self._pump_scheduled
        else:
            held = cycle.body_bytes >= HIGH_WATER_BYTES and not conn.response_complete
            waits = conn.request_complete
        pause = held or (waits and conn.parser.buffered_bytes() > HIGH_WATER_BYTES)
        self.set_reading(pause)

    def _update_deadline(self) -> None:
        context = self._context
        if self._cycle is None:
            if self._conn.parser.mid_message() and not self._writing_paused:
                # Armed once, at the first byte: a client that dribbles gets no more time for it.
                if self._deadline_kind != REQUEST_HEAD:
                    self.arm(REQUEST_HEAD, context.request_header_seconds)
            elif self._deadline_kind == NO_DEADLINE:
                self.arm(KEEP_ALIVE, context.keep_alive_seconds)
        elif self._conn.request_complete or self._reading_paused or self._conn.continue_pending:
            # Not the client is waited for, unless it is to take something: whatever else it does, that goes on.
            if self._deadline_kind not in (NO_DEADLINE, STALL):
                self.disarm()
        elif self._deadline_kind != STALL:
            self.arm(REQUEST_BODY, context.request_body_seconds)

    def on_deadline(self) -> None:
        """The deadline has passed."""
        kind = self._deadline_kind
        self._deadline_kind = NO_DEADLINE
        if self.transport is None or kind == NO_DEADLINE:
            return
        if kind == LINGER:
            self._lingered()
        elif kind == STALL:
            self._look_at_output()
        elif kind == KEEP_ALIVE and self._client_takes(self._context.keep_alive_seconds):
            # Not idle: the client is still taking the last answer.
            self.arm(KEEP_ALIVE, self._context.keep_alive_seconds)
        elif kind == KEEP_ALIVE and self.transport.get_write_buffer_size():
            self._give_up()
        elif kind == KEEP_ALIVE or not self._conn.parser.mid_message():
            self._close()
        else:
            # RFC 9110 15.5.9; RFC 9112 9.5.
            self._refuse(408, "The request did not arrive in time.")

    def _close(self) -> None:
        """Close once everything is sent."""
        if not self._closing:
            conn = self._conn
            self.end(conn.request_complete and not conn.parser.mid_message() and not conn.parser.buffered_bytes())
