"""What we tell the peer at the beginning, and where we stop: the same for both engines (RFC 9113 6.5.2, RFC 8441, RFC 9218)."""

from __future__ import annotations

from ..base.limits import HTTP2Limits
from .codes import (
    ENABLE_CONNECT_PROTOCOL,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    NO_RFC7540_PRIORITIES,
)

__all__ = [
    "DEFAULT_HEADER_TABLE_BYTES",
    "DEFAULT_MAX_FRAME_BYTES",
    "DEFAULT_WINDOW_BYTES",
    "HARD_LIMIT_FACTOR",
    "SEND_BYTES",
    "initial_settings",
]

# What holds before anybody has said anything (RFC 9113 6.5.2).
DEFAULT_WINDOW_BYTES = 65535
DEFAULT_MAX_FRAME_BYTES = 16384
DEFAULT_HEADER_TABLE_BYTES = 4096


#: After so much content `send()` lets the transport have its say.
SEND_BYTES = 262144
#: So many times the limit of a field section is decoded to answer 431; what is larger ends the connection.
HARD_LIMIT_FACTOR = 4


def initial_settings(limits: HTTP2Limits) -> list[tuple[int, int]]:
    """(setting, value), for the first frame we send. ENABLE_PUSH is none of a server's business."""
    settings = [
        (MAX_CONCURRENT_STREAMS, limits.max_concurrent_streams),
        (INITIAL_WINDOW_SIZE, limits.stream_window_bytes),
        (MAX_HEADER_LIST_SIZE, limits.header_list_bytes),
        (ENABLE_CONNECT_PROTOCOL, 1),
        (NO_RFC7540_PRIORITIES, 1),
    ]
    if limits.max_frame_bytes != DEFAULT_MAX_FRAME_BYTES:
        settings.append((MAX_FRAME_SIZE, limits.max_frame_bytes))
    if limits.header_table_bytes != DEFAULT_HEADER_TABLE_BYTES:
        settings.append((HEADER_TABLE_SIZE, limits.header_table_bytes))
    return settings
