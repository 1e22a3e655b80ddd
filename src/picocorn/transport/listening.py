"""What every listening server has in common, whoever accepts for it. Knows no way of accepting."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from types import TracebackType
    from typing import Self

__all__ = ["ListeningServer"]


class ListeningServer:
    """Listening sockets that are open until `close()`. See `interface.Server`."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sockets: tuple[socket.socket, ...]) -> None:
        self._loop = loop
        self._sockets = sockets
        self._closed: asyncio.Future[None] = loop.create_future()

    def _stop(self) -> None:
        """Stop accepting and close the sockets."""
        raise NotImplementedError

    async def accept_waiting(self) -> None:
        """Accept all who have connected by now: `close()` sends away who has not been accepted yet."""
        raise NotImplementedError

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        """The listening sockets, empty after `close()`."""
        return self._sockets

    def close(self) -> None:
        """Stop accepting and close the listening sockets. Connections stay. Doing it again does nothing."""
        if not self._sockets:
            return
        self._sockets = ()
        self._stop()
        if not self._closed.done():
            self._closed.set_result(None)

    async def wait_closed(self) -> None:
        """Wait until `close()` was called.

        Does not wait for connections, on any loop: asyncio's own server does from Python 3.12.1 on and not before, uvloop's
        never; who counts its connections knows when they are gone.
        """
        if self._sockets:
            # Several may wait, and one that is cancelled must not take the others along.
            await asyncio.shield(self._closed)

    def is_serving(self) -> bool:
        """Whether connections are accepted."""
        return bool(self._sockets)

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop the connections live on."""
        return self._loop

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()
