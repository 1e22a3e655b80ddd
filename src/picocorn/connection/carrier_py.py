"""What a WebSocket session may ask of the stream that carries it. An interface only: no wire format, no socket.

A connection of HTTP/1.1 after its upgrade is one; a stream of HTTP/2 or 3 after its extended CONNECT can be another. How a
handshake is answered is theirs, and so are the methods of `Wire` that write a response, for handshakes that are denied. This text
is compiled a second time as `carrier_c`, where the methods become entries of a C function table.
"""

from __future__ import annotations

from ..asgi.wire_py import Wire

__all__ = ["Carrier"]


class Carrier(Wire):
    """Bytes both ways, with back-pressure, one deadline and an end in stages. None of its methods runs application code."""

    __slots__ = ()

    def accept(self, subprotocol: str, extensions: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        """Complete the handshake; `subprotocol` and `extensions` may be empty.

        Raises LocalProtocolError, and sends nothing, for fields that may not be sent.
        """
        raise NotImplementedError

    def reject(self, status: int) -> None:
        """Answer the handshake in the server's own name, and end."""
        raise NotImplementedError

    def send_frames(self, frames: list[bytes]) -> bool:
        """Send pieces of frames, in order. Returns whether the output is blocked now."""
        raise NotImplementedError

    def sent_bytes(self) -> int:
        """The size of all frames that were ever sent."""
        raise NotImplementedError

    def unsent_bytes(self) -> int:
        """What is still on its way to the peer, as far as this end can tell."""
        raise NotImplementedError

    def stop_drains(self) -> None:
        """There is nothing more that may be sent: who waits in `drain()` gets ClientDisconnected, now and from now on."""
        raise NotImplementedError

    def set_reading(self, pause: bool) -> None:
        """Take no more from the peer, or again. Repeats are harmless."""
        raise NotImplementedError

    def arm(self, kind: int, seconds: float) -> None:
        """Have the session's `on_deadline(kind)` called in so many seconds, in place of what was armed before; 0 means never."""
        raise NotImplementedError

    def disarm(self) -> None:
        """Let no deadline pass."""
        raise NotImplementedError

    def end(self, settled: bool) -> None:
        """Close once everything is sent; in stages unless the peer is `settled`: not sending any more (RFC 9112 9.6)."""
        raise NotImplementedError

    def abort(self) -> None:
        """Close now, and drop what has not left."""
        raise NotImplementedError
