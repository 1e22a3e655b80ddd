"""The output of one stream of an HTTP/2 connection: what may be sent as a response, its back-pressure, its deadline.

Which responses have content, Content-Length, 1xx and trailers are settled here; frames, windows and compression are the session's
business. Knows its connection as a `StreamHost`; nothing of what the peer sends. The text is compiled a second time as
`http2_output_c`. No application code runs inside, but for the fields that it makes while they are looked at.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any

from ..asgi.awaitables_py import DONE
from ..asgi.canned import canned_response
from ..base.errors import ClientDisconnected, LocalProtocolError
from ..base.request_head_py import RequestHead
from ..http1.writer_py import list_fields, list_head
from ..http2.codes import INTERNAL_ERROR
from ..http2.session_py import NO_SESSION, HTTP2Session
from .carrier_py import Carrier
from .context_py import ConnectionContext
from .deadlines import LINGER, NO_DEADLINE
from .http2_host_py import StreamHost
from .lingering import STALLED_SECONDS, UPLOAD_SECONDS
from .timers_py import Deadline
from .trailers import takes_trailers

__all__ = ["StreamOutput"]


class StreamOutput(Carrier):
    """The half of a stream that the peer reads. Attributes are for the connection to read."""

    __slots__ = (
        "_blocked",
        "_context",
        "_deadline",
        "_deadline_kind",
        "_drain_waiters",
        "_drains_stopped",
        "_fields",
        "_head",
        "_host",
        "_left_bytes",
        "_nothing",
        "_nothing_follows",
        "_queued_bytes",
        "_remaining_bytes",
        "_scope",
        "_session",
        "_stalled_seconds",
        "_status",
        "_trailers",
        "closed",
        "request_complete",
        "response_complete",
        "response_started",
        "stream_id",
    )

    def _open_output(self, host: StreamHost, context: ConnectionContext, stream_id: int, head: RequestHead) -> None:
        self._host = host
        self._session: HTTP2Session = host.session
        self._context = context
        self._head = head
        self.stream_id = stream_id
        #: of the request, for the access log; None for what it does not tell of
        self._scope: dict[str, Any] | None = None
        #: the peer has ended its side
        self.request_complete = False
        #: the first frame of the final response is queued
        self.response_started = False
        #: the last one is
        self.response_complete = False
        #: the session does not know this stream any more
        self.closed = False
        #: the held head
        self._fields: list[tuple[bytes, bytes]] | None = None
        self._status = 0
        self._remaining_bytes = -1
        self._trailers = False
        #: the response has no content, and: it has ended with its head, whatever the application still has to say
        self._nothing = False
        self._nothing_follows = False
        #: more than the high-water mark is queued
        self._blocked = False
        self._drain_waiters: list[asyncio.Future[None]] | None = None
        self._drains_stopped = False
        self._deadline: Deadline | None = None
        self._deadline_kind = NO_DEADLINE
        #: all that was ever queued; how much of it had left at the last look, and for how long that is so
        self._queued_bytes = 0
        self._left_bytes = 0
        self._stalled_seconds = 0.0

    # -- answers in the server's own name

    def _answer(self, status: int, detail: str) -> None:
        """Send an answer in the server's own name."""
        self._write_answer(canned_response(status, detail))
        self._log_access(status)

    def _write_answer(self, response: tuple[int, list[tuple[bytes, bytes]], bytes]) -> None:
        status, headers, body = response
        fields, _ = list_head(status, headers, self._context.server_state.default_pairs)
        if self._head.method == "HEAD":
            body = b""
        self.response_started = True
        self._fields = None
        self._session.queue_head(self.stream_id, status, fields, not body)
        if body:
            self._session.queue_data(self.stream_id, body, True)
        self._finish()
        self._host.flush_soon()

    def _log_access(self, status: int) -> None:
        access_log = self._context.access_log
        scope = self._scope
        if access_log is None or scope is None:
            return
        try:
            access_log.log(scope, status)
        except Exception as error:
            # A user's filter, or a scope that the application has changed. The response is on its way and goes on.
            self._context.loop.call_exception_handler(
                {"message": "Exception in the access log", "exception": error, "protocol": self._host}
            )

    # -- Wire: called by the cycle

    def write_head(self, status: int, headers: Iterable[Iterable[bytes]], trailers: bool) -> None:
        """See Wire."""
        fields, content_length = list_head(status, headers, self._context.server_state.default_pairs)
        if self.response_started:
            # Answered while the fields were looked at, which are made by the application.
            raise ClientDisconnected("The client has disconnected.")
        if status == 204 or status == 205:
            # RFC 9110 8.6 and 15.3.6: no Content-Length in a 204, none but 0 in a 205.
            fields = [field for field in fields if field[0] != b"content-length"]
        self._fields = fields
        self._status = status
        self._remaining_bytes = content_length
        # RFC 9110 6.4.1: these have no content, whatever is sent as such.
        self._nothing = self._head.method == "HEAD" or status == 204 or status == 205 or status == 304
        self._trailers = trailers and not self._nothing and takes_trailers(self._head.headers)

    def discard_head(self) -> bool:
        """See Wire."""
        self._fields = None
        return not self.response_started

    def write_data(self, data: bytes, end: bool) -> bool:
        """See Wire."""
        size = len(data)
        fields = self._fields
        if self._remaining_bytes >= 0 and not self._nothing:
            self._count(size, end)
        if fields is not None:
            self._fields = None
            self.response_started = True
            if self._context.access_log is not None:
                self._log_access(self._status)
            if self.closed:
                return True
            if self._nothing or (end and not size):
                self._nothing_follows = True
                self._session.queue_head(self.stream_id, self._status, fields, True)
            else:
                self._session.queue_head(self.stream_id, self._status, fields, False)
                self._queue(data, size, end)
        elif self._nothing_follows:
            pass
        elif self.closed:
            return True
        elif size or end:
            self._queue(data, size, end)
        if end:
            self._finish()
        self._host.flush_soon()
        return self._blocked

    def _queue(self, data: bytes, size: int, end: bool) -> None:
        self._queued_bytes += size
        if self._session.queue_data(self.stream_id, data, end):
            self._blocked = True

    def _count(self, size: int, end: bool) -> None:
        remaining = self._remaining_bytes - size
        if remaining < 0:
            raise LocalProtocolError("Response content longer than Content-Length")
        if end and remaining:
            raise LocalProtocolError("Response content shorter than Content-Length")
        self._remaining_bytes = remaining

    def _finish(self) -> None:
        """The whole response is queued."""
        self.response_complete = True
        if self.request_complete or self.closed:
            return
        if self._head.method == "CONNECT":
            # A handshake that was denied: there is nothing on its way.
            self._session.stop_upload(self.stream_id)
        else:
            # Not at once: curl 7 takes a reset that it reads with the response for the failure of its upload. Until then what
            # comes is dropped, and no credit given for it.
            self.arm(LINGER, UPLOAD_SECONDS)

    def write_trailers(self, headers: list[Iterable[bytes]]) -> bool:
        """See Wire."""
        fields = list_fields(headers)
        if not self._trailers or not fields:
            return self.write_data(b"", True)
        if self._remaining_bytes > 0:
            raise LocalProtocolError("Response content shorter than Content-Length")
        if self._fields is not None:
            self.write_data(b"", False)
        if not self.closed:
            self._session.queue_trailers(self.stream_id, fields)
        self._finish()
        self._host.flush_soon()
        return self._blocked

    def write_informational(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """See Wire."""
        fields = list_fields(headers)
        # Not before a promised response: nobody waits for that, and h2 does not know it either.
        if not self.response_started and not self.closed and self.stream_id % 2:
            self._session.queue_informational(self.stream_id, status, fields)
            self._host.flush_soon()

    def is_blocked(self) -> bool:
        """See Wire."""
        return self._blocked or (self.closed and not self._nothing_follows)

    def drain(self) -> Awaitable[Any]:
        """See Wire."""
        return self._drain() if self.is_blocked() else DONE

    async def _drain(self) -> None:
        while self._blocked and not self.closed and not self._drains_stopped:
            waiter: asyncio.Future[None] = self._context.loop.create_future()
            waiters = self._drain_waiters
            if waiters is None:
                waiters = self._drain_waiters = []
            waiters.append(waiter)
            try:
                await waiter
            finally:
                # A cancelled send leaves nothing behind.
                waiters.remove(waiter)
        if self.closed or self._drains_stopped:
            if self.closed:
                # The connection may not have come to say so: then what is raised here would pass for the application's error.
                self.lose()
            raise ClientDisconnected("The client has disconnected.")

    def _wake_drainers(self) -> None:
        waiters = self._drain_waiters
        self._drain_waiters = None
        if waiters is not None:
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)

    def stop_drains(self) -> None:
        """See Carrier."""
        self._drains_stopped = True
        self._wake_drainers()

    def fail(self) -> None:
        """See Wire."""
        if self.closed or self.response_complete:
            return
        if self.response_started:
            self.reset(INTERNAL_ERROR)
        else:
            self._fields = None
            self._answer(500, "")

    # -- Carrier: frames of a WebSocket

    def send_frames(self, frames: list[bytes]) -> bool:
        """See Carrier."""
        if not self.closed and not self.response_complete:
            for frame in frames:
                self._queue(frame, len(frame), False)
            self._host.flush_soon()
        return self._blocked

    def sent_bytes(self) -> int:
        """See Carrier."""
        return self._queued_bytes

    def unsent_bytes(self) -> int:
        """See Carrier."""
        return 0 if self.closed else self._session.queued_bytes(self.stream_id)

    # -- time

    def arm(self, kind: int, seconds: float) -> None:
        """See Carrier."""
        deadline = self._deadline
        self._deadline_kind = kind
        if deadline is None:
            if self.closed:
                return
            deadline = self._deadline = Deadline(self)
        if seconds > 0:
            self._context.timers.arm(deadline, seconds)
        else:
            self._context.timers.disarm(deadline)

    def disarm(self) -> None:
        """See Carrier."""
        if self._deadline_kind != NO_DEADLINE and self._deadline is not None:
            self._deadline_kind = NO_DEADLINE
            self._context.timers.disarm(self._deadline)

    def is_stalled(self, seconds: float) -> bool:
        """Whether the peer leaves what is queued where it is, for far too long. Asked every `seconds`."""
        queued_bytes = self._session.queued_bytes(self.stream_id)
        left_bytes = self._queued_bytes - queued_bytes
        if not queued_bytes or left_bytes != self._left_bytes:
            self._left_bytes = left_bytes
            self._stalled_seconds = 0.0
            return False
        self._stalled_seconds += seconds
        return self._stalled_seconds >= STALLED_SECONDS

    # -- the end

    def reset(self, error_code: int) -> None:
        """End the stream at once (RFC 9113 5.4.2)."""
        if not self.closed:
            self._session.reset(self.stream_id, error_code)
            self._host.flush_soon()

    def lose(self) -> None:
        """The stream is gone, with or without its connection. Repeats are harmless."""
        raise NotImplementedError

    def _end_output(self) -> None:
        """The stream is gone, for whatever reason. Repeats are harmless."""
        self.closed = True
        self._scope = None
        # The task may go on for long, and needs none any more.
        self._session = NO_SESSION
        deadline = self._deadline
        if deadline is not None:
            self._deadline = None
            self._deadline_kind = NO_DEADLINE
            self._context.timers.remove(deadline)
        self._wake_drainers()
