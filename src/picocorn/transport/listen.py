"""The one way to accept connections: the native poller where it can be used, otherwise the loop's own transports.

Knows which of the two serves a socket; nothing of what either does with it.
"""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import TYPE_CHECKING, Any

from ..base.native import half_built
from .asyncio_transport import listen_with_loop
from .listening import ListeningServer
from .memory import keep_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from .interface import Server
    from .sharing import Share

__all__ = ["PollerServer", "keep_alive", "listen", "start_listening"]

#: Silence after which the kernel asks, the time between two questions, and how many may stay unanswered.
SILENT_SECONDS = 60
PROBE_SECONDS = 15
PROBES = 4


class PollerServer(ListeningServer):
    """One listening socket served by the native poller of its loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, listener: Any) -> None:
        super().__init__(loop, (sock,))
        self._listener = listener

    def _stop(self) -> None:
        self._listener.close()

    async def accept_waiting(self) -> None:
        """See ListeningServer."""
        self._listener.accept_waiting()


async def listen(
    protocol_factory: Callable[[], Any],
    sock: socket.socket,
    *,
    backlog: int,
    native: bool,
    share: Share | None = None,
) -> Server:
    """Accept connections on `sock` and make a protocol for each with `protocol_factory`.

    `share` is this process's place among those that accept on `sock` as well: the poller then keeps their numbers of connections
    even. `sock` is a bound stream socket; the server owns it from now on. `backlog` counts connections waiting to be accepted.
    `native` asks for the poller (callers pass `base.native.NATIVE`); platforms other than Linux and loops without
    `add_reader` get the loop's own transports all the same. Raises OSError if the socket cannot listen, ImportError if the
    poller was asked for and is not built.
    """
    keep_freed_memory()
    start_listening(sock, backlog)  # here and not only in the loop: uvloop tells nobody when it fails
    if native and sys.platform == "linux":
        server = listen_with_poller(protocol_factory, sock, share)
        if server is not None:
            return server
    return await listen_with_loop(protocol_factory, sock, backlog=backlog)


def start_listening(sock: socket.socket, backlog: int) -> None:
    """Have the kernel take connections on `sock`, `backlog` of them before any is accepted. Raises OSError if it cannot.

    May be called again, also by other processes with the same socket: the last `backlog` counts.
    """
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # Handed down to every accepted socket: one call for all, and asyncio makes none for a socket created without a
        # protocol number, as most are.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        keep_alive(sock)
    sock.setblocking(False)
    sock.listen(backlog)


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel ask silent peers whether they are there (RFC 9293 3.8.4).

    One that lost its network says no goodbye: a stream that waits for its client would wait for ever. Where the intervals
    cannot be set, the system's own serve, two hours as a rule.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", SILENT_SECONDS), ("TCP_KEEPINTVL", PROBE_SECONDS), ("TCP_KEEPCNT", PROBES)):
        option = getattr(socket, name, None)
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def listen_with_poller(
    protocol_factory: Callable[[], Any], sock: socket.socket, share: Share | None = None
) -> PollerServer | None:
    """Accept on `sock`, listening and non-blocking, with the poller of the running loop. None if it cannot watch descriptors."""
    try:
        from .listener_c import Listener  # type: ignore[import-not-found]
    except ImportError as error:
        raise half_built(f"{__package__}.listener") from error
    loop = asyncio.get_running_loop()
    try:
        listener = Listener(loop, protocol_factory, sock, share)
    except NotImplementedError:
        return None
    return PollerServer(loop, sock, listener)
