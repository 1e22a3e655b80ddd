"""The numbers of the WebSocket wire: opcodes, which are the reader's events too, and close codes. Knows no rule but one.

Plain ints, so that both twins compare them cheaply.
"""

from __future__ import annotations

__all__ = [
    "ABNORMAL_CLOSURE",
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "GOING_AWAY",
    "INTERNAL_ERROR",
    "INVALID_PAYLOAD",
    "MESSAGE_TOO_BIG",
    "NEED_DATA",
    "NORMAL_CLOSURE",
    "NO_STATUS_RECEIVED",
    "PING",
    "PONG",
    "PROTOCOL_ERROR",
    "SERVICE_RESTART",
    "TEXT",
    "may_be_sent",
]

# RFC 6455 5.2. As an event each says what has come; a fragment is no event, so its number is free for "nothing yet".
CONTINUATION = 0
TEXT = 1
BINARY = 2
CLOSE = 8
PING = 9
PONG = 10

NEED_DATA = 0

# RFC 6455 7.4.1 and the registry that it begins; those that a server has a use for.
NORMAL_CLOSURE = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
#: Never on the wire: stands for a close frame without a code.
NO_STATUS_RECEIVED = 1005
#: Never on the wire: stands for a connection that ended without a close frame.
ABNORMAL_CLOSURE = 1006
INVALID_PAYLOAD = 1007
MESSAGE_TOO_BIG = 1009
INTERNAL_ERROR = 1011
SERVICE_RESTART = 1012


def may_be_sent(code: int) -> bool:
    """Whether a close frame may carry `code`, in either direction (RFC 6455 7.4).

    1000 to 1014 without those that are reserved (1004) or stand for something else (1005, 1006), and what libraries (3000
    to 3999) and applications (4000 to 4999) have to themselves. Nothing between 1015 and 2999 is defined to be sent.
    """
    return 3000 <= code <= 4999 or (1000 <= code <= 1014 and not 1004 <= code <= 1006)
