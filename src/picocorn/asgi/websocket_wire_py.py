"""What a WebSocket's ASGI cycle may ask of the session that carries it. An interface only: no frames, no socket.

The session implements it once, for HTTP/1.1 upgrades and for streams of later versions alike; the ASGI rules in
`websocket_cycle_py.py` stand above it. This text is compiled a second time as `websocket_wire_c`, where the methods become
entries of a C function table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

__all__ = ["WebSocketWire"]


class WebSocketWire:
    """One WebSocket's way back to its client.

    The cycle keeps the order: `accept`, then messages, then `close`; or `reject`; or a response head and its content. After
    it has told the cycle of a loss or a close (`disconnect`, `feed_close`) it is asked for nothing more but `drain`.
    """

    __slots__ = ()

    def accept(self, subprotocol: str | None, headers: Iterable[Iterable[bytes]]) -> None:
        """Complete the handshake (RFC 6455 4.2.2).

        Raises LocalProtocolError, and sends nothing, for fields and subprotocols that may not be sent.
        """
        raise NotImplementedError

    def send_message(self, data: str | bytes) -> bool:
        """Send one message: a str as text, bytes as binary. Returns True when the caller should `drain()` before more.

        Raises LocalProtocolError, and sends nothing, for text that is not Unicode (lone surrogates).
        """
        raise NotImplementedError

    def close(self, code: int, reason: str) -> None:
        """Start the close handshake (RFC 6455 7.1.2) with a `code` that may be sent; `reason` is cut to what a frame holds."""
        raise NotImplementedError

    def reject(self, status: int) -> None:
        """Answer the handshake with a response of the server's own, 403 or 500, and end the connection."""
        raise NotImplementedError

    def write_response_head(self, status: int, headers: Iterable[Iterable[bytes]]) -> None:
        """Check and hold the head of a denial response (ASGI X1). Raises LocalProtocolError, holding nothing, if not sendable."""
        raise NotImplementedError

    def write_response_body(self, data: bytes, end: bool) -> bool:
        """Send content of a denial response, with the held head in front. Returns True when the caller should `drain()`.

        Raises LocalProtocolError when the content does not fit the declared Content-Length.
        """
        raise NotImplementedError

    def consume(self) -> None:
        """The application has taken a message: read on if reading had stopped."""
        raise NotImplementedError

    def is_blocked(self) -> bool:
        """Whether the peer has more to read than the high-water mark already, so that `drain()` would wait."""
        raise NotImplementedError

    def drain(self) -> Awaitable[Any]:
        """Wait until the peer has taken enough. Raises ClientDisconnected when it never will."""
        raise NotImplementedError

    def fail(self) -> None:
        """End an unfinished denial response: with a 500 if nothing of it has left, never as if it were complete (ASGI C7)."""
        raise NotImplementedError

    def application_ended(self) -> None:
        """The application's call has ended, however. The last that is heard of it; a cancellation may be told twice."""
