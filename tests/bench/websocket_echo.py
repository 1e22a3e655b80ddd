"""Servers that echo or broadcast as they should, by the `websockets` package: what the suite's own clients are tried on."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

#: it logs connections that are ended without a word, which the clients do
LOGGER = logging.getLogger("websocket_echo")
LOGGER.disabled = True


def _echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


class Room:
    """Passes on what one member says to all others, once all are there: handshakes are answered before it is asked."""

    def __init__(self, size: int) -> None:
        self.members: list[ServerConnection] = []
        self.complete = threading.Barrier(size)

    def __call__(self, connection: ServerConnection) -> None:
        self.members.append(connection)
        self.complete.wait()
        for message in connection:
            for member in self.members:
                if member is not connection:
                    with contextlib.suppress(ConnectionClosed):
                        member.send(message)
        self.members.remove(connection)


@contextlib.contextmanager
def echoing(*, deflate: bool = False, room: int = 0) -> Iterator[int]:
    """A server until the block ends, with a `room` for so many, if any, to talk to each other; gives its port."""
    handler = Room(room) if room else _echo
    compression = "deflate" if deflate else None
    with serve(handler, "127.0.0.1", 0, compression=compression, max_size=None, logger=LOGGER) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.socket.getsockname()[1]
        finally:
            server.shutdown()
            thread.join()
