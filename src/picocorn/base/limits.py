"""The bounds that keep one client from exhausting the server. Plain numbers, no behaviour.

Each has its setting on the command line; the defaults here are the only place where they stand.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HIGH_WATER_BYTES", "LOW_WATER_BYTES", "MAX_INT63", "HTTP1Limits", "WebSocketLimits"]

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
