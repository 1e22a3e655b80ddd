"""Listening sockets: bound from host and port, from a path, or taken over from a descriptor. Knows no event loop and no log."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys

__all__ = ["UnixSocketFile", "adopt_fd", "bind_tcp", "bind_unix", "describe"]

#: Of a socket file that was not there before: whoever can reach its folder may connect.
UNIX_SOCKET_MODE = 0o666


def bind_tcp(host: str | None, port: int, reuse_port: bool = False) -> list[socket.socket]:
    """Bind to every address that `host` has; None or "" means all interfaces. Port 0 picks one port for all of them.

    `reuse_port` allows more sockets with this option to be bound to the same (SO_REUSEPORT).

    Raises OSError that names the address.
    """
    flags = socket.AI_PASSIVE
    try:
        found = socket.getaddrinfo(host or None, port, family=socket.AF_UNSPEC, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror as error:
        raise socket.gaierror(error.errno, f"{error.strerror}: {host}") from None
    except UnicodeError as error:
        # What the IDNA codec says of a name with empty or long labels.
        raise OSError(f"{host!r} is no host name: {error}") from None
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _name, address in dict.fromkeys(found):
            try:
                sock = socket.socket(family, kind, protocol)
            except OSError as error:
                # A family that getaddrinfo knows and the kernel was built without.
                if error.errno in (errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT) and len(found) > 1:
                    continue
                raise
            sockets.append(sock)
            if port == 0 and len(sockets) > 1:
                address = (address[0], sockets[0].getsockname()[1], *address[2:])
            _bind(sock, address, reuse_port)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bind(sock: socket.socket, address: tuple[object, ...], reuse_port: bool) -> None:
    if os.name == "posix" and sys.platform != "cygwin":
        # On Windows the option means something else: two servers on one port.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sock.family == socket.AF_INET6 and hasattr(socket, "IPPROTO_IPV6"):
        # The IPv4 half of "all interfaces" has a socket of its own.
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        sock.bind(address)
    except OSError as error:
        # Word for word what asyncio says: people search for it.
        reason = os.strerror(error.errno or 0).lower()
        raise OSError(error.errno, f"error while attempting to bind on address {address!r}: {reason}") from None


class UnixSocketFile:
    """The file of a Unix socket that we have bound: removed at the end, unless somebody else's has taken its place."""

    def __init__(self, path: str) -> None:
        self.path = path
        status = os.stat(path)
        self._identity = (status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Remove the file if it is still ours. Doing it again does nothing."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                os.remove(self.path)


def bind_unix(path: str) -> tuple[socket.socket, UnixSocketFile]:
    """Bind to a path. A socket that lies there is replaced, and its mode kept. Raises OSError that names the path."""
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(f"no Unix domain sockets on this platform: {path}")
    mode = UNIX_SOCKET_MODE
    with contextlib.suppress(FileNotFoundError):
        status = os.stat(path)
        if stat.S_ISSOCK(status.st_mode):
            mode = stat.S_IMODE(status.st_mode)
            os.remove(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        # Before listen(): nobody connects under the wrong mode.
        os.chmod(path, mode)
        return sock, UnixSocketFile(path)
    except OSError as error:
        sock.close()
        if error.errno is None:
            # Too long: Python notices before the system does.
            raise OSError(f"{error}: {path}") from None
        raise OSError(error.errno, f"{os.strerror(error.errno)}: {path}") from None


def adopt_fd(fd: int) -> socket.socket:
    """The bound socket with descriptor `fd`, of whatever family; the descriptor itself stays open. Raises OSError."""
    try:
        copy = os.dup(fd)
    except OSError as error:
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: file descriptor {fd}") from None
    try:
        return socket.socket(fileno=copy)
    except OSError as error:
        os.close(copy)
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: file descriptor {fd} is no socket") from None


def describe(scheme: str, host: str | None, port: int) -> str:
    """The URL to show for a listening address."""
    shown = host or "0.0.0.0"
    return f"{scheme}://[{shown}]:{port}" if ":" in shown else f"{scheme}://{shown}:{port}"
