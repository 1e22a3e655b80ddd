"""Opcodes and close codes are the numbers of RFC 6455; which close codes may be sent is written down here once more."""

from __future__ import annotations

from picocorn.websocket import opcodes
from picocorn.websocket.opcodes import may_be_sent


def test_opcodes() -> None:
    names = ("CONTINUATION", "TEXT", "BINARY", "CLOSE", "PING", "PONG", "NEED_DATA")
    assert [getattr(opcodes, name) for name in names] == [0, 1, 2, 8, 9, 10, 0]


def test_may_be_sent() -> None:
    allowed = {1000, 1001, 1002, 1003, *range(1007, 1015), *range(3000, 5000)}
    assert {code for code in range(-10, 70000) if may_be_sent(code)} == allowed


def test_what_stands_for_no_frame_is_never_sent() -> None:
    assert not may_be_sent(opcodes.NO_STATUS_RECEIVED)
    assert not may_be_sent(opcodes.ABNORMAL_CLOSURE)
    for name in ("NORMAL_CLOSURE", "GOING_AWAY", "PROTOCOL_ERROR", "INVALID_PAYLOAD", "MESSAGE_TOO_BIG", "INTERNAL_ERROR"):
        assert may_be_sent(getattr(opcodes, name)), name
    assert may_be_sent(opcodes.SERVICE_RESTART)
