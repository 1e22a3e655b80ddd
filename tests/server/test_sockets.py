"""Sockets to listen on."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from picocorn.server import sockets
from picocorn.server.sockets import PORTS_TO_TRY, adopt_fd, bind_tcp, bind_unix, describe

BOTH = [
    (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("0.0.0.0", 0)),
    (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::", 0, 0, 0)),
]


def fail_with(monkeypatch: pytest.MonkeyPatch, errors: dict[int, list[int]]) -> None:
    """Let both families be found, and binding fail so often with these numbers of errors, by family."""
    bind = sockets._bind

    def failing(sock: socket.socket, address: Any, reuse_port: bool) -> None:
        numbers = errors.get(sock.family, [])
        if numbers:
            raise OSError(numbers.pop(0), f"cannot bind on {address[0]}")
        if sock.family == socket.AF_INET:
            bind(sock, address, reuse_port)

    monkeypatch.setattr(sockets, "_bind", failing)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: BOTH)


def test_one_address() -> None:
    (sock,) = bind_tcp("127.0.0.1", 0)
    with sock:
        assert sock.family == socket.AF_INET
        assert sock.getsockname()[0] == "127.0.0.1"
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)


def test_all_interfaces_share_one_port() -> None:
    sockets = bind_tcp(None, 0)
    try:
        assert len({sock.getsockname()[1] for sock in sockets}) == 1
        assert {sock.getsockname()[0] for sock in sockets} <= {"0.0.0.0", "::"}
    finally:
        for sock in sockets:
            sock.close()


def test_a_picked_port_that_the_other_family_has_not_free(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, {socket.AF_INET6: [errno.EADDRINUSE] * PORTS_TO_TRY})
    bound = bind_tcp(None, 0)
    for sock in bound:
        sock.close()
    assert len(bound) == 2
    fail_with(monkeypatch, {socket.AF_INET6: [errno.EADDRINUSE] * (PORTS_TO_TRY + 1)})
    with pytest.raises(OSError, match="cannot bind on ::"):
        bind_tcp(None, 0)


def test_a_family_that_is_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    fail_with(monkeypatch, {socket.AF_INET6: [errno.EADDRNOTAVAIL]})
    (sock,) = bind_tcp("localhost", 0)
    with sock:
        assert sock.family == socket.AF_INET
    fail_with(monkeypatch, {socket.AF_INET: [errno.EADDRNOTAVAIL], socket.AF_INET6: [errno.EADDRNOTAVAIL]})
    with pytest.raises(OSError, match="cannot bind on ::"):
        bind_tcp("elsewhere", 0)


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=rf"bind on address \('127.0.0.1', {port}\): address already in use"):
            bind_tcp("127.0.0.1", port)


def test_unknown_host() -> None:
    with pytest.raises(OSError, match=r"Name or service not known|nodename nor servname"):
        bind_tcp("no-such-host.invalid", 0)
    with pytest.raises(OSError, match=r"'a\.\.b' is no host name"):
        bind_tcp("a..b", 0)


def test_unix(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    sock, file = bind_unix(path)
    with sock:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o666
    file.remove()
    assert not os.path.exists(path)
    file.remove()


def test_unix_path_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sock, file = bind_unix("s")
    monkeypatch.chdir("/")
    with sock:
        assert sock.getsockname() == "s"
        file.remove()
    assert not (tmp_path / "s").exists()


def test_unix_replaces_a_socket_and_keeps_its_mode(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    first, first_file = bind_unix(path)
    os.chmod(path, 0o600)
    second, second_file = bind_unix(path)
    with first, second:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        # The first one's end must not take the second one's file away.
        first_file.remove()
        assert os.path.exists(path)
        second_file.remove()
        assert not os.path.exists(path)


def test_unix_mode_and_owner(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    ids = (os.geteuid(), os.getegid())
    sock, file = bind_unix(path, 0o640, ids)
    with sock:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o640
        assert (os.stat(path).st_uid, os.stat(path).st_gid) == ids
    # What was asked for beats what lies there.
    sock, file = bind_unix(path, 0o600)
    with sock:
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    file.remove()


def test_unix_owner_that_may_not_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: str, user: int, group: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    path = tmp_path / "s"
    with pytest.raises(OSError, match=re.escape(f"Operation not permitted: {path}")):
        bind_unix(str(path), 0o600, (1, 1))
    # Nothing is left of it.
    assert not path.exists()


@pytest.mark.parametrize("backlog", [0, 5])
def test_unix_takes_nothing_from_the_living(backlog: int, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    alive, _file = bind_unix(path)
    callers = []
    with alive:
        alive.listen(backlog)
        if not backlog:
            # Its queue is full: that is not to be dead, either.
            for _ in range(5):
                caller = socket.socket(socket.AF_UNIX)
                caller.setblocking(False)
                caller.connect_ex(path)
                callers.append(caller)
        with pytest.raises(OSError, match=re.escape(f"Address already in use: {path}")) as caught:
            bind_unix(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert stat.S_ISSOCK(os.stat(path).st_mode)
    for caller in callers:
        caller.close()
    # Dead by now.
    sock, file = bind_unix(path)
    with sock:
        file.remove()
        assert not os.path.exists(path)


def test_unix_takes_nothing_from_other_kinds_of_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(path)
        with pytest.raises(OSError, match="Address already in use"):
            bind_unix(path)
        assert os.path.exists(path)


def test_unix_takes_nothing_that_it_may_not_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "s")
    dead, file = bind_unix(path)
    dead.close()

    class Refused(socket.socket):
        def connect(self, address: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Refused)
    with pytest.raises(OSError, match=r"Permission denied: .*/s, where a socket is already"):
        bind_unix(path)
    assert os.path.exists(path)
    file.remove()


def test_unix_replaces_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    with pytest.raises(OSError, match=r"notes\.txt"):
        bind_unix(str(path))
    assert path.read_text() == "precious"
    with pytest.raises(FileNotFoundError, match="nowhere"):
        bind_unix(str(tmp_path / "nowhere" / "s"))
    with pytest.raises(OSError, match="path too long"):
        bind_unix(str(tmp_path / ("s" * 200)))


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_descriptor(family: int, tmp_path: Path) -> None:
    with socket.socket(family) as sock:
        sock.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "s"))
        with adopt_fd(sock.fileno()) as adopted:
            assert adopted.family == family
            assert adopted.getsockname() == sock.getsockname()
        # The descriptor was only borrowed.
        assert sock.getsockname()


def test_descriptors_that_are_no_sockets(tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        with pytest.raises(OSError, match=f"file descriptor {file.fileno()} is no socket"):
            adopt_fd(file.fileno())
        closed = os.dup(file.fileno())
    os.close(closed)
    with pytest.raises(OSError, match=f"file descriptor {closed}"):
        adopt_fd(closed)


@pytest.mark.parametrize(
    ("host", "shown"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), (None, "http://0.0.0.0:80"), ("", "http://0.0.0.0:80")],
)
def test_describe(host: str | None, shown: str) -> None:
    assert describe("http", host, 80) == shown
