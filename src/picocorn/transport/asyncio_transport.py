"""Listening by means of the loop's own transports: for TLS, for platforms without the poller, for pure Python.

Knows asyncio's server; nothing of the poller or of HTTP. The flow-control marks are the protocol's to set, in
`connection_made`: `transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)`. Both numbers are the native
transport's defaults and asyncio's, but uvloop's low mark is 16 bytes, and only the protocol meets the transport.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any

from .listening import ListeningServer

if TYPE_CHECKING:
    import ssl as ssl_module
    from collections.abc import Callable

__all__ = ["AsyncioServer", "listen_with_loop"]


class AsyncioServer(ListeningServer):
    """One listening socket served by the loop itself."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, server: asyncio.AbstractServer) -> None:
        super().__init__(loop, (sock,))
        self._server = server

    def _stop(self) -> None:
        self._server.close()


async def listen_with_loop(
    protocol_factory: Callable[[], Any], sock: socket.socket, *, backlog: int, ssl: ssl_module.SSLContext | None = None
) -> AsyncioServer:
    """Accept on `sock` (bound, a stream) with `loop.create_server()`. Raises OSError if the socket cannot listen."""
    loop = asyncio.get_running_loop()
    if sock.family != getattr(socket, "AF_UNIX", None):
        server = await loop.create_server(protocol_factory, sock=sock, backlog=backlog, ssl=ssl)
        return AsyncioServer(loop, sock, server)
    # The path belongs to whoever bound the socket. Python 3.13's loops would remove it on close(); a loop that does not know
    # the argument (uvloop before 0.22) does not do it either.
    options: dict[str, Any] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
    try:
        server = await loop.create_unix_server(protocol_factory, sock=sock, backlog=backlog, ssl=ssl, **options)
    except TypeError as error:
        if not options or "cleanup_socket" not in str(error):
            raise
        server = await loop.create_unix_server(protocol_factory, sock=sock, backlog=backlog, ssl=ssl)
    return AsyncioServer(loop, sock, server)
