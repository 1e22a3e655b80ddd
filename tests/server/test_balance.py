"""Which sockets each worker gets."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picocorn.base.errors import ConfigError
from picocorn.base.native import NATIVE
from picocorn.server import balance
from picocorn.server.balance import REUSEPORT, SHARED, Sockets, files_of
from picocorn.server.config import Config

needs_linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="SO_REUSEPORT that balances")


@pytest.fixture
def opened() -> Iterator[list[Sockets]]:
    """What the test has opened."""
    every: list[Sockets] = []
    yield every
    for sockets in every:
        sockets.close()


def bound(opened: list[Sockets], inherited: Any = (), **options: Any) -> Sockets:
    sockets = Sockets(Config("module:app", **{"port": 0, "log_config": None, **options}), inherited)
    opened.append(sockets)
    return sockets


def names(groups: list[list[socket.socket]]) -> list[list[Any]]:
    return [[sock.getsockname() for sock in group] for group in groups]


def test_shared(opened: list[Sockets]) -> None:
    sockets = bound(opened)
    (one,) = sockets.all
    assert sockets.is_shared
    assert sockets.for_workers(3) == [[one]] * 3
    assert (sockets.table is not None) is (NATIVE and sys.platform == "linux")


def backlog(sock: socket.socket) -> int:
    """As the kernel has it: of a listening socket, the field after the seven first numbers of struct tcp_info."""
    return int.from_bytes(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)[28:], sys.byteorder)


@needs_linux
def test_they_listen_before_there_are_workers(opened: list[Sockets]) -> None:
    (one,) = bound(opened, backlog=7).all
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) == 1
    assert backlog(one) == 7
    # What is accepted inherits that, and may connect now.
    assert one.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


@needs_linux
def test_only_the_first_of_one_each_listens_before_its_worker(opened: list[Sockets]) -> None:
    """What the kernel would give to the others would wait for the slowest to start."""
    groups = bound(opened, socket_balance=REUSEPORT).for_workers(2)
    assert [group[0].getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for group in groups] == [1, 0]


@needs_linux
def test_one_each(opened: list[Sockets]) -> None:
    sockets = bound(opened, socket_balance=REUSEPORT)
    assert not sockets.is_shared
    assert sockets.table is None
    two = sockets.for_workers(2)
    assert len({sock.fileno() for group in two for sock in group}) == 2
    assert names(two)[0] == names(two)[1]
    # Those that are there stay where they are.
    three = sockets.for_workers(3)
    assert three[:2] == two
    # And what was bound for a worker that is no more is another one's to accept on.
    assert sockets.for_workers(2) == [three[0] + three[2], three[1]]
    assert sockets.for_workers(1) == [three[0] + three[1] + three[2]]


@needs_linux
def test_one_each_of_several_addresses(opened: list[Sockets], monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: found)
    sockets = bound(opened, socket_balance=REUSEPORT)
    one, other = names(sockets.for_workers(2))
    assert one == other
    assert [host for host, _port in one] == ["127.0.0.1", "127.0.0.2"]


@needs_linux
def test_another_server_is_not_joined(opened: list[Sockets]) -> None:
    first = bound(opened, socket_balance=REUSEPORT)
    first.all[0].listen()
    port = first.all[0].getsockname()[1]
    with pytest.raises(OSError, match="address already in use"):
        bound(opened, port=port, socket_balance=REUSEPORT)


@pytest.mark.parametrize(
    ("options", "why"), [({"uds": "s"}, "reuseport needs --host and --port"), ({"fd": 0}, "reuseport needs")]
)
def test_what_has_no_siblings(options: dict[str, Any], why: str, opened: list[Sockets]) -> None:
    with pytest.raises(ConfigError, match=why):
        bound(opened, socket_balance=REUSEPORT, **options)


def test_a_platform_without(opened: list[Sockets], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(balance.sys, "platform", "darwin")
    with pytest.raises(ConfigError, match="reuseport needs Linux"):
        bound(opened, socket_balance=REUSEPORT)


def inherited(sockets: Sockets) -> list[list[socket.socket]]:
    return [[sock.dup() for sock in group] for group in sockets.groups]


@needs_linux
@pytest.mark.parametrize("balance", [SHARED, REUSEPORT])
def test_taken_over(balance: str, opened: list[Sockets]) -> None:
    before = bound(opened, socket_balance=balance)
    before.for_workers(2)
    after = bound(opened, inherited(before), socket_balance=balance)
    assert names(after.for_workers(2)) == names(before.for_workers(2))
    # All are accepted on, however many workers there are.
    assert len({sock for group in after.for_workers(1) for sock in group}) == len(before.all)


@needs_linux
def test_taken_over_from_a_server_with_another_balance(opened: list[Sockets]) -> None:
    shared = bound(opened)
    assert bound(opened, inherited(shared), socket_balance=REUSEPORT).is_shared
    spread = bound(opened, socket_balance=REUSEPORT)
    spread.for_workers(2)
    assert [len(group) for group in bound(opened, inherited(spread)).for_workers(3)] == [2, 2, 2]


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="Unix sockets")
def test_the_file_of_a_unix_socket(opened: list[Sockets], tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = bound(opened, uds=str(path))
    second = bound(opened, inherited(first), uds=str(path))
    first.close(keep_file=True)
    assert path.exists()
    second.close()
    assert not path.exists()
    second.close()


def test_a_file_that_somebody_else_is_removing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers whose supervisor is gone look after it all at once."""
    path = tmp_path / "sock"
    config = Config("module:app", uds=str(path), log_config=None)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.bind(str(path))
        assert [file.path for file in files_of(config, [sock])] == [str(path)]
        path.unlink()
        # It was there a moment ago.
        monkeypatch.setattr("os.path.exists", lambda path: True)
        assert files_of(config, [sock]) == []
