"""What a service manager hears, for tests: the datagrams of sd_notify(3)."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from raw_client import DEADLINE_SECONDS

__all__ = ["Manager", "listening_manager"]


class Manager:
    """A service manager's end."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self._sock = sock
        #: value of NOTIFY_SOCKET
        self.address = address

    def hear(self) -> dict[str, str]:
        """The next message."""
        lines = self._sock.recv(4096).decode().split("\n")
        return dict(line.split("=", 1) for line in lines)

    def hear_until(self, name: str) -> dict[str, str]:
        """The next message that has `name`."""
        while name not in (message := self.hear()):
            pass
        return message

    def rest(self) -> list[dict[str, str]]:
        """The messages that wait to be heard."""
        found = []
        self._sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.hear())
        self._sock.settimeout(DEADLINE_SECONDS)
        return found


@contextlib.contextmanager
def listening_manager(address: str) -> Iterator[Manager]:
    """A manager that listens at `address`: a path, or @name for an abstract one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("\0" + address[1:] if address.startswith("@") else address)
        sock.settimeout(DEADLINE_SECONDS)
        yield Manager(sock, address)
