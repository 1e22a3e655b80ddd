"""Listening sockets: bound from host and port, from a path, or taken over from a descriptor. Knows no event loop and no log."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
import sys
from typing import Any

__all__ = ["UnixSocketFile", "adopt_fd", "bind_tcp", "bind_unix", "describe"]

#: Of a socket file that was not there before: whoever can reach its folder may connect.
UNIX_SOCKET_MODE = 0o666
#: Before it is told that no port is free in both families.
PORTS_TO_TRY = 10


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
    # A port that one family has free may be taken in the other.
    for _ in range(PORTS_TO_TRY if port == 0 and len(found) > 1 else 0):
        with contextlib.suppress(_PortTakenError):
            return _bind_all(found, 0, reuse_port)
    return _bind_all(found, port, reuse_port)


class _PortTakenError(OSError):
    """The port that was picked for the first socket is not free for another one."""


def _bind_all(found: list[tuple[Any, ...]], port: int, reuse_port: bool) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    unavailable: OSError | None = None
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
            try:
                _bind(sock, address, reuse_port)
            except OSError as error:
                if port == 0 and len(sockets) > 1 and error.errno == errno.EADDRINUSE:
                    raise _PortTakenError(*error.args) from None
                if error.errno != errno.EADDRNOTAVAIL:
                    raise
                # The kernel knows IPv6, and it is switched off.
                unavailable = error
                sockets.pop().close()
        if not sockets and unavailable is not None:
            raise unavailable
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
    """The file of a Unix socket that we have bound: removed at the end, unless somebody else's has taken its place.

    To be removed before its socket is closed: as long as that is open, no other file can have its number.
    """

    def __init__(self, path: str) -> None:
        # An application may leave the folder that it was started in.
        self.path = os.path.abspath(path)
        status = os.stat(path)
        self._identity = (status.st_dev, status.st_ino)

    def remove(self) -> None:
        """Remove the file if it is still ours. Doing it again does nothing."""
        with contextlib.suppress(FileNotFoundError):
            status = os.stat(self.path)
            if (status.st_dev, status.st_ino) == self._identity:
                os.remove(self.path)

    def remove_if_dead(self) -> None:
        """Remove the file if it is still ours and nobody listens any more, as when the last of several processes has ended."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
            caller.setblocking(False)
            try:
                caller.connect(self.path)
            except ConnectionRefusedError:
                self.remove()
            except OSError:
                # It is gone, or somebody's whose queue is full, or not for us to know.
                return


def bind_unix(path: str, mode: int | None = None, owner: tuple[int, int] = (-1, -1)) -> tuple[socket.socket, UnixSocketFile]:
    """Bind to a path. The file of a socket that nobody accepts on is replaced, and its mode kept unless `mode` says otherwise.

    `owner`: user and group id, -1 to leave one as it is. Raises OSError that names the path.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise OSError(f"no Unix domain sockets on this platform: {path}")
    mode_before = _remove_dead(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    file: UnixSocketFile | None = None
    try:
        sock.bind(path)
        file = UnixSocketFile(path)
        # Before listen(): nobody connects under the wrong owner and mode.
        if owner != (-1, -1):
            os.chown(path, *owner)
        os.chmod(path, mode_before if mode is None else mode)
    except OSError as error:
        sock.close()
        if file is not None:
            file.remove()
        if error.errno is None:
            # Too long: Python notices before the system does.
            raise OSError(f"{error}: {path}") from None
        raise OSError(error.errno, f"{os.strerror(error.errno)}: {path}") from None
    return sock, file


def _remove_dead(path: str) -> int:
    """Remove the file of a socket that nobody listens on any more, and return its mode; else that of a new file.

    Raises OSError if somebody does listen. Anything but a socket is left for bind() to complain about.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return UNIX_SOCKET_MODE
    except OSError as error:
        raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {path}") from None
    if not stat.S_ISSOCK(status.st_mode):
        return UNIX_SOCKET_MODE
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        # Somebody whose queue is full is there, too.
        caller.setblocking(False)
        try:
            caller.connect(path)
        except ConnectionRefusedError:
            pass
        except FileNotFoundError:
            return UNIX_SOCKET_MODE
        except PermissionError as error:
            raise OSError(error.errno, f"{os.strerror(errno.EACCES)}: {path}, where a socket is already") from None
        except OSError as error:
            # No stream socket; or anything else that is no proof of its being dead.
            if error.errno not in (errno.EAGAIN, errno.EINPROGRESS, errno.EPROTOTYPE):
                raise OSError(error.errno, f"{os.strerror(error.errno or 0)}: {path}") from None
            raise _in_use(path) from None
        else:
            raise _in_use(path)
    with contextlib.suppress(FileNotFoundError):
        os.remove(path)
    return stat.S_IMODE(status.st_mode)


def _in_use(path: str) -> OSError:
    return OSError(errno.EADDRINUSE, f"{os.strerror(errno.EADDRINUSE)}: {path}, on which another process accepts connections")


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
