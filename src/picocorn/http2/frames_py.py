"""Cuts the bytes of a connection into frames and judges their form (RFC 9113 4 and 6). For the engine over h2.

h2 ends the connection for much that should end a stream, and forgets what it has found before an error; so it is given one
well-formed frame after the other. Knows no stream and no compression. This text is compiled a second time as `frames_c`.
"""

from __future__ import annotations

from .codes import (
    ACK,
    CONNECTION_PREFACE,
    CONTINUATION,
    DATA,
    END_HEADERS,
    FRAME_HEADER_BYTES,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from .verdicts import http2_error

__all__ = ["FrameReader", "frame", "uint32"]

PREFACE_BYTES = len(CONNECTION_PREFACE)
HEADER_BYTES = FRAME_HEADER_BYTES
#: What a PRIORITY frame says, and a HEADERS frame with that flag (RFC 9113 6.2, 6.3).
PRIORITY_BYTES = 5
#: The fixed beginnings of GOAWAY and PRIORITY_UPDATE.
GOAWAY_BYTES = 8
PRIORITY_UPDATE_BYTES = 4
#: Frame types that belong to a stream, and to the connection.
_ON_STREAM = frozenset((DATA, HEADERS, PRIORITY, RST_STREAM, PUSH_PROMISE, CONTINUATION))
_ON_CONNECTION = frozenset((SETTINGS, PING, GOAWAY, PRIORITY_UPDATE))
#: Payloads of a fixed size.
_SIZES = {PRIORITY: PRIORITY_BYTES, RST_STREAM: 4, PING: 8, WINDOW_UPDATE: 4}


def uint32(value: int) -> bytes:
    """Four bytes, as most numbers in payloads are written."""
    return value.to_bytes(4, "big")


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    """One frame as it goes over the wire."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + uint32(stream_id) + payload


class FrameReader:
    """Bytes in through `feed()`, frames out through `next_frame()`.

    After each: `kind`, `flags`, `stream_id`, `payload` as sent. For DATA `content` is without padding. For HEADERS `content` is
    the whole field block, of the CONTINUATION frames too.
    """

    __slots__ = (
        "_block",
        "_block_flags",
        "_block_stream",
        "_buffer",
        "_pos",
        "_started",
        "content",
        "flags",
        "kind",
        "payload",
        "stream_id",
    )

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._pos = 0
        self._started = 0  # 0 before the preface, 1 before the first frame, 2 then
        self._block: bytearray | None = None
        self._block_flags = 0
        self._block_stream = 0
        self.kind = 0
        self.flags = 0
        self.stream_id = 0
        self.payload = b""
        self.content = b""

    def feed(self, data: bytes) -> None:
        """Keep `data` for `next_frame`."""
        if self._pos:
            del self._buffer[: self._pos]
            self._pos = 0
        self._buffer += data

    def next_frame(self) -> bool:
        """Read the next frame; False when bytes are missing. Raises HTTP2Error for what is none, or none that may stand here."""
        while True:
            buffer = self._buffer
            if not self._started:
                size = min(len(buffer), PREFACE_BYTES)
                if buffer[:size] != CONNECTION_PREFACE[:size]:
                    raise http2_error("PREFACE")
                if size < PREFACE_BYTES:
                    return False
                self._started = 1
                self._pos = PREFACE_BYTES
            pos = self._pos
            if len(buffer) - pos < HEADER_BYTES:
                return False
            length = buffer[pos] << 16 | buffer[pos + 1] << 8 | buffer[pos + 2]
            self.kind = buffer[pos + 3]
            self.flags = buffer[pos + 4]
            self.stream_id = int.from_bytes(buffer[pos + 5 : pos + 9], "big") & 0x7FFFFFFF
            self._judge(length)
            end = pos + HEADER_BYTES + length
            if len(buffer) < end:
                return False
            self._started = 2
            self.payload = bytes(buffer[pos + HEADER_BYTES : end])
            self._pos = end
            if self.kind == DATA:
                self.content = self._without_padding()
                return True
            if self.kind not in (HEADERS, CONTINUATION) or self._take_block():
                return True

    def _judge(self, length: int) -> None:
        """The rules for a frame that its header decides, so the same bytes have the same verdict however they are split."""
        kind = self.kind
        if self._started == 1 and (kind != SETTINGS or self.flags & ACK):
            raise http2_error("PREFACE")
        if (self._block is not None) != (kind == CONTINUATION):
            raise http2_error("FRAME_ORDER")
        if kind == PUSH_PROMISE:
            raise http2_error("PUSH_PROMISE")
        if kind in _ON_STREAM:
            if not self.stream_id:
                raise http2_error("FRAME_STREAM")
        elif kind in _ON_CONNECTION and self.stream_id:
            raise http2_error("FRAME_STREAM")
        if (
            (kind in _SIZES and length != _SIZES[kind])
            or (kind == SETTINGS and (length % 6 or (self.flags & ACK and length)))
            or (kind == GOAWAY and length < GOAWAY_BYTES)
            or (kind == PRIORITY_UPDATE and length < PRIORITY_UPDATE_BYTES)
        ):
            raise http2_error("FRAME_LENGTH")

    def _take_block(self) -> bool:
        if self._block is None:
            content = self._without_padding()
            if self.flags & PRIORITY_FLAG:
                if len(content) < PRIORITY_BYTES:
                    raise http2_error("FRAME_LENGTH")
                content = content[PRIORITY_BYTES:]
            if self.flags & END_HEADERS:
                self.content = content
                return True
            self._block = bytearray(content)
            self._block_flags = self.flags
            self._block_stream = self.stream_id
            return False
        if self.stream_id != self._block_stream:
            raise http2_error("FRAME_ORDER")
        self._block += self.payload
        if not self.flags & END_HEADERS:
            return False
        self.kind = HEADERS
        self.flags = self._block_flags | END_HEADERS
        self.content = bytes(self._block)
        self._block = None
        return True

    def _without_padding(self) -> bytes:
        payload = self.payload
        if not self.flags & PADDED:
            return payload
        if not payload:
            raise http2_error("FRAME_LENGTH")
        size = len(payload) - 1 - payload[0]
        if size < 0:
            raise http2_error("PADDING")
        return payload[1 : 1 + size]
