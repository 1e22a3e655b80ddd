"""Sockets to listen on."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from picocorn.server.sockets import adopt_fd, bind_tcp, bind_unix, describe


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
