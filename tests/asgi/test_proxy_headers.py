"""Whom X-Forwarded-* is believed from, and what it changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from picocorn.asgi.proxy_headers import ProxyHeadersMiddleware, TrustedHosts, rewrite_scope


@pytest.mark.parametrize(
    ("value", "host", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "127.0.0.2", False),
        ("127.0.0.1,::1", "::1", True),
        (" 10.0.0.1 , 10.0.0.2 ", "10.0.0.2", True),
        (["10.0.0.1", "10.0.0.2"], "10.0.0.2", True),
        ("10.0.0.0/8", "10.255.0.1", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("2001:db8::/32", "2001:db8::1", True),
        # One address, written differently.
        ("::1", "0:0:0:0:0:0:0:1", True),
        # An IPv4 peer of a dual-stack socket.
        ("127.0.0.1", "::ffff:127.0.0.1", True),
        ("10.0.0.0/8", "::ffff:10.1.1.1", True),
        # Host bits set: no network, so a literal.
        ("10.0.0.1/8", "10.0.0.1", False),
        ("10.0.0.1/8", "10.0.0.1/8", True),
        ("proxy.internal", "proxy.internal", True),
        ("proxy.internal", "other.internal", False),
        ("/run/proxy.sock", "/run/proxy.sock", True),
        ("*", "anything", True),
        (["*"], "anything", True),
        ("*", None, True),
        ("*", "", True),
        ("127.0.0.1", None, False),
        ("127.0.0.1", "", False),
        ("", "", False),
        ("", "127.0.0.1", False),
        ([], "127.0.0.1", False),
    ],
)
def test_trust(value: Any, host: str | None, expected: bool) -> None:
    trusted = TrustedHosts(value)
    assert (host in trusted) is expected
    assert (host in trusted) is expected


def test_made_up_names_do_not_fill_the_cache() -> None:
    trusted = TrustedHosts("127.0.0.1")
    for number in range(10):
        assert f"{number}" * 300 not in trusted
    assert trusted._cached.cache_info().currsize == 0
    assert "10.0.0.1" not in trusted
    assert trusted._cached.cache_info().currsize == 1


@pytest.mark.parametrize(
    ("forwarded_for", "expected"),
    [
        ("1.2.3.4", ("1.2.3.4", 0)),
        (" 1.2.3.4 ", ("1.2.3.4", 0)),
        ("1.2.3.4:80", ("1.2.3.4", 80)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
        ("[2001:db8::1]", ("2001:db8::1", 0)),
        ("2001:db8::1", ("2001:db8::1", 0)),
        ("1.2.3.4:abc", ("1.2.3.4:abc", 0)),
        ("1.2.3.4:99999", ("1.2.3.4", 0)),
        ("[::2]:abc", ("::2", 0)),
        ("[::2", ("[::2", 0)),
        ("unknown", ("unknown", 0)),
        # From the right, the first that is not one of ours.
        ("9.9.9.9, 1.2.3.4", ("1.2.3.4", 0)),
        ("9.9.9.9, 1.2.3.4, 10.0.0.1", ("1.2.3.4", 0)),
        ("1.2.3.4, 10.0.0.2, 10.0.0.1", ("1.2.3.4", 0)),
        # All ours: the leftmost.
        ("10.0.0.3, 10.0.0.2, 10.0.0.1", ("10.0.0.3", 0)),
        ("10.0.0.3:81, 10.0.0.2", ("10.0.0.3", 81)),
    ],
)
def test_client_address(forwarded_for: str, expected: tuple[str, int]) -> None:
    assert TrustedHosts("127.0.0.1, 10.0.0.0/8").client_address(forwarded_for) == expected


def test_everybody_trusted_means_the_leftmost() -> None:
    assert TrustedHosts("*").client_address("1.2.3.4, 5.6.7.8") == ("1.2.3.4", 0)


def scope_with(*headers: tuple[bytes, bytes], kind: str = "http", client: Any = ("127.0.0.1", 5000)) -> dict[str, Any]:
    return {
        "type": kind,
        "scheme": "ws" if kind == "websocket" else "http",
        "client": client,
        "headers": [(b"host", b"a"), *headers],
    }


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("http", [b"https"], "https"),
        ("http", [b" https "], "https"),
        ("http", [b"http", b"https"], "https"),
        ("http", [b"https,http"], "http"),
        ("http", [b"ftp"], "http"),
        ("http", [b""], "http"),
        ("http", [b"HTTPS"], "http"),
        ("websocket", [b"https"], "wss"),
        ("websocket", [b"wss"], "wss"),
        ("websocket", [b"http"], "ws"),
        ("websocket", [b"gopher"], "ws"),
    ],
)
def test_scheme(kind: str, values: list[bytes], expected: str) -> None:
    scope = scope_with(*((b"x-forwarded-proto", value) for value in values), kind=kind)
    rewrite_scope(scope, TrustedHosts("127.0.0.1"))
    assert scope["scheme"] == expected
    assert scope["client"] == ("127.0.0.1", 5000)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"1.2.3.4"], ("1.2.3.4", 0)),
        ([b"9.9.9.9", b"1.2.3.4, 127.0.0.1"], ("1.2.3.4", 0)),
        ([b""], ("127.0.0.1", 5000)),
        ([b"1.1.1.1, , 127.0.0.1"], ("127.0.0.1", 5000)),
        ([b"\xff"], ("\xff", 0)),
    ],
)
def test_client(values: list[bytes], expected: tuple[str, int]) -> None:
    scope = scope_with(*((b"x-forwarded-for", value) for value in values))
    rewrite_scope(scope, TrustedHosts("127.0.0.1"))
    assert scope["client"] == expected
    assert type(scope["client"]) is tuple
    assert scope["scheme"] == "http"


@pytest.mark.parametrize(
    ("client", "trusted", "expected"),
    [
        (("127.0.0.1", 1), "127.0.0.1", "https"),
        (("10.0.0.1", 1), "127.0.0.1", "http"),
        (None, "127.0.0.1", "http"),
        (None, "*", "https"),
    ],
)
def test_middleware_asks_who_the_peer_is(client: Any, trusted: str, expected: str) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["scheme"])

    scope = scope_with((b"x-forwarded-proto", b"https"), client=client)
    asyncio.run(ProxyHeadersMiddleware(app, trusted_hosts=trusted)(scope, None, None))
    assert seen == [expected]


def test_middleware_leaves_the_lifespan_alone() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)

    asyncio.run(ProxyHeadersMiddleware(app)({"type": "lifespan"}, None, None))
    assert seen == [{"type": "lifespan"}]
