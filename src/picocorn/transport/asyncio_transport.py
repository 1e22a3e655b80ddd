"""Listening by means of the loop's own transports: for platforms without the poller, for pure Python.

Knows asyncio's server; nothing of the poller or of HTTP. The flow-control marks are the protocol's to set, in
`connection_made`: `transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)`. Both numbers are the native
transport's defaults and asyncio's, but uvloop's low mark is 16 bytes, and only the protocol meets the transport.
"""

from __future__ import annotations

import asyncio
import functools
import socket
import sys
from typing import TYPE_CHECKING, Any

from .listening import ListeningServer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["AsyncioServer", "listen_with_loop"]

#: What asyncio is told is the backlog: it also tries as many accepts in one turn, and when the process is out of descriptors
#: each of them fails, is logged with a traceback and sets a timer: a busy loop, with a backlog of 2048.
ACCEPTS_PER_TURN = 16
#: Before the socket is closed. More than that are not waiting, they keep coming.
LAST_ACCEPTS = 4096
CONNECT_SECONDS = 0.05


class AsyncioServer(ListeningServer):
    """One listening socket served by the loop itself."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        sock: socket.socket,
        server: asyncio.AbstractServer,
        connect: Callable[[socket.socket], Awaitable[Any]],
    ) -> None:
        super().__init__(loop, (sock,))
        self._server = server
        self._connect = connect
        self._connecting: set[asyncio.Task[None]] = set()

    def _stop(self) -> None:
        self._server.close()

    async def accept_waiting(self) -> None:
        """See ListeningServer."""
        for _ in range(LAST_ACCEPTS if self._sockets else 0):
            try:
                accepted, _address = self._sockets[0].accept()
            except OSError:
                # Nobody left as a rule. No descriptor left: then nothing can be done for the rest.
                break
            task = self._loop.create_task(self._connect_accepted(accepted))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)
        if self._connecting:
            await asyncio.wait(self._connecting, timeout=CONNECT_SECONDS)

    async def _connect_accepted(self, accepted: socket.socket) -> None:
        try:
            await self._connect(accepted)
        except OSError:
            # The client has gone already: its own affair.
            accepted.close()


async def listen_with_loop(protocol_factory: Callable[[], Any], sock: socket.socket, *, backlog: int) -> AsyncioServer:
    """Accept on `sock` (bound, a stream) with `loop.create_server()`. Raises OSError if the socket cannot listen."""
    loop = asyncio.get_running_loop()
    if sock.family != getattr(socket, "AF_UNIX", None):
        server: asyncio.AbstractServer = await loop.create_server(protocol_factory, sock=sock, backlog=ACCEPTS_PER_TURN)
    else:
        server = await _create_unix_server(loop, protocol_factory, sock)
    sock.listen(backlog)  # the queue is as long as was asked for
    return AsyncioServer(loop, sock, server, functools.partial(loop.connect_accepted_socket, protocol_factory))


async def _create_unix_server(
    loop: asyncio.AbstractEventLoop, protocol_factory: Callable[[], Any], sock: socket.socket
) -> asyncio.AbstractServer:
    # The path belongs to whoever bound the socket. Python 3.13's loops would remove it on close(); a loop that does not know
    # the argument (uvloop before 0.22) does not do it either.
    options: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
    try:
        return await loop.create_unix_server(protocol_factory, sock=sock, backlog=ACCEPTS_PER_TURN, **options)
    except TypeError as error:
        if not options or "cleanup_socket" not in str(error):
            raise
        return await loop.create_unix_server(protocol_factory, sock=sock, backlog=ACCEPTS_PER_TURN)
