"""Stands in front of either engine and looks at frame headers alone: what is too large, too many or for nothing ends it all.

Counts in leaky buckets (RFC 9113 10.5). Knows no payload and no stream. This text is compiled a second time as `floods_c`.
"""

from __future__ import annotations

from ..base.limits import HTTP2Limits
from .codes import (
    CONNECTION_PREFACE,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEADER_BYTES,
    HEADERS,
    RST_STREAM,
    WINDOW_UPDATE,
)

__all__ = ["Floods"]

#: A DATA frame sent may be answered by so many WINDOW_UPDATEs: for the stream, for the connection, and one for luck.
UPDATES_PER_FRAME = 3
PREFACE_BYTES = len(CONNECTION_PREFACE)
HEADER_BYTES = FRAME_HEADER_BYTES


class Floods:
    """The counters of one connection.

    Every byte that comes goes through `scan()` first; the engine tells what goes out through `sent()`, `reset()` and
    `completed()`.
    """

    __slots__ = (
        "_block_bytes",
        "_continuations",
        "_control",
        "_control_burst",
        "_control_rate",
        "_header",
        "_last_seconds",
        "_max_block_bytes",
        "_max_continuations",
        "_max_frame_bytes",
        "_resets",
        "_resets_burst",
        "_resets_rate",
        "_skip_bytes",
        "_updates",
        "_updates_burst",
        "_updates_rate",
        "verdict",
    )

    def __init__(self, limits: HTTP2Limits) -> None:
        self._max_frame_bytes = limits.max_frame_bytes
        self._max_continuations = limits.continuation_frames
        # Compression makes a section smaller; whose is larger than the limit even so has other plans.
        self._max_block_bytes = 2 * limits.header_list_bytes
        self._control_burst = limits.control_frames_burst
        self._control_rate = limits.control_frames_per_second
        self._updates_burst = limits.window_updates_burst
        self._updates_rate = limits.window_updates_per_second
        self._resets_burst = limits.resets_burst
        self._resets_rate = limits.resets_per_second
        self._control = 0.0
        self._updates = 0.0
        self._resets = 0.0
        self._last_seconds = 0.0
        self._skip_bytes = PREFACE_BYTES
        self._header = b""
        self._continuations = 0
        self._block_bytes = 0
        #: The name of what has been found against the peer, a key of `verdicts.CONNECTION_VERDICTS`; "" for nothing.
        self.verdict = ""

    def scan(self, data: bytes, now_seconds: float) -> int:
        """Look at the frame headers in the next bytes. Returns how many of them are good: all, unless `verdict` is set."""
        if now_seconds != self._last_seconds:
            self._leak(now_seconds - self._last_seconds)
            self._last_seconds = now_seconds
        size = len(data)
        pos = 0
        while True:
            if self._skip_bytes:
                if size - pos <= self._skip_bytes:
                    self._skip_bytes -= size - pos
                    return size
                pos += self._skip_bytes
                self._skip_bytes = 0
            start = pos
            header = data
            at = pos
            if self._header or size - pos < HEADER_BYTES:
                # A header in pieces.
                missing = HEADER_BYTES - len(self._header)
                self._header += data[pos : pos + missing]
                if size - pos < missing:
                    return size
                header = self._header
                at = 0
                pos += missing
                self._header = b""
            else:
                pos += HEADER_BYTES
            length = header[at] << 16 | header[at + 1] << 8 | header[at + 2]
            if not self._judge(length, header[at + 3], header[at + 4]):
                return start
            self._skip_bytes = length

    def _leak(self, seconds: float) -> None:
        if seconds > 0:
            if self._control > 0:
                self._control = max(0.0, self._control - seconds * self._control_rate)
            if self._updates > 0:
                self._updates = max(0.0, self._updates - seconds * self._updates_rate)
            if self._resets > 0:
                self._resets = max(0.0, self._resets - seconds * self._resets_rate)

    def _judge(self, length: int, kind: int, flags: int) -> bool:
        """Whether the connection may go on after this frame header."""
        if length > self._max_frame_bytes:
            self.verdict = "FRAME_TOO_LARGE"
        elif kind == DATA:
            # Small ones are not counted. What a byte on the wire makes us work is bounded by what it costs the client: frames of
            # one byte come to 10 ns a byte over libnghttp2 (900 over h2), where HTTP/1.1's chunks of one byte take 6 and the
            # smallest requests, which nobody can refuse, 385 (4300). They are one message and one wake-up for all that is read
            # at once, and one buffer when nobody reads. Messages of gRPC, 5 to 200 bytes each without an end, look the same.
            if not length and not flags & END_STREAM:
                self._count_control()
        elif kind == HEADERS:
            self._continuations = 0
            self._block_bytes = length
            if not length and not flags & END_HEADERS:
                self._count_control()
        elif kind == CONTINUATION:
            self._continuations += 1
            self._block_bytes += length
            if self._continuations > self._max_continuations or self._block_bytes > self._max_block_bytes:
                self.verdict = "CONTINUATION_FLOOD"
            elif not length:
                self._count_control()
        elif kind == WINDOW_UPDATE:
            self._updates += 1
            if self._updates > self._updates_burst:
                self.verdict = "WINDOW_UPDATE_FLOOD"
        elif kind == RST_STREAM:
            self.reset()
        else:
            self._count_control()
        return not self.verdict

    def _count_control(self) -> None:
        self._control += 1
        if self._control > self._control_burst:
            self.verdict = "CONTROL_FLOOD"

    # -- what goes out

    def sent(self) -> None:
        """A frame of content has been sent: it may be answered, by credit and by pings that measure the way."""
        if self._updates > 0:
            self._updates = max(0.0, self._updates - UPDATES_PER_FRAME)
        if self._control > 0:
            self._control = max(0.0, self._control - 1)

    def completed(self) -> None:
        """A response has been sent to its end."""
        if self._resets > 0:
            self._resets = max(0.0, self._resets - 1)

    def reset(self) -> bool:
        """A stream has been reset by the peer, or by us for what the peer did. Returns whether it may go on."""
        self._resets += 1
        if self._resets > self._resets_burst:
            self.verdict = "RESET_FLOOD"
            return False
        return True
