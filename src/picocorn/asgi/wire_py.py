"""What an ASGI cycle may ask of the connection that carries it. An interface only: no wire format, no socket.

HTTP/1.1, HTTP/2 and HTTP/3 each implement it once; the ASGI rules in `http_cycle_py.py` exist once for all of them.
This text is compiled a second time as `wire_c`, where the methods become entries of a C function table.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

from ..base.errors import LocalProtocolError

__all__ = ["Wire"]


class Wire:
    """One request's way back to its client.

    `write_head` only checks, serialises and holds: nothing leaves before the first `write_data`, so that head and first
    body bytes become one write and `discard_head` can still turn the response into a 500 (ASGI E4).
    """

    __slots__ = ()

    def write_head(self, status: int, headers: Iterable[Iterable[bytes]], trailers: bool) -> None:
        """Check and hold a final response head. Raises LocalProtocolError and holds nothing when it is not sendable."""
        raise NotImplementedError

    def discard_head(self) -> bool:
        """Forget a held head. Returns False when part of a final response has already left."""
        raise NotImplementedError

    def write_data(self, data: bytes, end: bool) -> bool:
        """Send content, with the held head in front. Returns True when the caller should `drain()` before more.

        Raises LocalProtocolError when the content does not fit the declared Content-Length.
        """
        raise NotImplementedError

    def write_trailers(self, headers: list[Iterable[bytes]]) -> bool:
        """End the response with a trailer section, dropped where the wire or the client cannot take one."""
        raise NotImplementedError

    def write_informational(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send an interim 1xx response, or nothing to a client that would not understand it (RFC 9110 15.2)."""
        raise NotImplementedError

    def request_body(self) -> None:
        """The application waits for content: send `100 Continue` if the client is waiting for it (RFC 9110 10.1.1)."""
        raise NotImplementedError

    def consume(self, size_bytes: int) -> None:
        """The application has taken this much content: read on if reading had stopped."""
        raise NotImplementedError

    def is_blocked(self) -> bool:
        """Whether the peer has more to read than the high-water mark already, so that `drain()` would wait."""
        raise NotImplementedError

    def drain(self) -> Awaitable[Any]:
        """Wait until the peer has taken enough. Raises ClientDisconnected when it never will."""
        raise NotImplementedError

    def fail(self) -> None:
        """End this response as broken: never a clean end (ASGI C7)."""
        raise NotImplementedError

    def push(self, path: str, headers: Iterable[Iterable[bytes]]) -> None:
        """Promise the client the response to another request (ASGI X2), or do nothing for one that does not want it.

        Raises LocalProtocolError for what cannot be promised, and on wires that have no such thing.
        """
        raise LocalProtocolError("'http.response.push' is not offered for this request.")

    def application_ended(self) -> None:
        """The application's call has ended, however. The last that is heard of it; a cancellation may be told twice."""
