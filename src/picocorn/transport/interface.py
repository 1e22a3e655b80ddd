"""What a connection may ask of its transport and a server of its listening sockets. Types only, no behaviour.

All transports have these methods: the native one (`transport_c`), the loop's own (asyncio, uvloop), and TLS on either of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Iterable
    from types import TracebackType

__all__ = ["ConnectionProtocol", "Server", "Transport"]


class Transport(Protocol):
    """The part of `asyncio.Transport` that connections use."""

    def write(self, data: bytes | bytearray | memoryview, /) -> None:
        """Queue bytes. Never raises for a dead peer: `connection_lost` tells. Not to be called after that (uvloop raises)."""

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview], /) -> None:
        """Queue several pieces."""

    def write_eof(self) -> None:
        """End the sending direction after what is queued. RuntimeError from `write()` afterwards."""

    def can_write_eof(self) -> bool:
        """Whether each direction has an end of its own."""
        ...

    def close(self) -> None:
        """Receive no more, send what is queued, then end."""

    def abort(self) -> None:
        """End now and drop what is queued."""

    def is_closing(self) -> bool:
        """Whether `close()` or `abort()` was called or the connection was lost."""
        ...

    def pause_reading(self) -> None:
        """Deliver no more data until `resume_reading()`."""

    def resume_reading(self) -> None:
        """Deliver data again."""

    def is_reading(self) -> bool:
        """Whether data is delivered as it arrives."""
        ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Queue lengths in bytes at which `pause_writing()` and `resume_writing()` are called.

        To be called by every protocol in `connection_made`: not all loops start with `HIGH_WATER_BYTES`, `LOW_WATER_BYTES`.
        """

    def get_write_buffer_size(self) -> int:
        """Bytes that the kernel has not taken yet."""
        ...

    def get_extra_info(self, name: str, default: Any = None, /) -> Any:
        """`peername`, `sockname`, `socket`, and for TLS `ssl_object` and the like."""


class ConnectionProtocol(Protocol):
    """The callbacks, as in `asyncio.Protocol`."""

    def connection_made(self, transport: Any, /) -> None:
        """Called once, first."""

    def data_received(self, data: bytes, /) -> None:
        """Called with bytes of the connection's own."""

    def eof_received(self) -> bool | None:
        """The peer ended its sending direction. A true answer keeps ours open."""

    def connection_lost(self, exc: Exception | None, /) -> None:
        """Called once, last, from the loop; `exc` is None for an orderly end."""

    def pause_writing(self) -> None:
        """The queue is longer than the high mark."""

    def resume_writing(self) -> None:
        """The queue is no longer than the low mark."""


class Server(Protocol):
    """What `listen()` returns."""

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, empty after `close()`."""
        ...

    def close(self) -> None:
        """Stop accepting and close the listening sockets. Connections stay. Doing it again does nothing."""

    async def wait_closed(self) -> None:
        """Wait until `close()` was called. Does not wait for connections."""

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        ...

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop the connections live on."""
        ...

    async def __aenter__(self) -> Server:
        """The server itself."""
        ...

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close, and wait for it."""
