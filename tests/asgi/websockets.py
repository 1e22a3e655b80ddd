"""Messages of a WebSocket, and ways to bring its cycle into each state, for the tests of the cycle."""

from __future__ import annotations

from typing import Any

import pytest

from asgi.cycles import now

__all__ = ["ACCEPT", "CLOSE", "CONNECT", "body", "closed", "lost", "opened", "received", "sent", "start", "text"]

CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}


def text(data: Any) -> dict[str, Any]:
    return {"type": "websocket.send", "text": data}


def start(status: Any = 401, headers: Any = ()) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": headers}


def body(data: Any = b"", more_body: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more_body}


def closed(code: int, reason: str = "") -> dict[str, Any]:
    """What `receive` says at the end."""
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


def sent(cycle: Any, *messages: dict[str, Any]) -> list[Any]:
    """Send messages that need not wait; give all that the wire was asked for."""
    for message in messages:
        assert now(cycle.send(message)) is None
    return cycle.wire.calls


def received(cycle: Any, count: int) -> list[dict[str, Any]]:
    """So many messages that are there."""
    return [now(cycle.receive()) for _ in range(count)]


def opened(cycle: Any) -> Any:
    """Bring a cycle to where messages are exchanged, and forget how."""
    assert received(cycle, 1) == [CONNECT]
    sent(cycle, ACCEPT)
    cycle.wire.calls.clear()
    return cycle


def lost(cycle: Any, *messages: dict[str, Any]) -> None:
    """Each of these raises the OSError that says that the WebSocket is closed, and asks the wire for nothing."""
    calls = list(cycle.wire.calls)
    for message in messages:
        with pytest.raises(OSError, match="closed"):
            cycle.send(message)
    assert cycle.wire.calls == calls
