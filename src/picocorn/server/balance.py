"""Which sockets each worker accepts on: the same for all, or one of its own for each (SO_REUSEPORT).

The supervisor holds all of them, open for as long as it lives: connections that a dead worker has not accepted yet wait for
its replacement. Knows sockets and the options that lead to them; no process.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Sequence

from ..base.errors import ConfigError
from ..base.native import NATIVE
from ..transport.listen import start_listening
from ..transport.sharing import ShareTable
from .binding import Listening, addresses_of, own_sockets
from .config import Config
from .sockets import UnixSocketFile

__all__ = ["REUSEPORT", "SHARED", "Sockets", "files_of"]

SHARED = "shared"
REUSEPORT = "reuseport"


class Sockets:
    """The sockets of a server with workers. Raises OSError if they cannot be bound, ConfigError for what this platform has not.

    `inherited` are groups of sockets of a server that this one takes over from: then nothing is bound.
    """

    def __init__(self, config: Config, inherited: Sequence[Sequence[socket.socket]] = ()) -> None:
        self._config = config
        #: of Unix sockets
        self._files: list[UnixSocketFile] = []
        #: one list of sockets for all workers, or one for each
        self._groups: list[list[socket.socket]] = [list(group) for group in inherited]
        #: what workers keep the numbers of their connections in
        self.table: ShareTable | None = None
        self.is_shared = not _wants_reuseport(config) or (bool(inherited) and not _may_have_siblings(inherited[0]))
        if inherited:
            self._files = files_of(config, inherited[0])
        elif self.is_shared:
            self._take(own_sockets(config))
        else:
            # Without the option first: it would bind beside another server of the same user, and take half its connections.
            own_sockets(config).close()
            # The others listen when their workers do: what the kernel gave to them now would wait for the slowest.
            self._take(own_sockets(config, reuse_port=True))

        if self.is_shared and NATIVE and hasattr(os, "memfd_create"):
            self.table = ShareTable()

    def _take(self, listening: Listening) -> None:
        """Have the kernel take connections already, which wait for the first worker."""
        try:
            for sock in listening.sockets:
                start_listening(sock, self._config.backlog)
        except BaseException:
            listening.close()
            raise
        self._groups.append(listening.sockets)
        self._files = listening.files

    @property
    def all(self) -> list[socket.socket]:
        """Every socket."""
        return [sock for group in self._groups for sock in group]

    @property
    def groups(self) -> list[list[socket.socket]]:
        """The sockets by worker, for a server that is to take over from this one."""
        return self._groups

    def for_workers(self, count: int) -> list[list[socket.socket]]:
        """The sockets of each of `count` workers. Binds what is missing (OSError); none is ever closed while others are open."""
        if self.is_shared:
            return [self.all for _ in range(count)]
        while len(self._groups) < count:
            self._groups.append(self._bind_another())
        # What was bound for workers that are no more still gets its share of the connections: somebody has to take them.
        return [[sock for group in self._groups[number::count] for sock in group] for number in range(count)]

    def _bind_another(self) -> list[socket.socket]:
        bound: list[socket.socket] = []
        try:
            for sibling in self._groups[0]:
                sock = socket.socket(sibling.family, sibling.type, sibling.proto)
                bound.append(sock)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                if sock.family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind(sibling.getsockname())
        except BaseException:
            for sock in bound:
                sock.close()
            raise
        return bound

    def close(self, keep_file: bool = False) -> None:
        """Close all. Remove the files of Unix sockets unless `keep_file` (somebody else accepts on them). Again: does nothing."""
        while self._files and not keep_file:
            self._files.pop().remove()
        for sock in self.all:
            sock.close()
        self._groups.clear()
        if self.table is not None:
            self.table.close()
            self.table = None

    def remove_dead_files(self) -> None:
        """Remove the files that were kept, those on whose sockets nobody accepts by now."""
        while self._files:
            self._files.pop().remove_if_dead()


def _wants_reuseport(config: Config) -> bool:
    if config.socket_balance != REUSEPORT:
        return False
    if not sys.platform.startswith("linux"):
        # Elsewhere the option means that one of the sockets gets everything, or has another name.
        raise ConfigError("Invalid value for '--socket-balance': reuseport needs Linux.")
    if any(address.kind != "tcp" for address in addresses_of(config)):
        raise ConfigError("Invalid value for '--socket-balance': reuseport needs --host and --port, or --bind host:port.")
    return True


def _may_have_siblings(group: Sequence[socket.socket]) -> bool:
    return all(
        sock.family in (socket.AF_INET, socket.AF_INET6) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)
        for sock in group
    )


def files_of(config: Config, group: Sequence[socket.socket]) -> list[UnixSocketFile]:
    """The files of Unix sockets that we bind to by our options: not of those that somebody else has passed to us."""
    ours = {address.path for address in addresses_of(config) if address.kind == "unix"}
    paths = [sock.getsockname() for sock in group if sock.family == getattr(socket, "AF_UNIX", None)]
    found = []
    for path in paths:
        # Others of us remove it when they end.
        with contextlib.suppress(OSError):
            found += [UnixSocketFile(path)] if path in ours else []
    return found
