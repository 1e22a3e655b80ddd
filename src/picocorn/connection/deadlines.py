"""What a connection's one deadline can be for. Plain ints, so that both bodies of a connection compare them cheaply."""

from __future__ import annotations

__all__ = ["KEEP_ALIVE", "LINGER", "NO_DEADLINE", "REQUEST_BODY", "REQUEST_HEAD"]

NO_DEADLINE = 0
REQUEST_HEAD = 1
KEEP_ALIVE = 2
REQUEST_BODY = 3
LINGER = 4
