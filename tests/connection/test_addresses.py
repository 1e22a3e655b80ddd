"""Addresses as scopes and logs show them."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from picocorn.connection.addresses import (
    get_client_addr,
    get_local_addr,
    get_path_with_query_string,
    get_remote_addr,
    internet_address,
    is_ssl,
    local_address,
)


class FakeTransport:
    def __init__(self, **extra: Any) -> None:
        self.extra = extra

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.extra.get(name, default)


def test_of_a_tcp_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        transport = FakeTransport(socket=client)
        assert get_remote_addr(transport) == listener.getsockname()
        assert get_local_addr(transport) == client.getsockname()


def test_of_a_lost_connection() -> None:
    with socket.socket() as sock:
        assert get_remote_addr(FakeTransport(socket=sock, peername=("1.2.3.4", 5))) == ("1.2.3.4", 5)
        assert get_remote_addr(FakeTransport(socket=sock)) is None


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")
def test_of_a_unix_connection(tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen()
        client.connect(path)
        accepted, _ = listener.accept()
        with accepted:
            assert get_remote_addr(FakeTransport(socket=accepted)) is None
            assert get_local_addr(FakeTransport(socket=accepted)) == (path, None)


def test_from_what_the_transport_remembers() -> None:
    assert get_remote_addr(FakeTransport(peername=["::1", 5, 0, 0])) == ("::1", 5)
    assert get_local_addr(FakeTransport(sockname=("::1", 5, 0, 0))) == ("::1", 5)
    assert get_local_addr(FakeTransport(sockname="/run/s")) == ("/run/s", None)
    assert get_remote_addr(FakeTransport()) is None
    assert get_local_addr(FakeTransport()) is None


def test_is_ssl() -> None:
    assert is_ssl(FakeTransport(sslcontext=object()))
    assert not is_ssl(FakeTransport())


def test_of_a_scope() -> None:
    assert get_client_addr({"client": ("::1", 5)}) == "::1:5"
    assert get_client_addr({"client": None}) == ""
    assert get_client_addr({}) == ""
    assert get_path_with_query_string({"path": "/a b/*", "query_string": b""}) == "/a%20b/%2A"
    assert get_path_with_query_string({"path": "/", "query_string": b"a=%20"}) == "/?a=%20"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (("1.2.3.4", 5), ("1.2.3.4", 5)),
        (("::1", 5, 0, 0), ("::1", 5)),
        (["::1", 5], ("::1", 5)),
        (("1.2.3.4", "5"), ("1.2.3.4", 5)),
        (("1.2.3.4",), None),
        ("", None),
        (None, None),
    ],
)
def test_in_the_form_of_a_scope(address: Any, expected: Any) -> None:
    assert internet_address(address) == expected
    assert local_address(address) == expected


@pytest.mark.parametrize(
    ("address", "expected"), [("/run/s", ("/run/s", None)), (b"\0abstract", ("\0abstract", None)), (b"", None)]
)
def test_a_unix_name_in_the_form_of_a_scope(address: Any, expected: Any) -> None:
    assert internet_address(address) is None
    assert local_address(address) == expected
