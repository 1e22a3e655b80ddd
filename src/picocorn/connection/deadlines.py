"""What a connection's one deadline can be for. Plain ints, so that both bodies of a connection compare them cheaply."""

from __future__ import annotations

__all__ = ["CLOSE_HANDSHAKE", "KEEP_ALIVE", "LINGER", "NO_DEADLINE", "REQUEST_BODY", "REQUEST_HEAD", "SILENCE", "STALL"]

NO_DEADLINE = 0
REQUEST_HEAD = 1
KEEP_ALIVE = 2
REQUEST_BODY = 3
LINGER = 4
#: the next look at whether the peer of a WebSocket still says anything
SILENCE = 5
#: the peer's half of a WebSocket's close handshake
CLOSE_HANDSHAKE = 6
#: the next look at whether the client takes what waits for it
STALL = 7
