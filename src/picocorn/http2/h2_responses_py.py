"""The responses of the engine over h2: what is queued on each stream, who goes first, and how streams end.

Knows nothing of what comes in: that is `engine_h2_py.py`. This text is compiled a second time as `h2_responses_c`.
"""

from __future__ import annotations

from collections import deque

from h2.config import H2Configuration
from h2.connection import H2Connection

from ..base.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES, HTTP2Limits
from ..base.request_head_py import RequestHead
from .codes import GOAWAY, MAX_STREAM_ID, NO_ERROR
from .floods_py import Floods
from .frames_py import frame, uint32
from .session_py import HTTP2Session, SessionHandler
from .settings import SEND_BYTES

__all__ = ["H2Responses"]

#: So many streams that we have reset are remembered: what was under way to them is ignored.
REMEMBERED_RESETS = 256


class _Connection(H2Connection):
    # It remembers how each stream was closed: 65536 of them are megabytes, and we know ourselves.
    MAX_CLOSED_STREAMS = 16

    def widen(self, size_bytes: int) -> None:
        """Widen the window for all that comes. By itself it would take what has come and is not read for a smaller window."""
        window = self._inbound_flow_control_window_manager
        widest_bytes = window.max_window_size + size_bytes
        self.increment_flow_control_window(size_bytes)
        window.max_window_size = widest_bytes

    def drop(self, size_bytes: int) -> int:
        """So much of what has come is dropped. Returns how much more may come on the connection, for the caller to say."""
        return self._inbound_flow_control_window_manager.process_bytes(size_bytes) or 0


class H2Stream:
    """One stream: what its request may still send, and what of its response has not left."""

    __slots__ = (
        "above_high",
        "content_left",
        "end_queued",
        "head",
        "incremental",
        "local_done",
        "offset",
        "queue",
        "queued_bytes",
        "remote_done",
        "stop_upload",
        "stream_id",
        "trailers",
        "unconsumed_bytes",
        "urgency",
    )

    def __init__(self, stream_id: int) -> None:
        self.stream_id = stream_id
        self.remote_done = False
        self.local_done = False
        self.content_left = -1
        self.unconsumed_bytes = 0
        self.head: list[tuple[bytes, bytes]] | None = None
        self.queue: deque[bytes] = deque()
        self.offset = 0
        self.queued_bytes = 0
        self.above_high = False
        self.end_queued = False
        self.trailers: list[tuple[bytes, bytes]] | None = None
        self.stop_upload = False
        self.urgency = 3
        self.incremental = False


def _turn(stream: H2Stream) -> tuple[int, bool, int]:
    """RFC 9218 4: the urgent first; then those that are of use only as a whole, one after the other; then the others at once."""
    return (stream.urgency, stream.incremental, stream.stream_id)


class H2Responses(HTTP2Session):
    """The half of an HTTP2Session that the server's side speaks through."""

    __slots__ = (
        "_blocked",
        "_conn",
        "_ended",
        "_floods",
        "_handler",
        "_highest",
        "_last_promised",
        "_leaving",
        "_limits",
        "_made_bytes",
        "_out",
        "_peer_leaving",
        "_pushed",
        "_ready",
        "_resets",
        "_streams",
        "_total_bytes",
        "_unread_bytes",
    )

    def __init__(self, handler: SessionHandler, limits: HTTP2Limits) -> None:
        self._handler = handler
        self._limits = limits
        self._floods = Floods(limits)
        self._conn = _Connection(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_inbound_headers=False,
                normalize_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._out: list[bytes] = []
        self._streams: dict[int, H2Stream] = {}
        self._ready: dict[int, H2Stream] = {}
        self._blocked: dict[int, H2Stream] = {}
        self._resets: dict[int, None] = {}
        self._highest = 0
        self._last_promised = 0
        self._pushed = 0
        self._total_bytes = 0
        self._made_bytes = 0
        self._unread_bytes = 0
        self._ended = False
        self._leaving = False
        self._peer_leaving = False

    def _write(self, data: bytes) -> None:
        """Queue a frame of our own, behind those of h2."""
        self._flush()
        self._out.append(data)

    def _flush(self) -> None:
        pending = self._conn.data_to_send()
        if pending:
            self._out.append(pending)

    def _end(self) -> None:
        self._ended = True
        self._ready.clear()
        self._blocked.clear()

    def _unblock(self) -> None:
        if self._blocked:
            self._ready.update(self._blocked)
            self._blocked.clear()

    # -- ends of streams -----------------------------------------------------------------------------------------------

    def _remember_reset(self, stream_id: int) -> None:
        self._resets[stream_id] = None
        if len(self._resets) > REMEMBERED_RESETS:
            del self._resets[next(iter(self._resets))]

    def _forget(self, stream: H2Stream, error_code: int) -> None:
        stream_id = stream.stream_id
        self._streams.pop(stream_id)
        self._ready.pop(stream_id, None)
        self._blocked.pop(stream_id, None)
        if not stream_id & 1:
            self._pushed -= 1
        self._total_bytes -= stream.queued_bytes
        stream.queued_bytes = 0
        stream.queue.clear()
        if stream.unconsumed_bytes:
            self._unread_bytes -= stream.unconsumed_bytes
            self._conn.acknowledge_received_data(stream.unconsumed_bytes, stream_id)
            stream.unconsumed_bytes = 0
        self._handler.closed(stream_id, error_code)

    def reset(self, stream_id: int, error_code: int) -> None:
        """See HTTP2Session."""
        stream = self._streams.get(stream_id)
        if stream is None or self._ended:
            return
        self._conn.reset_stream(stream_id, error_code)
        self._remember_reset(stream_id)
        self._forget(stream, error_code)

    def stop_upload(self, stream_id: int) -> None:
        """See HTTP2Session."""
        stream = self._streams.get(stream_id)
        if stream is None or stream.remote_done:
            return
        if stream.local_done:
            self.reset(stream_id, NO_ERROR)
        else:
            stream.stop_upload = True

    def consume(self, stream_id: int, size_bytes: int) -> None:
        """See HTTP2Session."""
        stream = self._streams.get(stream_id)
        if stream is None or self._ended:
            return
        size_bytes = min(size_bytes, stream.unconsumed_bytes)
        if size_bytes > 0:
            stream.unconsumed_bytes -= size_bytes
            self._unread_bytes -= size_bytes
            self._conn.acknowledge_received_data(size_bytes, stream_id)

    # -- responses -----------------------------------------------------------------------------------------------------

    def _open_for_sending(self, stream_id: int) -> H2Stream | None:
        stream = self._streams.get(stream_id)
        return None if stream is None or stream.end_queued or self._ended else stream

    def queue_head(self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]], end: bool) -> None:
        """See HTTP2Session."""
        stream = self._open_for_sending(stream_id)
        if stream is None:
            return
        stream.head = [(b":status", b"%d" % status), *headers]
        if end:
            stream.end_queued = True
            self._ready[stream_id] = stream

    def queue_informational(self, stream_id: int, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """See HTTP2Session."""
        stream = self._open_for_sending(stream_id)
        if stream is not None:
            self._conn.send_headers(stream_id, [(b":status", b"%d" % status), *headers], False)

    def queue_data(self, stream_id: int, data: bytes, end: bool) -> bool:
        """See HTTP2Session."""
        stream = self._open_for_sending(stream_id)
        if stream is None:
            return False
        if data:
            stream.queue.append(data)
            stream.queued_bytes += len(data)
            self._total_bytes += len(data)
            if stream.queued_bytes > HIGH_WATER_BYTES:
                stream.above_high = True
        stream.end_queued = end
        if data or end or stream.head is not None:
            self._blocked.pop(stream_id, None)
            self._ready[stream_id] = stream
        return stream.above_high

    def queue_trailers(self, stream_id: int, headers: list[tuple[bytes, bytes]]) -> None:
        """See HTTP2Session."""
        stream = self._open_for_sending(stream_id)
        if stream is not None:
            stream.trailers = list(headers) or None
            stream.end_queued = True
            self._blocked.pop(stream_id, None)
            self._ready[stream_id] = stream

    def queued_bytes(self, stream_id: int) -> int:
        """See HTTP2Session."""
        stream = self._streams.get(stream_id)
        return 0 if stream is None else stream.queued_bytes

    def total_queued_bytes(self) -> int:
        """See HTTP2Session."""
        return self._total_bytes

    def queue_push(self, stream_id: int, head: RequestHead, authority: bytes, scheme: bytes) -> int:
        """See HTTP2Session."""
        conn = self._conn
        if self._open_for_sending(stream_id) is None or not stream_id & 1 or not self.peer_allows_push():
            return 0
        if self._pushed >= min(conn.remote_settings.max_concurrent_streams, self._limits.max_concurrent_streams):
            return 0
        control = [(b":method", head.method.encode()), (b":scheme", scheme), (b":authority", authority), (b":path", head.target)]
        promised_id = self._last_promised + 2
        conn.push_stream(stream_id, promised_id, control + head.headers)
        self._last_promised = promised_id
        self._pushed += 1
        stream = H2Stream(promised_id)
        stream.remote_done = True
        self._streams[promised_id] = stream
        return promised_id

    # -- bytes out -----------------------------------------------------------------------------------------------------

    def send(self) -> list[bytes]:
        """See HTTP2Session."""
        if self._ready and not self._ended:
            try:
                self._pump()
            except BaseException:
                self._end()
                raise
        self._flush()
        out = self._out
        self._out = []
        return out

    def _pump(self) -> None:
        turns = sorted(self._ready.values(), key=_turn)
        self._made_bytes = 0
        while turns and self._made_bytes < SEND_BYTES:
            again: list[H2Stream] = []
            urgency = -1
            for place, stream in enumerate(turns):
                if again and urgency < stream.urgency:
                    # Less urgent ones wait until the others have given what they may.
                    again += turns[place:]
                    break
                more = self._send_some(stream)
                while more and not stream.incremental and self._made_bytes < SEND_BYTES:
                    more = self._send_some(stream)
                if more:
                    urgency = stream.urgency
                    again.append(stream)
            turns = again

    def _send_some(self, stream: H2Stream) -> bool:
        """Send the head, or one frame of content, or the end. Returns whether there is more that may go now."""
        conn, stream_id = self._conn, stream.stream_id
        if stream_id not in self._ready:
            return False
        if stream.head is not None:
            ends = stream.end_queued and not stream.queue and stream.trailers is None
            conn.send_headers(stream_id, stream.head, ends)
            stream.head = None
            if ends:
                self._response_done(stream)
                return False
            return True
        if stream.queue:
            data = stream.queue[0]
            left = len(data) - stream.offset
            size = min(left, conn.local_flow_control_window(stream_id), conn.max_outbound_frame_size)
            if size <= 0:
                del self._ready[stream_id]
                self._blocked[stream_id] = stream
                return False
            ends = size == left and len(stream.queue) == 1 and stream.end_queued and stream.trailers is None
            piece = data if size == len(data) else memoryview(data)[stream.offset : stream.offset + size]
            conn.send_data(stream_id, piece, ends)
            stream.offset += size
            if size == left:
                stream.queue.popleft()
                stream.offset = 0
            self._sent(stream, size)
            if ends:
                self._response_done(stream)
            return not ends
        if stream.end_queued:
            if stream.trailers is not None:
                conn.send_headers(stream_id, stream.trailers, True)
            else:
                conn.end_stream(stream_id)
            self._response_done(stream)
            return False
        del self._ready[stream_id]
        return False

    def _sent(self, stream: H2Stream, size_bytes: int) -> None:
        self._floods.sent()
        stream.queued_bytes -= size_bytes
        self._total_bytes -= size_bytes
        self._made_bytes += size_bytes
        if stream.above_high and stream.queued_bytes <= LOW_WATER_BYTES:
            stream.above_high = False
            self._handler.drained(stream.stream_id)

    def _response_done(self, stream: H2Stream) -> None:
        self._ready.pop(stream.stream_id, None)
        self._floods.completed()
        stream.local_done = True
        if stream.remote_done:
            self._forget(stream, NO_ERROR)
        elif stream.stop_upload:
            self.reset(stream.stream_id, NO_ERROR)

    def wants_send(self) -> bool:
        """See HTTP2Session."""
        self._flush()
        return bool(self._out or self._ready)

    # -- the connection ------------------------------------------------------------------------------------------------

    def goaway_notice(self) -> None:
        """See HTTP2Session."""
        if not self._leaving and not self._ended:
            self._write(frame(GOAWAY, 0, 0, uint32(MAX_STREAM_ID) + bytes(4)))

    def goaway(self, error_code: int) -> None:
        """See HTTP2Session."""
        if not self._ended:
            self._leaving = True
            self._write(frame(GOAWAY, 0, 0, uint32(self._highest) + uint32(error_code)))

    def peer_allows_push(self) -> bool:
        """See HTTP2Session."""
        return not self._ended and not self._leaving and not self._peer_leaving and self._conn.remote_settings.enable_push == 1

    def open_streams(self) -> int:
        """See HTTP2Session."""
        return len(self._streams)

    def is_over(self) -> bool:
        """See HTTP2Session."""
        if self._ended:
            return True
        return (self._leaving or self._peer_leaving) and not self._streams and not self.wants_send()
