"""Where to listen: addresses as people write them, and what becomes of them."""

from __future__ import annotations

import contextlib
import grp
import logging
import os
import pickle
import pwd
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import picocorn
from picocorn.base.errors import ConfigError
from picocorn.server import binding, systemd
from picocorn.server.binding import Address, addresses_of, bind_addresses, log_listening, own_sockets, parse_address, parse_owner


async def app(scope: Any, receive: Any, send: Any) -> None: ...


def config(**options: Any) -> picocorn.Config:
    return picocorn.Config(app, log_config=None, **options)


@contextlib.contextmanager
def opened(listening: binding.Listening) -> Iterator[binding.Listening]:
    try:
        yield listening
    finally:
        listening.close()


# -- addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("tcp", host="127.0.0.1", port=80)),
        ("example.org:0", Address("tcp", host="example.org", port=0)),
        ("[::1]:80", Address("tcp", host="::1", port=80)),
        ("[fe80::1%eth0]:65535", Address("tcp", host="fe80::1%eth0", port=65535)),
        (":8000", Address("tcp", host=None, port=8000)),
        ("systemd:80", Address("tcp", host="systemd", port=80)),
        ("unix:/run/x.sock", Address("unix", path="/run/x.sock")),
        ("unix:x:1", Address("unix", path="x:1")),
        ("fd://3", Address("fd", fd=3)),
        ("systemd", Address("systemd")),
        ("systemd:web", Address("systemd", name="web")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is no address"),
        ("8000", "is no address"),
        ("127.0.0.1", "is no address"),
        ("127.0.0.1:", "is no address"),
        ("127.0.0.1:http", "is no address"),
        ("127.0.0.1:-1", "is no address"),
        ("127.0.0.1:\u0661", "is no address"),
        ("http://127.0.0.1:80", "stands in brackets"),
        ("::1:80", "an IPv6 address stands in brackets"),
        ("[::1]", "is no address"),
        ("[::1", "is no address"),
        ("[127.0.0.1]:80", "only an IPv6 address stands in brackets"),
        ("[]:80", "only an IPv6 address stands in brackets"),
        ("127.0.0.1:65536", "65536 is more than 65535"),
        ("unix:", "names no path"),
        ("fd://", "names no file descriptor"),
        ("fd://-1", "names no file descriptor"),
        ("fd://x", "names no file descriptor"),
        ("systemd:", "is no address"),
    ],
)
def test_no_addresses(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_address(text)


def test_owners() -> None:
    user, group = pwd.getpwuid(os.getuid()), grp.getgrgid(os.getgid())
    assert parse_owner(user.pw_name) == (user.pw_uid, -1)
    assert parse_owner(f"{user.pw_name}:{group.gr_name}") == (user.pw_uid, group.gr_gid)
    assert parse_owner(f":{group.gr_name}") == (-1, group.gr_gid)
    assert parse_owner("12:34") == (12, 34)
    for text, said in (
        (":", "neither user nor"),
        ("", "neither user nor"),
        ("no-such-user", "no-such-user"),
        (":no-such-group", "group"),
    ):
        with pytest.raises(ValueError, match=said):
            parse_owner(text)


# -- options


@pytest.mark.parametrize("bind", [[":1", "unix:s"], (":1", "unix:s"), " :1  unix:s\n"])
def test_many_forms_of_many_addresses(bind: Any) -> None:
    made = config(bind=bind)
    assert made.bind == [":1", "unix:s"]
    assert addresses_of(made) == [Address("tcp", port=1), Address("unix", path="s")]
    assert addresses_of(pickle.loads(pickle.dumps(config(bind=":1")))) == [Address("tcp", port=1)]


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ({}, Address("tcp", host="127.0.0.1", port=8000)),
        ({"host": None}, Address("tcp", port=8000)),
        ({"host": "::1", "port": 1}, Address("tcp", host="::1", port=1)),
        ({"uds": "s", "port": 1}, Address("unix", path="s")),
        ({"uds": "s", "fd": 0}, Address("fd", fd=0)),
    ],
)
def test_uvicorns_options(options: dict[str, Any], address: Address) -> None:
    made = config(**options)
    assert addresses_of(made) == [address]
    assert made.bind == []
    assert (type(made.host), type(made.port)) in ((str, int), (type(None), int))


def test_options_that_are_changed_afterwards() -> None:
    made = config()
    made.port = 1
    assert addresses_of(made) == [Address("tcp", host="127.0.0.1", port=1)]


@pytest.mark.parametrize(("name", "value"), [("host", "127.0.0.1"), ("host", None), ("port", 8000), ("uds", "s"), ("fd", 0)])
def test_one_way_to_say_it(name: str, value: Any) -> None:
    # Also with the value that it would have had without being given.
    with pytest.raises(ConfigError, match=f"'--bind': it stands for --{name} as well"):
        config(bind=":1", **{name: value})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bind": "x"}, "'--bind': 'x' is no address"),
        ({"bind": [1]}, "'--bind'"),
        ({"uds_permissions": "0660"}, "'--uds-permissions': it needs --uds, or --bind unix:path."),
        ({"uds_owner": "0", "bind": ":1"}, "'--uds-owner': it needs --uds"),
        ({"uds_owner": "no-such-user", "uds": "s"}, "'--uds-owner': .*no-such-user"),
        ({"uds_permissions": "rw", "uds": "s"}, "'--uds-permissions': 'rw' is no octal number such as 0660."),
        ({"uds_permissions": "1777", "uds": "s"}, "'--uds-permissions': 1777 is more than 0777."),
        # A decimal 660 for an octal one.
        ({"uds_permissions": 660, "uds": "s"}, "'--uds-permissions': 1224 is more than 0777."),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        config(**options)


def test_permissions() -> None:
    for value in ("0640", "640", "0o640", 0o640):
        assert config(uds="s", uds_permissions=value).uds_permissions == 0o640


# -- bound


def test_all_of_them(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    path = tmp_path / "s"
    with socket.create_server(("127.0.0.1", 0)) as given:
        made = config(bind=["127.0.0.1:0", f"unix:{path}", f"fd://{given.fileno()}"], uds_permissions=0o600)
        with opened(own_sockets(made)) as listening:
            tcp, unix, adopted = listening.sockets
            assert unix.getsockname() == str(path)
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert adopted.getsockname() == given.getsockname()
            # A socket that workers share is told of once.
            log_listening(made, [tcp, unix, adopted, tcp])
            assert caplog.messages == [
                f"Picocorn running on http://127.0.0.1:{tcp.getsockname()[1]} (Press CTRL+C to quit)",
                f"Picocorn running on unix socket {path} (Press CTRL+C to quit)",
                f"Picocorn running on http://127.0.0.1:{given.getsockname()[1]} (Press CTRL+C to quit)",
            ]
        assert not path.exists()
        assert given.fileno() > 0


def test_every_interface_of_both_families(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    made = config(bind=":0")
    with opened(own_sockets(made)) as listening:
        if len(listening.sockets) != 2:
            pytest.skip("this machine has one family alone")
        port = listening.sockets[0].getsockname()[1]
        log_listening(made, listening.sockets)
        assert sorted(caplog.messages) == [
            f"Picocorn running on http://0.0.0.0:{port} (Press CTRL+C to quit)",
            f"Picocorn running on http://[::]:{port} (Press CTRL+C to quit)",
        ]


def test_all_or_nothing(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        wanted = [Address("unix", path=str(path)), Address("tcp", host="127.0.0.1", port=port)]
        with pytest.raises(OSError, match="address already in use"):
            bind_addresses(wanted)
    # pytest would tell of a socket that is still open.
    assert not path.exists()


def test_sockets_that_cannot_listen() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        fd = datagrams.fileno()
        with pytest.raises(OSError, match=f"file descriptor {fd} is of type SOCK_DGRAM"):
            bind_addresses([Address("fd", fd=fd)])
    one, other = socket.socketpair()
    with one, other, pytest.raises(OSError, match=f"file descriptor {one.fileno()} is a connection"):
        bind_addresses([Address("fd", fd=one.fileno())])


def test_one_socket_for_a_program(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    with config(bind="127.0.0.1:0").bind_socket() as sock:
        assert caplog.messages == [f"Picocorn running on http://127.0.0.1:{sock.getsockname()[1]} (Press CTRL+C to quit)"]
    with pytest.raises(ConfigError, match="binds one socket"):
        config(bind=":0 :0").bind_socket()


# -- passed by systemd


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[socket.socket]]:
    """Two sockets that were passed to this process, called web and admin."""
    given = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    names = ["web", "admin"]
    monkeypatch.setattr(systemd, "_taken", [(sock.fileno(), name) for sock, name in zip(given, names, strict=True)])
    yield given
    for sock in given:
        sock.close()


def test_passed_sockets_are_used_where_nothing_else_is_said(
    passed: list[socket.socket], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    made = config()
    assert made.bind == ["systemd"]
    with opened(own_sockets(made)) as listening:
        assert [sock.getsockname() for sock in listening.sockets] == [sock.getsockname() for sock in passed]
        log_listening(made, listening.sockets)
        assert len(caplog.messages) == 2
    # They stay open: a server may serve again.
    with opened(own_sockets(made)) as listening:
        assert len(listening.sockets) == 2


@pytest.mark.parametrize("options", [{"port": 8000}, {"host": "127.0.0.1"}, {"uds": "s"}, {"fd": 0}, {"bind": ":1"}])
def test_passed_sockets_are_left_alone_where_something_is_said(options: dict[str, Any], passed: list[socket.socket]) -> None:
    assert "systemd" not in [address.kind for address in addresses_of(config(**options))]


def test_passed_sockets_by_name_and_beside_others(passed: list[socket.socket]) -> None:
    with opened(own_sockets(config(bind=["systemd:admin", "127.0.0.1:0"]))) as listening:
        assert listening.sockets[0].getsockname() == passed[1].getsockname()
        assert len(listening.sockets) == 2
    with pytest.raises(OSError, match="no socket called 'other', but: web, admin"):
        own_sockets(config(bind="systemd:other"))
