"""The bounds that keep one client from exhausting the server. Plain numbers, no behaviour.

Each has its setting on the command line; the defaults here are the only place where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HIGH_WATER_BYTES", "LOW_WATER_BYTES", "MAX_INT63", "HTTP1Limits", "HTTP2Limits", "WebSocketLimits"]

#: Request bodies and response queues are held to this much per connection (the figure uvicorn users know).
HIGH_WATER_BYTES = 65536
#: Writing resumes once the response queue has drained to this.
LOW_WATER_BYTES = 16384

#: Content-Length and chunk sizes beyond this are refused rather than wrapped (RFC 9112 7.1).
MAX_INT63 = 2**63 - 1


@dataclass(frozen=True, slots=True)
class HTTP1Limits:
    """Limits of one HTTP/1.1 connection, in bytes unless the name says otherwise (RFC 9110 5.4, RFC 9112 3 and 7.1.1)."""

    #: request line without its CRLF; longer is 414
    request_line_bytes: int = 8190
    #: number of field lines; more is 431
    request_fields: int = 100
    #: request line, field lines and their CRLFs together; more is 431
    request_head_bytes: int = 65536
    #: content after de-chunking, 0 means unlimited; more is 413
    request_body_bytes: int = 0
    #: empty lines tolerated before a request line (RFC 9112 2.2)
    leading_empty_lines: int = 8
    #: one chunk-size line with its extensions
    chunk_line_bytes: int = 4096
    #: all chunk extensions of one message
    chunk_extension_total_bytes: int = 16384
    #: the trailer section of one message
    trailer_bytes: int = 16384


@dataclass(frozen=True, slots=True)
class HTTP2Limits:
    """Limits of one HTTP/2 connection, in bytes unless the name says otherwise (RFC 9113 6.5.2, 6.9, 10.5).

    What a flood is made of is counted in buckets that hold `_burst` and lose `_per_second`: PINGs, SETTINGS, resets and so on
    are part of every connection's life, and only many of them in a short time are an attack.
    """

    #: streams of the peer open at the same time; more are refused
    max_concurrent_streams: int = 128
    #: a request's fields, as RFC 9113 6.5.2 counts them (32 more for each); more is 431, four times that ends the connection
    header_list_bytes: int = 65536
    #: number of a request's fields; more is 431
    request_fields: int = 100
    #: CONTINUATION frames of one field section
    continuation_frames: int = 8
    #: content of one stream that the application has not read
    stream_window_bytes: int = 262144
    #: content of all streams together that the applications have not read, as long as the connection borrows nothing
    connection_window_bytes: int = 1048576
    #: all connections of a process together may borrow so much on top, those whose streams hold half of what they have; each an
    #: eighth of it
    lent_window_bytes: int = 67108864
    #: of a frame that the peer may send (16384 to 16777215)
    max_frame_bytes: int = 16384
    #: what the peer's compression may refer back to (RFC 7541 4.2)
    header_table_bytes: int = 4096
    #: PING, SETTINGS, PRIORITY, PRIORITY_UPDATE, unknown and empty frames together
    control_frames_burst: int = 200
    control_frames_per_second: int = 20
    #: WINDOW_UPDATE; each DATA frame sent makes room for three more
    window_updates_burst: int = 1000
    window_updates_per_second: int = 100
    #: RST_STREAM in either direction; each response that was completed makes room for one more
    resets_burst: int = 200
    resets_per_second: int = 20


@dataclass(frozen=True, slots=True)
class WebSocketLimits:
    """Limits and times of one WebSocket (RFC 6455 5.5, 7.1 and 10.4; RFC 7692)."""

    #: one message, reassembled and inflated, 0 means unlimited; more is closed with 1009
    max_size_bytes: int = 16 * 1024 * 1024
    #: messages held for the application; at that many reading pauses
    max_queue: int = 32
    #: between two keep-alive pings, 0 means none
    ping_interval_seconds: float = 20.0
    #: of silence after a keep-alive ping, 0 means for ever; then 1011
    ping_timeout_seconds: float = 20.0
    #: for the peer's half of the close handshake
    close_timeout_seconds: float = 10.0
    #: accept permessage-deflate where it is offered
    deflate: bool = True
