"""HTTP2Session over the h2 package: its state machines, windows and settings, behind our own rules for requests.

What h2 would answer by ending the connection though a stream would do, or keeps too much of, is judged before it sees it; so it
is fed one frame at a time, and field sections are decoded here. Knows no asyncio and no ASGI. This text is compiled a second
time as `engine_h2_c`.
"""

from __future__ import annotations

from h2.events import StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder
from hpack.exceptions import HPACKError, OversizedHeaderListError

from ..base.errors import HTTP2Error
from ..base.limits import HTTP2Limits
from .codes import (
    ACK,
    CONNECTION_PREFACE,
    DATA,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_STREAM_ID,
    NO_ERROR,
    PING,
    PRIORITY_UPDATE,
    PROTOCOL_ERROR,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from .frames_py import FrameReader, frame, uint32
from .h2_responses_py import H2Responses, H2Stream
from .heads_py import HeadBuilder, judge_field, read_priority
from .session_py import SessionHandler
from .settings import DEFAULT_HEADER_TABLE_BYTES, DEFAULT_WINDOW_BYTES, HARD_LIMIT_FACTOR, initial_settings
from .verdicts import REFUSALS, STREAM_VERDICTS, engine_error, http2_error

__all__ = ["H2Engine"]

#: Settings of the peer that h2 is told of; it would keep all others too, of which there are 65536.
_KNOWN_SETTINGS = (HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE)
#: As many as a frame of settings has is no reason to send more.
MAX_SETTINGS = 32
SETTING_BYTES = 6


class H2Engine(H2Responses):
    """See HTTP2Session."""

    __slots__ = ("_builder", "_decoder", "_reader", "_stray_bytes")

    def __init__(self, handler: SessionHandler, limits: HTTP2Limits) -> None:
        super().__init__(handler, limits)
        self._reader = FrameReader()
        self._builder = HeadBuilder(limits)
        self._decoder = Decoder(limits.header_list_bytes * HARD_LIMIT_FACTOR)
        self._decoder.max_allowed_table_size = max(limits.header_table_bytes, DEFAULT_HEADER_TABLE_BYTES)
        self._stray_bytes = 0

    # -- bytes in ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """See HTTP2Session."""
        conn, limits = self._conn, self._limits
        # How many streams there may be is our business: h2 would end the connection.
        initial = {
            SettingCodes.MAX_CONCURRENT_STREAMS: MAX_STREAM_ID,
            SettingCodes.INITIAL_WINDOW_SIZE: limits.stream_window_bytes,
        }
        conn.local_settings = Settings(client=False, initial_values=initial)
        conn.max_inbound_frame_size = limits.max_frame_bytes
        conn.initiate_connection()
        conn.receive_data(CONNECTION_PREFACE)
        conn.clear_outbound_data_buffer()
        payload = b"".join([code.to_bytes(2, "big") + uint32(value) for code, value in initial_settings(limits)])
        self._write(frame(SETTINGS, 0, 0, payload))
        if limits.connection_window_bytes > DEFAULT_WINDOW_BYTES:
            conn.increment_flow_control_window(limits.connection_window_bytes - DEFAULT_WINDOW_BYTES)

    def receive(self, data: bytes, now_seconds: float) -> None:
        """See HTTP2Session."""
        if self._ended:
            return
        try:
            good = self._floods.scan(data, now_seconds)
            reader = self._reader
            reader.feed(data if good == len(data) else data[:good])
            while reader.next_frame():
                self._take_frame(reader)
            if self._floods.verdict:
                raise http2_error(self._floods.verdict)
        except HTTP2Error as error:
            if not self._ended:
                self.goaway(error.error_code)
            self._end()
            raise
        except BaseException:
            self._end()
            raise

    def drop_unread(self, stream_id: int) -> None:
        """See HTTP2Session."""
        stream = self._streams.get(stream_id)
        if stream is None or self._ended:
            return
        size_bytes = stream.unconsumed_bytes
        if size_bytes:
            stream.unconsumed_bytes = 0
            self._unread_bytes -= size_bytes
            credit_bytes = self._conn.drop(size_bytes)
            if credit_bytes:
                self._write(frame(WINDOW_UPDATE, 0, 0, uint32(credit_bytes)))

    def unread_bytes(self) -> int:
        """See HTTP2Session."""
        # What came for streams that are gone takes up the window as well, until there is enough of it for a frame.
        return self._unread_bytes + self._stray_bytes

    def widen_window(self, size_bytes: int) -> None:
        """See HTTP2Session."""
        if not self._ended:
            self._conn.widen(size_bytes)

    def _feed(self, kind: int, flags: int, stream_id: int, payload: bytes) -> list[object]:
        """Let h2 see a frame."""
        try:
            return self._conn.receive_data(frame(kind, flags, stream_id, payload))  # type: ignore[return-value]
        except ProtocolError as error:
            # It has queued GOAWAY itself.
            self._ended = True
            raise engine_error(int(error.error_code), f"h2: {type(error).__name__}") from error

    def _take_frame(self, reader: FrameReader) -> None:
        kind = reader.kind
        if kind == HEADERS:
            self._take_headers(reader)
        elif kind == DATA:
            self._take_data(reader)
        elif kind == RST_STREAM:
            self._take_reset(reader)
        elif kind == WINDOW_UPDATE:
            self._take_window_update(reader)
        elif kind == SETTINGS:
            self._take_settings(reader)
        elif kind == PING:
            self._feed(kind, reader.flags, 0, reader.payload)
        elif kind == PRIORITY_UPDATE:
            stream_id = int.from_bytes(reader.payload[:4], "big") & MAX_STREAM_ID
            if not stream_id:
                raise http2_error("FRAME_STREAM")
            if not stream_id & 1 and stream_id > self._last_promised:
                # RFC 9218 7.1: what has not been promised cannot be urgent.
                raise http2_error("STREAM_IDLE")
            stream = self._streams.get(stream_id)
            if stream is not None:
                stream.urgency, stream.incremental = read_priority(reader.payload[4:])
        elif kind == GOAWAY:
            self._peer_leaving = True
            last = int.from_bytes(reader.payload[:4], "big") & MAX_STREAM_ID
            self._handler.goaway(int.from_bytes(reader.payload[4:8], "big"), last)

    def _take_headers(self, reader: FrameReader) -> None:
        stream_id, end = reader.stream_id, bool(reader.flags & END_STREAM)
        stream = self._streams.get(stream_id)
        if stream is not None:
            if stream.remote_done:
                raise http2_error("STREAM_CLOSED")
            self._take_trailers(stream, reader.content, end)
            return
        if not stream_id & 1:
            raise http2_error("FRAME_STREAM")
        if stream_id <= self._highest:
            if stream_id not in self._resets:
                raise http2_error("STREAM_CLOSED")
            self._decode(reader.content, True)
            return
        self._decode(reader.content, False)
        if self._leaving:
            # The peer knows from GOAWAY that nobody looks at it.
            return
        self._highest = stream_id
        head = self._builder.finish(end)
        verdict = self._builder.verdict
        if not verdict and len(self._streams) - self._pushed >= self._limits.max_concurrent_streams:
            verdict = "TOO_MANY_STREAMS"
        if verdict and verdict not in REFUSALS:
            self._reset_unseen(stream_id, STREAM_VERDICTS[verdict][0])
            return
        self._feed(HEADERS, END_HEADERS | (END_STREAM if end else 0), stream_id, b"")
        if verdict:
            fields = [(b":status", b"%d" % REFUSALS[verdict]), (b"content-length", b"0")]
            self._conn.send_headers(stream_id, fields, True)
            if not end:
                self._conn.reset_stream(stream_id, NO_ERROR)
                self._remember_reset(stream_id)
            return
        assert head is not None
        stream = H2Stream(stream_id)
        stream.remote_done = end
        stream.content_left = head.content_length
        stream.urgency = self._builder.urgency
        stream.incremental = self._builder.incremental
        self._streams[stream_id] = stream
        self._handler.request(stream_id, head, self._builder.protocol, self._builder.authority_present, end)

    def _decode(self, block: bytes, trailers: bool) -> None:
        """Through the decompressor, whatever becomes of the section: its state is the connection's (RFC 9113 4.3)."""
        builder = self._builder
        builder.begin(trailers)
        try:
            fields = self._decoder.decode(block, raw=True)
        except OversizedHeaderListError as error:
            raise http2_error("HEAD_MUCH_TOO_LARGE") from error
        except (HPACKError, IndexError, ValueError) as error:
            raise http2_error("COMPRESSION") from error
        for name, value in fields:
            field = (bytes(name), bytes(value))
            if not builder.add(field, judge_field(*field)):
                raise http2_error("HEAD_MUCH_TOO_LARGE")

    def _take_trailers(self, stream: H2Stream, block: bytes, end: bool) -> None:
        self._decode(block, True)
        verdict = self._builder.finish_trailers(end)
        if not verdict and stream.content_left > 0:
            verdict = "CONTENT_LENGTH_MISMATCH"
        if verdict:
            self._reset_for_peer(stream, STREAM_VERDICTS[verdict][0])
            return
        self._feed(HEADERS, END_HEADERS | END_STREAM, stream.stream_id, b"")
        self._request_done(stream)

    def _take_data(self, reader: FrameReader) -> None:
        stream_id, content = reader.stream_id, reader.content
        stream = self._streams.get(stream_id)
        if stream is None or stream.remote_done:
            if stream_id > self._highest or not stream_id & 1:
                if not self._leaving:
                    raise http2_error("STREAM_IDLE")
            elif stream is not None or stream_id not in self._resets:
                raise http2_error("STREAM_CLOSED")
            self._credit_stray(len(reader.payload))
            return
        end = bool(reader.flags & END_STREAM)
        if stream.content_left >= 0:
            stream.content_left -= len(content)
            if stream.content_left < 0 or (end and stream.content_left):
                self._credit_stray(len(reader.payload))
                self._reset_for_peer(stream, PROTOCOL_ERROR)
                return
        self._feed(DATA, reader.flags, stream_id, reader.payload)
        padding = len(reader.payload) - len(content)
        if padding:
            self._conn.acknowledge_received_data(padding, stream_id)
        if content:
            stream.unconsumed_bytes += len(content)
            self._unread_bytes += len(content)
            self._handler.data(stream_id, content)
        if end:
            self._request_done(stream)

    def _credit_stray(self, size_bytes: int) -> None:
        """Give back to the connection's window what came for a stream that is gone; h2 has not seen it."""
        self._stray_bytes += size_bytes
        if self._stray_bytes >= self._limits.connection_window_bytes // 4:
            self._write(frame(WINDOW_UPDATE, 0, 0, uint32(self._stray_bytes)))
            self._stray_bytes = 0

    def _request_done(self, stream: H2Stream) -> None:
        stream.remote_done = True
        self._handler.end(stream.stream_id)
        if stream.local_done:
            self._forget(stream, NO_ERROR)

    def _take_reset(self, reader: FrameReader) -> None:
        stream_id = reader.stream_id
        stream = self._streams.get(stream_id)
        if stream is None:
            self._check_begun(stream_id)
            return
        self._feed(RST_STREAM, 0, stream_id, reader.payload)
        self._forget(stream, int.from_bytes(reader.payload, "big"))

    def _check_begun(self, stream_id: int) -> None:
        """A frame for a stream that is gone is late; for one that never was, it is an error (RFC 9113 5.1)."""
        if stream_id > (self._highest if stream_id & 1 else self._last_promised) and not self._leaving:
            raise http2_error("STREAM_IDLE")

    def _take_window_update(self, reader: FrameReader) -> None:
        stream_id = reader.stream_id
        increment = int.from_bytes(reader.payload, "big") & MAX_STREAM_ID
        stream = self._streams.get(stream_id)
        if stream_id and stream is None:
            self._check_begun(stream_id)
        elif stream is not None and not increment:
            self._reset_for_peer(stream, PROTOCOL_ERROR)
        else:
            for event in self._feed(WINDOW_UPDATE, 0, stream_id, reader.payload):
                if isinstance(event, StreamReset) and stream is not None:
                    # The window grew beyond its bounds, and h2 has reset the stream.
                    self._count_reset()
                    self._remember_reset(stream_id)
                    self._forget(stream, int(event.error_code or 0))
            self._unblock()

    def _take_settings(self, reader: FrameReader) -> None:
        payload = reader.payload
        if reader.flags & ACK:
            self._decoder.max_allowed_table_size = self._limits.header_table_bytes
            self._feed(SETTINGS, reader.flags, 0, payload)
            return
        if len(payload) > MAX_SETTINGS * SETTING_BYTES:
            raise http2_error("CONTROL_FLOOD")
        known = []
        for pos in range(0, len(payload), SETTING_BYTES):
            code = int.from_bytes(payload[pos : pos + 2], "big")
            value = payload[pos + 2 : pos + SETTING_BYTES]
            if code == HEADER_TABLE_SIZE:
                # How much of it our compressor uses is up to us (RFC 7541 4.2).
                value = uint32(min(int.from_bytes(value, "big"), self._limits.header_table_bytes))
            if code in _KNOWN_SETTINGS:
                known.append(code.to_bytes(2, "big") + value)
        self._feed(SETTINGS, 0, 0, b"".join(known))
        self._unblock()

    # -- ends of streams -----------------------------------------------------------------------------------------------

    def _reset_unseen(self, stream_id: int, error_code: int) -> None:
        """Reset a stream that neither the handler nor h2 has heard of."""
        self._write(frame(RST_STREAM, 0, stream_id, uint32(error_code)))
        self._remember_reset(stream_id)
        self._count_reset()

    def _reset_for_peer(self, stream: H2Stream, error_code: int) -> None:
        """Reset a stream for what the peer has done to it."""
        self.reset(stream.stream_id, error_code)
        self._count_reset()

    def _count_reset(self) -> None:
        if not self._floods.reset():
            raise http2_error(self._floods.verdict)
