"""One stream of an HTTP/2 connection: the `Wire` of its request, or the `Carrier` of the WebSocket on it (RFC 8441).

Joins what the peer sends, the output of the stream and the application. Knows its connection as a `StreamHost`. The text is
compiled a second time as `http2_stream_c`.

The connection tells it of the peer by `take_*`, from inside the session: these only keep what has come. Application code runs
inside `go_on`, `on_deadline`, `lose` and `shutdown`, and calls in again from there; so every method settles its own
state first.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import quote

from ..asgi.canned import health_response
from ..asgi.http_cycle_py import HTTPCycle, new_cycle
from ..asgi.websocket_scope import websocket_scope
from ..base.errors import RemoteProtocolError
from ..base.request_head_py import RequestHead
from ..http1.writer_py import list_fields, list_head
from ..http2.codes import CANCEL, REFUSED_STREAM
from ..websocket.handshake import check_extended_connect
from .context_py import ConnectionContext
from .deadlines import LINGER, NO_DEADLINE, REQUEST_BODY
from .http2_host_py import StreamHost
from .http2_output_py import StreamOutput
from .lingering import LINGER_SECONDS, UPLOAD_SECONDS
from .websocket_py import WebSocketSession

__all__ = ["HTTP2Stream", "new_stream"]

logger = logging.getLogger("picocorn.error")

#: Pieces of content below this are put together when there is something to read already, until they are as large as that.
SMALL_BYTES = 1024
JOINED_BYTES = 16384

TOO_LARGE = "request content is larger than the limit (RFC 9110 15.5.14)"


class HTTP2Stream(StreamOutput):
    """One exchange, or one WebSocket."""

    __slots__ = (
        "_abandoned",
        "_begun",
        "_content_bytes",
        "_continue_pending",
        "_cycle",
        "_dropped_bytes",
        "_eof",
        "_held_turns",
        "_incoming",
        "_kept_bytes",
        "_protocol",
        "_reading_paused",
        "_running",
        "_small",
        "_socket",
        "_unblocked",
        "is_noted",
    )

    def __init__(self, host: StreamHost, context: ConnectionContext, stream_id: int, head: RequestHead, protocol: bytes) -> None:
        self._open(host, context, stream_id, head, protocol)

    def _open(self, host: StreamHost, context: ConnectionContext, stream_id: int, head: RequestHead, protocol: bytes) -> None:
        self._open_output(host, context, stream_id, head)
        #: of an extended CONNECT
        self._protocol = protocol
        #: `go_on` is due; set and asked by the connection
        self.is_noted = False
        self._begun = False
        #: the application runs, and: it does though the stream was reset
        self._running = False
        self._abandoned = False
        self._cycle: HTTPCycle | None = None
        self._socket: WebSocketSession | None = None
        #: content that has come before the beginning, or for a WebSocket
        self._incoming: list[bytes] | None = None
        #: small pieces of content that have come behind what waits in the cycle
        self._small: bytearray | None = None
        #: content that has come, and that of it which nobody will read
        self._content_bytes = 0
        self._dropped_bytes = 0
        #: of complete content, which the application may still be given though the stream is gone
        self._kept_bytes = 0
        self._continue_pending = head.expect_continue
        self._eof = False
        #: the connection's, as the client's time began
        self._held_turns = 0
        self._reading_paused = False
        #: not blocked any more, which a WebSocket shall know
        self._unblocked = False

    # -- told by the connection, from inside the session

    def take_request(self, end: bool) -> None:
        """The head is there. `end`: and nothing follows."""
        self.request_complete = end

    def take_data(self, data: bytes) -> None:
        """Content has come."""
        self._continue_pending = False
        self._content_bytes += len(data)
        cycle = self._cycle
        if cycle is not None and not self.response_complete:
            if self._small is None and (len(data) >= SMALL_BYTES or not cycle.body_bytes):
                cycle.feed_data(data)
            else:
                self._keep_small(cycle, data)
        elif not self._begun or self._socket is not None:
            incoming = self._incoming
            if incoming is None:
                self._incoming = [data]
            else:
                incoming.append(data)
        else:
            self._dropped_bytes += len(data)

    def take_end(self) -> None:
        """The content is complete."""
        self.request_complete = True
        self._continue_pending = False
        cycle = self._cycle
        if cycle is not None:
            self._feed_small(cycle)
            cycle.feed_end()

    def _keep_small(self, cycle: HTTPCycle, data: bytes) -> None:
        # Behind content that waits to be read. As objects of their own, a window full of single bytes would be 40 times as large.
        small = self._small
        if small is None:
            small = self._small = bytearray()
        small += data
        if len(small) >= JOINED_BYTES:
            self._feed_small(cycle)

    def _feed_small(self, cycle: HTTPCycle) -> None:
        small = self._small
        if small is not None:
            self._small = None
            cycle.feed_data(bytes(small))

    def take_drained(self) -> bool:
        """What is queued has fallen to the low mark. Returns whether `go_on` is due for that."""
        self._blocked = False
        self._wake_drainers()
        self._unblocked = self._socket is not None
        return self._unblocked

    def take_closed(self) -> bool:
        """The session has forgotten the stream. Returns whether `go_on` is due for that."""
        cycle = self._cycle
        if self.response_complete and self._socket is None and (cycle is None or cycle.has_message()):
            # Answered: what the application has left to do is its own affair.
            if self._content_bytes and cycle is not None:
                cycle.discard_content()
            self._end_all()
            return False
        if self._running:
            self._abandoned = True
            self._host.abandoned_tasks += 1
        if self._nothing_follows and not self.response_complete:
            # Its application is still giving us content that a HEAD has not. Whoever does that for ever will be told.
            self.arm(LINGER, LINGER_SECONDS)
            self._host.unheard.add(self)
            self.closed = True
            return False
        self.closed = True
        return True

    # -- from the connection, outside of everything

    def go_on(self) -> bool:
        """Do what is due. Returns whether a request has begun."""
        self.is_noted = False
        if not self._begun:
            self._begun = True
            if self.closed:
                self._end_all()
                return False
            self._begin()
            if self._dropped_bytes:
                self._drop()
            return True
        if self._socket is not None:
            self._feed_socket()
        elif self.closed:
            self.lose()
        elif self.response_complete:
            pass
        elif self._is_too_large():
            self._refuse(413, TOO_LARGE)
        elif self._cycle is not None:
            self._update_deadline()
            self._cycle.wake()
        if self._dropped_bytes:
            self._drop()
        return False

    def lose(self) -> None:
        """See StreamOutput."""
        cycle, socket = self._cycle, self._socket
        self._end_all()
        if socket is not None:
            socket.lost()
        elif cycle is not None:
            if self._running and cycle.body_complete and not cycle.discard_content():
                self._keep(cycle.body_bytes)
            cycle.disconnect()

    def _keep(self, size_bytes: int) -> None:
        host = self._host
        if size_bytes:
            self._kept_bytes = size_bytes
            host.kept_bytes += size_bytes
            if not self._abandoned:
                self._abandoned = True
                host.abandoned_tasks += 1

    def _release(self) -> None:
        size_bytes = self._kept_bytes
        self._kept_bytes = 0
        self._host.release(size_bytes)

    def shutdown(self, at_once: bool) -> None:
        """The server ends, and WebSockets with it: the open ones, and those not accepted yet if it is to be `at_once`."""
        socket = self._socket
        if socket is not None and (at_once or self.response_started):
            socket.shutdown()

    def _end_all(self) -> None:
        # It and its cycle or session know each other.
        self._cycle = None
        self._socket = None
        self._incoming = None
        self._small = None
        if self._nothing_follows:
            self._host.unheard.discard(self)
        self._end_output()

    # -- the request

    def _begin(self) -> None:
        context, head, host = self._context, self._head, self._host
        if host.abandoned_tasks and (len(host.streams) + host.abandoned_tasks > context.http2_limits.max_concurrent_streams):
            # Its application never hears of it, so that the client may try again (RFC 9113 8.7).
            self.reset(REFUSED_STREAM)
            return
        if context.health_check_path is not None and head.raw_path == context.health_check_path:
            # For load balancers, not for the application, its limits and the access log.
            self._write_answer(health_response(context.server_state.draining))
            return
        context.server_state.total_requests += 1
        if head.method == "CONNECT":
            self._connect()
            return
        may_push = self.stream_id % 2 == 1 and self._session.peer_allows_push()
        cycle = self._cycle = new_cycle(self, host.scope_of(head, may_push), head.method == "HEAD")
        self._scope = cycle.scope
        incoming = self._incoming
        if incoming is not None:
            self._incoming = None
            for data in incoming:
                cycle.feed_data(data)
        if self.request_complete:
            cycle.feed_end()
        if self._is_too_large():
            self._refuse(413, TOO_LARGE)
            self._cycle = None
        elif context.limit_concurrency and len(context.server_state.tasks) >= context.limit_concurrency:
            logger.warning("Exceeded concurrency limit.")
            self._answer(503, "")
            self._cycle = None
        else:
            cycle.started = True
            self._running = True
            self._update_deadline()
            context.starter.start(cycle, host.is_plain)

    def _connect(self) -> None:
        """Begin a WebSocket (RFC 8441 4); there is nothing else to connect to."""
        context = self._context
        if self._protocol != b"websocket" or context.websocket is None:
            self._answer(501, "")
            return
        try:
            handshake = check_extended_connect(self._head)
        except RemoteProtocolError as error:
            logger.warning("Invalid HTTP request received. %s", error)
            self._answer(error.status_hint, str(error))
            return
        scope = websocket_scope(self._host.scope_of(self._head, False), list(handshake.subprotocols))
        # It refuses by itself what would be too much.
        limit = context.limit_concurrency
        self._running = not limit or len(context.server_state.tasks) < limit
        socket = self._socket = WebSocketSession(self, context, handshake.subprotocols, handshake.extension_offers)
        socket.start(scope, self._host.is_plain)
        self._feed_socket()

    def _is_too_large(self) -> bool:
        limit = self._context.limits.request_body_bytes
        return bool(limit) and (self._content_bytes > limit or self._head.content_length > limit)

    def _feed_socket(self) -> None:
        """Give the WebSocket what there is for it."""
        socket, incoming = self._socket, self._incoming
        self._incoming = None
        if socket is None:
            return
        if self._unblocked:
            self._unblocked = False
            socket.writable()
        for data in incoming or ():
            self._dropped_bytes += len(data)
            if not self.response_complete:
                socket.feed(data)
        if self.closed:
            self.lose()
        elif self.request_complete:
            self._end_input(socket)

    def _end_input(self, socket: WebSocketSession) -> None:
        if not self._eof:
            self._eof = True
            if self.response_complete:
                self.disarm()
            else:
                socket.feed_eof()

    def _drop(self) -> None:
        """Give the peer credit for what a WebSocket has taken, if it can take more."""
        size_bytes = self._dropped_bytes
        if size_bytes and not self._reading_paused and not self.closed and not self.response_complete:
            self._dropped_bytes = 0
            self._session.consume(self.stream_id, size_bytes)
            self._host.flush_soon()

    def drop_unread(self) -> None:
        """Give the connection's window back what nobody will read, as the response is complete. The stream's stays shut."""
        cycle = self._cycle
        if self.closed or not self.response_complete or self._reading_paused:
            return
        if cycle is None or cycle.discard_content():
            self._incoming = None
            self._small = None
            self._session.drop_unread(self.stream_id)

    def _refuse(self, status: int, message: str) -> None:
        """End a request that has come as far as its application."""
        logger.warning("Invalid HTTP request received. %s", message)
        cycle = self._cycle
        if self.response_complete or self.closed:
            return
        if self.response_started:
            self.reset(CANCEL)
        else:
            self._answer(status, message)
        if cycle is not None:
            self._small = None
            cycle.disconnect()

    # -- Wire: called by the cycle

    def request_body(self) -> None:
        """See Wire."""
        if self._continue_pending:
            self._continue_pending = False
            self.write_informational(100, [])
            # The client's time starts only now.
            self._update_deadline()

    def consume(self, size_bytes: int) -> None:
        """See Wire."""
        cycle = self._cycle
        if cycle is not None:
            self._feed_small(cycle)
        if self._kept_bytes:
            self._release()
        if not self.closed and not self.response_complete:
            self._session.consume(self.stream_id, size_bytes)
            self._host.flush_soon()
            if not self.request_complete:
                self._update_deadline()

    def push(self, path: str, headers: Iterable[Iterable[bytes]]) -> None:
        """See Wire."""
        fields = [field for field in list_fields(headers) if field[0] != b"host"]
        # Promises go out on streams of the peer's, before what makes the client ask by itself (RFC 9113 8.4).
        if self.closed or self.response_complete or self.stream_id % 2 == 0 or not self._session.peer_allows_push():
            return
        authority = self._head.headers[0][1] if self._head.headers and self._head.headers[0][0] == b"host" else b""
        path, mark, query = path.partition("?")
        head = RequestHead()
        head.method = "GET"
        head.raw_path = quote(path, safe="/:@!$&'()*+,;=~").encode("ascii")
        head.query_string = quote(query, safe="/:@!$&'()*+,;=~?%").encode("ascii")
        head.target = head.raw_path + mark.encode("ascii") + head.query_string
        head.http_version = "2"
        head.headers = fields
        head.content_length = -1
        head.chunked = False
        head.keep_alive = True
        head.expect_continue = False
        head.upgrade = b""
        head.forwarded = False
        self._host.promise(self.stream_id, head, authority)

    def application_ended(self) -> None:
        """See Wire."""
        self._running = False
        if self._abandoned:
            self._abandoned = False
            self._host.abandoned_tasks -= 1
            if self._kept_bytes:
                self._release()
            self._end_all()

    # -- Carrier: called by the session of a WebSocket

    def accept(self, subprotocol: str, extensions: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """See Carrier."""
        fields = []
        if subprotocol:
            fields.append((b"sec-websocket-protocol", subprotocol.encode("latin-1")))
        if extensions:
            fields.append((b"sec-websocket-extensions", extensions))
        fields, _ = list_head(200, fields + headers, self._context.server_state.default_pairs)
        self.response_started = True
        if not self.closed:
            self._session.queue_head(self.stream_id, 200, fields, False)
            # Nothing need follow, and the client waits for it.
            self._session.queue_data(self.stream_id, b"", False)
            self._host.flush_soon()

    def reject(self, status: int) -> None:
        """See Carrier."""
        if not self.closed and not self.response_started:
            self._fields = None
            self._answer(status, "")

    def set_reading(self, pause: bool) -> None:
        """See Carrier."""
        self._reading_paused = pause
        # Not paused: the window opens again by what has come meanwhile.
        self._drop()

    def end(self, settled: bool) -> None:
        """See Carrier. The end of our side is the end of the stream, once the peer has had time to say the same."""
        self.disarm()
        if self.closed:
            return
        if not self.response_started:
            # The peer has ended its side, and with it what the application would have been asked about.
            self.reset(CANCEL)
            return
        if not self.response_complete:
            self._session.queue_data(self.stream_id, b"", True)
            self.response_complete = True
            self._host.flush_soon()
        if not self.request_complete:
            self.arm(LINGER, LINGER_SECONDS if settled else UPLOAD_SECONDS)

    def abort(self) -> None:
        """See Carrier."""
        self.disarm()
        self.reset(CANCEL)

    # -- the deadline

    def _update_deadline(self) -> None:
        cycle = self._cycle
        if (
            self.request_complete
            or self.response_complete
            or self._continue_pending
            or self.closed
            or cycle is None
            or cycle.body_bytes
        ):
            self.disarm()  # not the client is waited for
        else:
            self._held_turns = self._host.held_turns
            self.arm(REQUEST_BODY, self._context.request_body_seconds)

    def on_deadline(self) -> None:
        """The deadline has passed."""
        kind = self._deadline_kind
        socket = self._socket
        self._deadline_kind = NO_DEADLINE
        if kind == NO_DEADLINE:
            return
        if self.closed:
            self.lose()
        elif kind == REQUEST_BODY and (self._host.holds_window() or self._held_turns != self._host.held_turns):
            # It may have been kept from sending by what others do not read, for any part of its time.
            self._update_deadline()
            # What was not lent then may be lent now.
            self._host.flush_soon()
        elif kind == REQUEST_BODY:
            # RFC 9110 15.5.9.
            self._refuse(408, "The request did not arrive in time.")
        elif kind == LINGER:
            # RFC 9113 8.1: a reset that is no error.
            self._session.stop_upload(self.stream_id)
            self._host.flush_soon()
        elif socket is not None:
            socket.on_deadline(kind)


def new_stream(host: StreamHost, context: ConnectionContext, stream_id: int, head: RequestHead, protocol: bytes) -> HTTP2Stream:
    """`HTTP2Stream(...)`, at half the price when compiled: without the call of a type, and its tuple of arguments."""
    stream = HTTP2Stream.__new__(HTTP2Stream)
    stream._open(host, context, stream_id, head, protocol)
    return stream
