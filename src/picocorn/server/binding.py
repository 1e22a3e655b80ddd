"""What a server is to listen on: the addresses that the options give, understood, bound and told of. Knows no event loop."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import re
import socket
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..base.errors import ConfigError
from .formatters import style
from .options import DefaultNumber, DefaultText
from .sockets import UnixSocketFile, adopt_fd, bind_tcp, bind_unix, describe
from .systemd import has_sockets, passed_sockets
from .tls_redirect import is_redirecting

if TYPE_CHECKING:
    from .config import Config

__all__ = [
    "Address",
    "Listening",
    "addresses_of",
    "bind_addresses",
    "log_listening",
    "own_sockets",
    "parse_address",
    "parse_owner",
    "settle_binding",
]

logger = logging.getLogger("picocorn.error")

#: Stands for the sockets that systemd has passed; with ":NAME" for those of that FileDescriptorName.
SYSTEMD = "systemd"

_TCP = re.compile(r"(?:\[(?P<v6>[^\[\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>\d{1,5})", re.ASCII)
_FORMS = "it is none of host:port, [address]:port, :port, unix:path, fd://number and systemd"


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """One address to bind to, or descriptors to adopt: `kind` says which of the other fields mean something."""

    #: "tcp", "unix", "fd" or "systemd"
    kind: str
    #: of "tcp": None is every interface, of both families
    host: str | None = None
    port: int = 0
    #: of "unix"
    path: str = ""
    fd: int = -1
    #: of "systemd": "" is every socket
    name: str = ""


def parse_address(text: str) -> Address:
    """An address as `--bind` takes it. Raises ValueError."""
    if text.startswith("unix:"):
        if not text[5:]:
            raise ValueError(f"{text!r} names no path.")
        return Address("unix", path=text[5:])
    if text.startswith("fd://"):
        if not text[5:].isdecimal():
            raise ValueError(f"{text!r} names no file descriptor.")
        return Address("fd", fd=int(text[5:]))
    word, _, name = text.partition(":")
    if word == SYSTEMD and (text == SYSTEMD or (name and not name.isdecimal())):
        return Address("systemd", name=name)
    found = _TCP.fullmatch(text)
    if found is None:
        hint = "; an IPv6 address stands in brackets." if text.count(":") > 1 else "."
        raise ValueError(f"{text!r} is no address: {_FORMS}{hint}")
    if int(found["port"]) > 65535:
        raise ValueError(f"{text!r}: {found['port']} is more than 65535.")
    if found["v6"] is not None and ":" not in found["v6"]:
        raise ValueError(f"{text!r}: only an IPv6 address stands in brackets.")
    return Address("tcp", host=found["v6"] or found["host"] or None, port=int(found["port"]))


def parse_owner(text: str) -> tuple[int, int]:
    """User and group id of "user", "user:group" or ":group", by name or number; -1 for what is not given. Raises ValueError."""
    user, _, group = text.partition(":")
    if not user and not group:
        raise ValueError(f"{text!r} is neither user nor user:group.")
    try:
        import grp
        import pwd
    except ImportError:
        raise ValueError("files have no such owners on this platform.") from None
    try:
        user_id = -1 if not user else int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
        group_id = -1 if not group else int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError as error:
        raise ValueError(f"{text!r}: {error.args[0]}.") from None
    return user_id, group_id


def settle_binding(config: Config) -> None:
    """Give the options about where to listen their final form. Raises ConfigError."""
    given = [f"--{name}" for name in ("host", "port") if not isinstance(getattr(config, name), DefaultText | DefaultNumber)]
    given += [f"--{name}" for name in ("uds", "fd") if getattr(config, name) is not None]
    config.bind = config.bind.split() if isinstance(config.bind, str) else list(config.bind or ())
    if config.bind and given:
        raise ConfigError(f"Invalid value for '--bind': it stands for {given[0]} as well; leave one of them out.")
    if not config.bind and not given and has_sockets():
        config.bind = [SYSTEMD]
    if isinstance(config.host, str):
        config.host = str(config.host)
    config.port = int(config.port)
    try:
        found = addresses_of(config)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"Invalid value for '--bind': {error}") from None
    _check_files(config, found)


def addresses_of(config: Config) -> list[Address]:
    """What `config` is to listen on."""
    if config.bind:
        return [parse_address(text) for text in config.bind]
    if config.fd is not None:
        return [Address("fd", fd=config.fd)]
    if config.uds is not None:
        return [Address("unix", path=config.uds)]
    return [Address("tcp", host=config.host or None, port=config.port)]


def _check_files(config: Config, found: list[Address]) -> None:
    if config.uds_owner is not None:
        try:
            parse_owner(config.uds_owner)
        except ValueError as error:
            raise ConfigError(f"Invalid value for '--uds-owner': {error}") from None
    for name in ("uds_permissions", "uds_owner"):
        if getattr(config, name) is not None and not any(address.kind == "unix" for address in found):
            flag = f"--{name.replace('_', '-')}"
            raise ConfigError(f"Invalid value for '{flag}': it needs --uds, or --bind unix:path.")


class Listening:
    """Bound sockets, and the files of those that are ours to remove."""

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.files: list[UnixSocketFile] = []

    def remove_files(self) -> None:
        """Remove the files that are still ours; see UnixSocketFile for when. Doing it again does nothing."""
        while self.files:
            # Somebody has taken its folder away, or our right to it: nobody is better off without the rest of the end.
            with contextlib.suppress(OSError):
                self.files.pop().remove()

    def close(self) -> None:
        """Remove the files, and close the sockets. Doing it again does nothing."""
        self.remove_files()
        for sock in self.sockets:
            sock.close()


def own_sockets(config: Config, reuse_port: bool = False) -> Listening:
    """The sockets that the options ask for, bound. Raises OSError. `reuse_port` as in `bind_tcp`."""
    mode = None if config.uds_permissions is None else int(config.uds_permissions)
    owner = (-1, -1) if config.uds_owner is None else parse_owner(config.uds_owner)
    wanted = addresses_of(config)
    listening = bind_addresses(wanted, mode, owner, reuse_port)
    if config.redirect_http is not None and not any(is_redirecting(config, sock) for sock in listening.sockets):
        hosts = [address.host for address in wanted if address.kind == "tcp"]
        plain = [Address("tcp", host=host, port=config.redirect_http) for host in dict.fromkeys(hosts or [None])]
        try:
            listening.sockets += bind_addresses(plain, reuse_port=reuse_port).sockets
        except BaseException:
            listening.close()
            raise
    return listening


def bind_addresses(
    wanted: Iterable[Address], mode: int | None = None, owner: tuple[int, int] = (-1, -1), reuse_port: bool = False
) -> Listening:
    """Bind to all of `wanted`, or to none: then raises OSError. `mode` and `owner` are for the files of Unix sockets.

    `reuse_port` as in `bind_tcp`.
    """
    listening = Listening()
    try:
        for address in wanted:
            if address.kind == "unix":
                sock, file = bind_unix(address.path, mode, owner)
                listening.sockets.append(sock)
                listening.files.append(file)
            elif address.kind == "fd":
                listening.sockets.append(_adopted(address.fd))
            elif address.kind == "systemd":
                listening.sockets += map(_adopted, passed_sockets(address.name))
            else:
                listening.sockets += bind_tcp(address.host, address.port, reuse_port)
    except BaseException:
        listening.close()
        raise
    return listening


def _adopted(fd: int) -> socket.socket:
    """A socket that somebody else has bound. Raises OSError for one that cannot listen."""
    sock = adopt_fd(fd)
    if sock.type != socket.SOCK_STREAM:
        kind = getattr(sock.type, "name", sock.type)
        sock.close()
        raise OSError(f"a server needs stream sockets, and file descriptor {fd} is of type {kind}")
    try:
        peer = sock.getpeername()
    except OSError:
        return sock
    sock.close()
    # As inetd hands them over, and systemd with Accept=yes.
    raise OSError(f"a server needs a listening socket, and file descriptor {fd} is a connection with {peer!r}")


def log_listening(config: Config, sockets: Sequence[socket.socket], inherited: bool = False) -> None:
    """Say where a server with this configuration listens. `inherited`: on sockets that the options may know nothing of."""
    for sock in sockets:
        if is_redirecting(config, sock):
            address = sock.getsockname()
            logger.info("Picocorn redirects %s to https", describe("http", address[0], address[1]))
    sockets = [sock for sock in sockets if not is_redirecting(config, sock)]
    if config.bind or inherited:
        for shown, where in dict.fromkeys(_shown(config, sock) for sock in sockets):
            log_running(shown, where)
    elif config.fd is not None:
        log_running("socket %s", str(sockets[0].getsockname()))
    elif config.uds is not None:
        log_running("unix socket %s", config.uds)
    else:
        log_running("%s", describe(_scheme(config), config.host, sockets[0].getsockname()[1]))


def _shown(config: Config, sock: socket.socket) -> tuple[str, str]:
    """How the line about a socket reads, as uvicorn has it for each kind."""
    address = sock.getsockname()
    if sock.family == getattr(socket, "AF_UNIX", None) and address:
        return "unix socket %s", os.fsdecode(address).replace("\0", "@")
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        return "%s", describe(_scheme(config), address[0], address[1])
    return "socket %s", str(address)


def _scheme(config: Config) -> str:
    return "https" if config.is_ssl else "http"


def log_running(shown: str, where: str) -> None:
    """Say where the server listens."""
    logger.info(
        f"Picocorn running on {shown} (Press CTRL+C to quit)",
        where,
        extra={"color_message": f"Picocorn running on {style(shown, bold=True)} (Press CTRL+C to quit)"},
    )
