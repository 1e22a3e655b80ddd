"""One WebSocket as the application sees it: `receive`, `send` and what becomes of the application's end.

Knows ASGI and the `WebSocketWire` interface; knows no frames, no HTTP version and no server. The text is compiled a second
time as `websocket_cycle_c`, so these rules exist once.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from .cycle_py import Cycle
from .websocket_wire_py import WebSocketWire

__all__ = ["WebSocketCycle", "new_websocket_cycle"]

# What `send` expects next. `websocket.accept` leads to OPEN, `websocket.http.response.start` to DENIAL and its last body
# event to DENIED; every close, by either side, to CLOSED.
CONNECTING = 0
OPEN = 1
DENIAL = 2
DENIED = 3
CLOSED = 4


class WebSocketCycle(Cycle):
    """The ASGI state of one WebSocket (asgi W1-W12, X1).

    The session calls `feed_message`, `feed_close`, `disconnect` and `wake`; the application calls `receive` and `send`.
    Application code may run inside any call into it, so every method leaves a settled state behind first; the caller
    has to do the same.
    """

    __slots__ = ("accepted", "closed", "queued_bytes", "queued_messages", "started", "state", "wire")

    def __init__(self, wire: WebSocketWire, scope: dict[str, Any]) -> None:
        self._open(wire, scope)

    def _open(self, wire: WebSocketWire, scope: dict[str, Any]) -> None:
        self.wire = wire
        self.scope = scope
        #: the application's task exists (bool, set by the session)
        self.started = False
        #: the application has accepted (bool)
        self.accepted = False
        #: nothing can be sent any more, whoever has ended it (bool)
        self.closed = False
        self.state = CONNECTING
        #: messages held for the application
        self.queued_messages = 0
        #: their size: bytes, and characters of text
        self.queued_bytes = 0

    def feed_message(self, data: str | bytes) -> None:
        """Queue one message for the application. Does not wake it: the session calls `wake` once its input is used up."""
        raise NotImplementedError

    def wake(self) -> None:
        """Let those who wait in `receive` have what there is. Application code runs inside: call it last."""
        raise NotImplementedError

    def feed_close(self, code: int, reason: str) -> None:
        """The peer or the server has closed: what `websocket.disconnect` says, after what is queued. Wakes. First call wins."""
        raise NotImplementedError

    def disconnect(self, code: int) -> None:
        """The connection is lost: as `feed_close(code, "")`. Repeats are harmless."""
        raise NotImplementedError

    def application_returned(self, result: Any) -> None:
        """See Cycle."""
        raise NotImplementedError

    def application_raised(self, error: BaseException) -> bool:
        """See Cycle."""
        raise NotImplementedError

    def receive(self) -> Awaitable[dict[str, Any]]:
        """ASGI `receive`."""
        raise NotImplementedError

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """ASGI `send`. Raises LocalProtocolError for a wrong message, ClientDisconnected when the WebSocket is closed."""
        raise NotImplementedError


def new_websocket_cycle(wire: WebSocketWire, scope: dict[str, Any]) -> WebSocketCycle:
    """`WebSocketCycle(...)`, at half the price when compiled: without the call of a type, and its tuple of arguments."""
    cycle = WebSocketCycle.__new__(WebSocketCycle)
    cycle._open(wire, scope)
    return cycle
