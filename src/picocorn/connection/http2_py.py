"""HTTP/2 on a stream connection: the asyncio protocol that joins a session, its streams and the transport.

Decides what runs when: input first goes through the whole session, then the streams that it concerns go on, then everything
that has come of it is sent in one piece. The deadline of the connection and its end are here too. Knows asyncio and the
session's interface; no engine, no server, no command line and not which kind of transport carries it. The text is compiled a
second time as `http2_c`.

Application code runs inside `go_on`, `lose` and `shutdown` of streams. So every method settles its own state before.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from ..asgi.proxy_headers import rewrite_scope
from ..base.errors import HTTP2Error
from ..base.request_head_py import RequestHead
from ..http2.codes import CANCEL, MAX_WINDOW_BYTES, NO_ERROR
from ..http2.session_py import NO_SESSION, SessionHandler
from .context_py import ConnectionContext
from .deadlines import KEEP_ALIVE, LINGER, NO_DEADLINE, REQUEST_HEAD, STALL
from .http2_host_py import StreamHost
from .http2_stream_py import HTTP2Stream, new_stream
from .lingering import STALL_LOOK_SECONDS
from .security_py import Security, security_of

__all__ = ["HTTP2Protocol"]

logger = logging.getLogger("picocorn.error")

#: Requests that one turn of the loop begins, as on a connection of HTTP/1.1: other clients wait for no more than these.
REQUESTS_PER_TURN = 32
#: Sent in one turn while the client takes it, for the same reason: its windows may let us have no end.
BYTES_PER_TURN = 1048576
#: From GOAWAY that names no stream to the one that names the last: longer than a round trip (RFC 9113 6.8).
NOTICE_SECONDS = 1.0
#: A client that takes nothing may send all that its windows allow, as credit for more cannot reach it; and of what is no content,
#: requests and the like whose answers nobody would have bounded, so many times what the connection's window was to begin with.
UNANSWERED_WINDOWS = 2
#: No connection may borrow more than such a part of what all of a server may, so that a few cannot keep it from the others.
LENT_SHARES = 8


class StreamEvents(SessionHandler):
    """What the session tells, kept for the connection. Nothing else happens in here: the session is in the middle of things."""

    __slots__ = ("_connection",)

    def __init__(self, connection: HTTP2Protocol) -> None:
        #: None once the connection is lost
        self._connection: HTTP2Protocol | None = connection

    def forget(self) -> None:
        """The connection is lost; it and the session need not know each other any more."""
        self._connection = None

    def request(self, stream_id: int, head: RequestHead, protocol: bytes, authority_present: bool, end: bool) -> None:
        """See SessionHandler."""
        connection = self._connection
        if connection is not None:
            connection._begin_stream(stream_id, head, protocol, end)

    def data(self, stream_id: int, data: bytes) -> None:
        """See SessionHandler."""
        connection = self._connection
        if connection is None:
            return
        stream: HTTP2Stream | None = connection.streams.get(stream_id)
        if stream is not None:
            stream.take_data(data)
            connection._take_content(len(data))
            connection.note(stream)

    def end(self, stream_id: int) -> None:
        """See SessionHandler."""
        stream = self._stream(stream_id)
        if stream is not None:
            stream.take_end()
            self._note(stream)

    def closed(self, stream_id: int, error_code: int) -> None:
        """See SessionHandler."""
        connection = self._connection
        if connection is not None:
            stream: HTTP2Stream | None = connection.streams.pop(stream_id, None)
            if stream is not None and stream.take_closed():
                connection.note(stream)

    def drained(self, stream_id: int) -> None:
        """See SessionHandler."""
        stream = self._stream(stream_id)
        if stream is not None and stream.take_drained():
            self._note(stream)

    def goaway(self, error_code: int, last_stream_id: int) -> None:
        """See SessionHandler."""
        if self._connection is not None:
            self._connection._peer_leaves()

    def _stream(self, stream_id: int) -> HTTP2Stream | None:
        return None if self._connection is None else self._connection.streams.get(stream_id)

    def _note(self, stream: HTTP2Stream) -> None:
        if self._connection is not None:
            self._connection.note(stream)


class HTTP2Protocol(StreamHost):
    """asyncio-style protocol of one HTTP/2 connection, after ALPN or (`take_over`) from where its preface was seen.

    `wind_down()` tells the client to ask elsewhere, `shutdown()` ends it when its requests are done, `disconnect()` at once.
    """

    __slots__ = (
        "_events",
        "_goaway_timer",
        "_has_more",
        "_is_leaving",
        "_ready",
        "_security",
        "_served",
        "_trusted",
        "_turn_scheduled",
        "_turning",
        "_unanswered_bytes",
        "_window_bytes",
    )

    def __init__(self, context: ConnectionContext) -> None:
        self._events = StreamEvents(self)
        StreamHost.__init__(self, context, self._events)
        #: streams that shall go on
        self._ready: list[HTTP2Stream] = []
        self._goaway_timer: asyncio.TimerHandle | None = None
        #: there was more to send than one turn may take
        self._has_more = False
        #: either side has said that there will be no new streams
        self._is_leaving = False
        #: requests have come since the deadline was last looked at
        self._served = False
        self._security: Security | None = None
        self._trusted = False
        self._turn_scheduled = False
        self._turning = False
        #: has come while nothing could be sent, but for content
        self._unanswered_bytes = 0
        #: for all content that has come and was not read
        self._window_bytes = context.http2_limits.connection_window_bytes

    # -- asyncio protocol

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        context = self._context
        self._open(transport, "HTTP/2")
        hosts = context.trusted_hosts
        if hosts is not None:
            self._trusted = (self.client[0] if self.client is not None else None) in hosts
        if context.is_prefaced:
            self._security = security_of(transport, context.server_cert_of)
        self.is_plain = context.loop.get_task_factory() is None
        self.arm(REQUEST_HEAD, context.request_header_seconds)
        self.session.start()
        self._flush()
        if context.server_state.winding_down:
            self.wind_down()

    def take_over(self, transport: Any, data: bytes, eof: bool) -> None:
        """Go on with a connection whose first bytes, `data`, are those of the preface (RFC 9113 3.3). `eof`: and the last."""
        transport.set_protocol(self)
        self.connection_made(transport)
        self.data_received(data)
        if eof and self.transport is not None:
            self.eof_received()

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        if self._closing:
            self._linger(len(data))
            return
        if self._writing_paused:
            self._unanswered_bytes += len(data)
        broken = ""
        try:
            self.session.receive(data, self._context.loop.time())
        except HTTP2Error as error:
            # Not the error: it knows this frame, and both would be there until the collector comes.
            broken = str(error)
        if self._writing_paused:
            limits = self._context.http2_limits
            if self._unanswered_bytes > UNANSWERED_WINDOWS * limits.connection_window_bytes:
                self.set_reading(True)
        # Behind the handler: errors of applications that are told now shall not seem to come from this one.
        if broken:
            self._fail(broken)
        else:
            self._turn()

    def eof_received(self) -> bool:
        """The client has closed its side, and with it its windows: HTTP/2 needs both directions."""
        if not self._closing:
            self._eof = True
            self._flush()
            self.end(True)
            self._lose_all()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, for whatever reason."""
        self._lost("HTTP/2")
        if self._goaway_timer is not None:
            self._goaway_timer.cancel()
        self._events.forget()
        try:
            self._lose_all()
        finally:
            # Tasks that go on know this connection through their streams; what a session holds is tens of kilobytes.
            self.session = NO_SESSION
            self._return_window()

    def resume_writing(self) -> None:
        """The transport has drained to its low-water mark."""
        self._writing_paused = False
        self._unanswered_bytes = 0
        self.set_reading(False)
        self.flush_soon()

    # -- asked by the server

    def wind_down(self) -> None:
        """Tell the client to send its next requests elsewhere (RFC 9113 6.8). Those that come all the same are still served."""
        if self._closing or self._is_leaving:
            return
        self.session.goaway_notice()
        loop, context = self._context.loop, self._context.base_context
        self._goaway_timer = loop.call_later(NOTICE_SECONDS, self._take_no_more, context=context)
        self._shutdown_sockets(False)

    def _take_no_more(self) -> None:
        """The second step: the client has had time to hear of the first."""
        if not self._closing and not self._is_leaving:
            self._is_leaving = True
            self.session.goaway(NO_ERROR)
            self._turn()

    def shutdown(self) -> None:
        """End the connection when its requests are done: at once if it is idle."""
        if self._closing:
            return
        self._is_leaving = True
        self.session.goaway(NO_ERROR)
        if self.streams:
            self._shutdown_sockets(True)
        else:
            self._finish(True)

    def _shutdown_sockets(self, at_once: bool) -> None:
        for stream in list(self.streams.values()):
            stream.shutdown(at_once)
        self._turn()

    def disconnect(self) -> None:
        """End the connection now: applications see their clients gone."""
        self.abort()
        self._lose_all()

    # -- told by the session

    def _begin_stream(self, stream_id: int, head: RequestHead, protocol: bytes, end: bool) -> None:
        """A request has come, or has been promised."""
        stream = new_stream(self, self._context, stream_id, head, protocol)
        stream.take_request(end)
        self.streams[stream_id] = stream
        self._served = True
        self.note(stream)

    def _take_content(self, size_bytes: int) -> None:
        """Of what has come, so much is content."""
        if self._writing_paused:
            self._unanswered_bytes -= size_bytes

    def _peer_leaves(self) -> None:
        """The client will send no new requests."""
        self._is_leaving = True

    # -- StreamHost

    def note(self, stream: HTTP2Stream) -> None:
        """See StreamHost."""
        one: HTTP2Stream = stream
        if not one.is_noted:
            one.is_noted = True
            self._ready.append(one)

    def flush_soon(self) -> None:
        """See StreamHost."""
        if not self._turning and not self._turn_scheduled and self.transport is not None:
            self._turn_scheduled = True
            self._context.loop.call_soon(self._scheduled_turn, context=self._context.base_context)

    def scope_of(self, head: RequestHead, may_push: bool) -> dict[str, Any]:
        """See StreamHost."""
        context = self._context
        scopes = context.push_scopes if may_push else context.scopes
        scope = scopes.build(head, self.client, self.server)
        if self._security is not None:
            self._security.apply(scope)
        if head.forwarded and self._trusted:
            hosts = context.trusted_hosts
            assert hosts is not None
            rewrite_scope(scope, hosts)
        return scope

    def promise(self, stream_id: int, head: RequestHead, authority: bytes) -> None:
        """See StreamHost."""
        if self._is_leaving or self._context.server_state.winding_down:
            return
        scheme = b"https" if self._context.is_tls else b"http"
        promised_id = self.session.queue_push(stream_id, head, authority, scheme)
        if promised_id:
            head.headers.insert(0, (b"host", authority))
            self._begin_stream(promised_id, head, b"", True)
            # Not from here: the other request must not start inside this one's `send`.
            self.flush_soon()

    # -- one turn

    def _turn(self) -> None:
        """Let streams go on, send what has come of it, and see how the connection stands."""
        if self._turning:
            return
        self._turning = True
        try:
            self._go_on()
            self._flush()
        finally:
            self._turning = False
        if self._closing:
            return
        if self._ready or self._has_more:
            self.flush_soon()
        self._settle()

    def _scheduled_turn(self) -> None:
        self._turn_scheduled = False
        if not self._closing:
            self._turn()

    def _go_on(self) -> None:
        left = REQUESTS_PER_TURN
        position = 0
        ready = self._ready
        self._ready = []
        try:
            while left and position < len(ready):
                stream = ready[position]
                position += 1
                if stream.go_on():
                    left -= 1
        finally:
            if position < len(ready):
                self._ready = ready[position:] + self._ready

    def _flush(self) -> None:
        session = self.session
        left_bytes = BYTES_PER_TURN
        while left_bytes > 0 and not self._writing_paused and self.transport is not None and session.wants_send():
            out = session.send()
            if not out:
                break
            self._send(out)
            for piece in out:
                left_bytes -= len(piece)
        self._has_more = left_bytes <= 0

    def _settle(self) -> None:
        if self.streams:
            self._served = False
            if self.holds_window():
                self._make_room()
            if self._output_waits():
                if self._deadline_kind != STALL:
                    self.arm(STALL, STALL_LOOK_SECONDS)
            else:
                self.disarm()
        elif self._is_leaving and not self._writing_paused and not self._ready:
            self._finish(False)
        elif self._served or self._deadline_kind not in (KEEP_ALIVE, REQUEST_HEAD):
            self._served = False
            if self._context.keep_alive_seconds <= 0:
                self._finish(False)
            else:
                # Pings and the like are no requests: they do not keep a connection.
                self.arm(KEEP_ALIVE, self._context.keep_alive_seconds)

    def holds_window(self) -> bool:
        """See StreamHost."""
        # Half of it, as either engine keeps credit for what has been read until it comes to the other half.
        return 2 * self.session.unread_bytes() > self._window_bytes

    def _make_room(self) -> None:
        unread_bytes = self.session.unread_bytes()
        for stream in self.streams.values():
            stream.drop_unread()
        if self.session.unread_bytes() != unread_bytes:
            # Credit may be due for it.
            self.flush_soon()
        if self.holds_window():
            self._widen_window()
            if self.holds_window():
                self.held_turns += 1

    def _widen_window(self) -> None:
        """Uploads that nobody reads shall not hold up the others: twice the window, until all streams together fill half of it.

        What is not read is bounded by the windows of streams then. For as long as the connection lasts, and out of what all
        connections of the server may borrow, of which each has its share.
        """
        context = self._context
        limits, state = context.http2_limits, context.server_state
        most_bytes = min(2 * limits.max_concurrent_streams * limits.stream_window_bytes, MAX_WINDOW_BYTES)
        share_bytes = limits.connection_window_bytes + limits.lent_window_bytes // LENT_SHARES
        size_bytes = min(self._window_bytes, most_bytes - self._window_bytes, share_bytes - self._window_bytes)
        size_bytes = min(size_bytes, limits.lent_window_bytes - state.lent_bytes)
        if size_bytes > 0:
            state.lent_bytes += size_bytes
            self._window_bytes += size_bytes
            self.session.widen_window(size_bytes)
            self.flush_soon()

    def _return_window(self) -> None:
        """The connection is lost: give back what it has borrowed, but for what is in memory all the same."""
        context = self._context
        least_bytes = context.http2_limits.connection_window_bytes
        size_bytes = self._window_bytes - least_bytes - self.kept_bytes
        if size_bytes > 0:
            size_bytes = min(size_bytes, self._window_bytes - least_bytes)
            context.server_state.lent_bytes -= size_bytes
            self._window_bytes -= size_bytes

    def release(self, size_bytes: int) -> None:
        """See StreamHost."""
        self.kept_bytes -= size_bytes
        if self.session is NO_SESSION:
            self._return_window()

    def _output_waits(self) -> bool:
        return self._writing_paused or self.session.total_queued_bytes() > 0

    # -- the deadline

    def on_deadline(self) -> None:
        """The deadline has passed."""
        kind = self._deadline_kind
        self._deadline_kind = NO_DEADLINE
        if self.transport is None or kind == NO_DEADLINE:
            return
        if kind == LINGER:
            self._lingered()
        elif kind == STALL:
            self._look_at_stall()
        elif self._client_takes(self._context.keep_alive_seconds):
            # Not idle: the client is still taking the last answer.
            self.arm(KEEP_ALIVE, self._context.keep_alive_seconds)
        elif self.transport.get_write_buffer_size():
            self._give_up()
        else:
            self._finish(True)

    def _look_at_stall(self) -> None:
        if self._writing_paused:
            self._look_at_output()
            if self._closing:
                return
        else:
            for stream in list(self.streams.values()):
                if stream.is_stalled(STALL_LOOK_SECONDS):
                    stream.reset(CANCEL)
        self._turn()

    # -- the end

    def _finish(self, settled: bool) -> None:
        """There is nothing more to do: say so, and close once everything is sent; `settled` as in `end`."""
        if not self._is_leaving:
            # A request that is on its way now was not seen, and its client can tell (RFC 9113 6.8).
            self._is_leaving = True
            self.session.goaway(NO_ERROR)
        self._flush()
        self.end(settled)

    def _fail(self, reason: str) -> None:
        """End a connection whose client has broken a rule. GOAWAY, which the session has queued, says which."""
        logger.warning("Invalid HTTP request received. %s", reason)
        self._flush()
        self.end(False)
        self._lose_all()

    def _lose_all(self) -> None:
        # Those that are gone already may still have to be told.
        streams = [*self.streams.values(), *self._ready, *self.unheard]
        self.streams = {}
        self._ready = []
        for stream in streams:
            stream.lose()
