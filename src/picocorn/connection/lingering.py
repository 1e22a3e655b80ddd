"""Bounds of the lingering close (RFC 9112 9.6): how long and how much is read and dropped after the last answer."""

from __future__ import annotations

__all__ = ["LINGER_BYTES", "LINGER_SECONDS"]

#: A client that is still sending has this long to notice our answer.
LINGER_SECONDS = 5.0
#: And may send this much meanwhile; more than the largest burst a well-meaning client has under way.
LINGER_BYTES = 16 * 1024 * 1024
