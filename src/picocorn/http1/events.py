"""What `RequestParser.next_event()` can return. Plain ints, so that both twins compare them cheaply."""

from __future__ import annotations

__all__ = ["CLOSED", "DATA", "END", "HEAD", "NEED_DATA"]

NEED_DATA = 0
HEAD = 1
DATA = 2
END = 3
CLOSED = 4
