"""What an HTTP/2 engine offers, and what it tells. Two interfaces: no wire format, no socket, no clock.

`HTTP2Session` is one connection, server side, without I/O: bytes in, calls of its `SessionHandler` out; responses in, bytes
out. The engines implement it (`engine_h2_py.py` over h2, `engine_nghttp2_c.pyx` over libnghttp2), a connection implements the
handler. This text is compiled a second time as `session_c`, where the methods become entries of a C function table.

Streams are ints. A stream that is gone may still be named: every method that takes one ignores it then, so a caller need not
know what has come in between.
"""

from __future__ import annotations

from ..base.request_head_py import RequestHead

__all__ = ["NO_SESSION", "HTTP2Session", "SessionHandler"]


class SessionHandler:
    """What a session tells its connection.

    Called from inside `receive()`, `send()` and the methods that end streams. A handler may only take notes: no application
    code, no call of the session's methods. When it raises, the session gives the error to whoever called it and is of no more
    use (`is_over()`).
    """

    __slots__ = ()

    def request(self, stream_id: int, head: RequestHead, protocol: bytes, authority_present: bool, end: bool) -> None:
        """A complete and valid request head (RFC 9113 8.3.1). `end`: no content follows; `end()` is then not called.

        `protocol` is the `:protocol` of an extended CONNECT (RFC 8441 4), else b"". A plain CONNECT has an empty `raw_path` and
        `target`. `authority_present`: the Host field in `head.headers` comes from `:authority`.
        """
        raise NotImplementedError

    def data(self, stream_id: int, data: bytes) -> None:
        """Content; never empty. Its size is due back to the peer through `HTTP2Session.consume`."""
        raise NotImplementedError

    def end(self, stream_id: int) -> None:
        """The request's content is complete. Trailers, if any, were valid and have been dropped."""
        raise NotImplementedError

    def closed(self, stream_id: int, error_code: int) -> None:
        """The stream is gone: complete on both sides (NO_ERROR), or reset by either (RFC 9113 5.1).

        Told exactly once for each stream that `request()` was called for or `queue_push()` returned, unless the connection
        ends first.
        """
        raise NotImplementedError

    def drained(self, stream_id: int) -> None:
        """What is queued on this stream has fallen to LOW_WATER_BYTES, after `queue_data()` had said that it is too much."""
        raise NotImplementedError

    def goaway(self, error_code: int, last_stream_id: int) -> None:
        """The peer is leaving (RFC 9113 6.8). Its open streams go on."""
        raise NotImplementedError


class HTTP2Session:
    """One HTTP/2 connection, server side. Made as `Engine(handler, limits)` by `engine.new_session`.

    `handler` is a SessionHandler, `limits` an HTTP2Limits.
    """

    __slots__ = ()

    # -- bytes in, bytes out

    def start(self) -> None:
        """Queue our SETTINGS and the connection's window. Once, before anything else."""
        raise NotImplementedError

    def receive(self, data: bytes, now_seconds: float) -> None:
        """Take bytes from the peer, beginning with the connection preface. `now_seconds`: any monotonic clock.

        Raises HTTP2Error when the connection is to end: GOAWAY is then queued, and what comes after is dropped.
        """
        raise NotImplementedError

    def send(self) -> list[bytes]:
        """What may be sent now, in few pieces; [] when there is nothing. `wants_send()` tells when there is more.

        To be called once a loop turn, and not while the transport holds back: what is not asked for stays ordered by urgency.
        """
        raise NotImplementedError

    def wants_send(self) -> bool:
        """Whether `send()` might give something. Content that waits for the peer's window does not count."""
        raise NotImplementedError

    # -- responses

    def queue_head(self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]], end: bool) -> None:
        """A final response head. `headers`: names in lower case, checked. `end`: the response has no content.

        May wait for the first `queue_data()` or `queue_trailers()` before it leaves.
        """
        raise NotImplementedError

    def queue_informational(self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """An interim response, 100 to 199 except 101 (RFC 9113 8.1)."""
        raise NotImplementedError

    def queue_data(self, stream_id: int, data: bytes, end: bool) -> bool:
        """Content, kept until the peer's window allows it. Returns True when the stream has more than HIGH_WATER_BYTES queued.

        `drained()` follows then. `data` may be empty, to end the response.
        """
        raise NotImplementedError

    def queue_trailers(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        """A trailer section, after the queued content; ends the response (RFC 9113 8.1). Empty `headers` just end it."""
        raise NotImplementedError

    def queued_bytes(self, stream_id: int) -> int:
        """Content of this stream that has not left through `send()`."""
        raise NotImplementedError

    def total_queued_bytes(self) -> int:
        """Content of all streams that has not left through `send()`."""
        raise NotImplementedError

    def queue_push(self, stream_id: int, head: RequestHead, authority: bytes, scheme: bytes) -> int:
        """Promise the response to `head` on a request's stream (RFC 9113 8.4). Returns the promised stream.

        `head.headers` without Host. Returns 0 when the peer does not want it, or as much is pushed as it allows.
        """
        raise NotImplementedError

    # -- ends and credit

    def reset(self, stream_id: int, error_code: int) -> None:
        """End a stream at once; what is queued on it is dropped. `closed()` follows, here or in `send()`."""
        raise NotImplementedError

    def stop_upload(self, stream_id: int) -> None:
        """The response is complete before the request: RST_STREAM(NO_ERROR) once END_STREAM has left (RFC 9113 8.1).

        Does nothing to a stream whose request is complete by then.
        """
        raise NotImplementedError

    def consume(self, stream_id: int, size_bytes: int) -> None:
        """Content of this size has been read, or dropped: the peer may send as much again (RFC 9113 6.9.1).

        What a gone stream had not consumed goes back to the connection's window by itself; later calls for it do nothing.
        """
        raise NotImplementedError

    def drop_unread(self, stream_id: int) -> None:
        """Nobody will read what has come on this stream: it goes back to the window of the connection, not to the stream's."""
        raise NotImplementedError

    def unread_bytes(self) -> int:
        """Content that has come and for which no credit is due yet: nobody has consumed it."""
        raise NotImplementedError

    def widen_window(self, size_bytes: int) -> None:
        """The peer may send so much more on the connection, from now on; the windows of streams stay what they are."""
        raise NotImplementedError

    # -- the connection

    def goaway_notice(self) -> None:
        """First step of a graceful end: GOAWAY that names the last possible stream (RFC 9113 6.8). New streams still come."""
        raise NotImplementedError

    def goaway(self, error_code: int) -> None:
        """Second step, or the end: GOAWAY that names the last stream seen. Later streams of the peer are ignored."""
        raise NotImplementedError

    def peer_allows_push(self) -> bool:
        """Whether the peer would take a PUSH_PROMISE (RFC 9113 6.5.2)."""
        raise NotImplementedError

    def open_streams(self) -> int:
        """Streams that `request()` or `queue_push()` began and `closed()` has not ended."""
        raise NotImplementedError

    def is_over(self) -> bool:
        """Whether nothing more can happen: after `goaway()` or the peer's, with no stream open and nothing left to send."""
        raise NotImplementedError


class _NoSession(HTTP2Session):
    """One that has ended: knows no stream and does nothing."""

    __slots__ = ()

    def start(self) -> None:
        """See HTTP2Session."""

    def receive(self, data: bytes, now_seconds: float) -> None:
        """See HTTP2Session."""

    def send(self) -> list[bytes]:
        """See HTTP2Session."""
        return []

    def wants_send(self) -> bool:
        """See HTTP2Session."""
        return False

    def queue_head(self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]], end: bool) -> None:
        """See HTTP2Session."""

    def queue_informational(self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """See HTTP2Session."""

    def queue_data(self, stream_id: int, data: bytes, end: bool) -> bool:
        """See HTTP2Session."""
        return False

    def queue_trailers(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        """See HTTP2Session."""

    def queued_bytes(self, stream_id: int) -> int:
        """See HTTP2Session."""
        return 0

    def total_queued_bytes(self) -> int:
        """See HTTP2Session."""
        return 0

    def queue_push(self, stream_id: int, head: RequestHead, authority: bytes, scheme: bytes) -> int:
        """See HTTP2Session."""
        return 0

    def reset(self, stream_id: int, error_code: int) -> None:
        """See HTTP2Session."""

    def stop_upload(self, stream_id: int) -> None:
        """See HTTP2Session."""

    def consume(self, stream_id: int, size_bytes: int) -> None:
        """See HTTP2Session."""

    def drop_unread(self, stream_id: int) -> None:
        """See HTTP2Session."""

    def unread_bytes(self) -> int:
        """See HTTP2Session."""
        return 0

    def widen_window(self, size_bytes: int) -> None:
        """See HTTP2Session."""

    def goaway_notice(self) -> None:
        """See HTTP2Session."""

    def goaway(self, error_code: int) -> None:
        """See HTTP2Session."""

    def peer_allows_push(self) -> bool:
        """See HTTP2Session."""
        return False

    def open_streams(self) -> int:
        """See HTTP2Session."""
        return 0

    def is_over(self) -> bool:
        """See HTTP2Session."""
        return True


#: For who outlives a session, and need not ask then.
NO_SESSION: HTTP2Session = _NoSession()
