"""The scope of a WebSocket, made of the scope of its handshake: W1 and W12."""

from __future__ import annotations

from typing import Any

import pytest

from picocorn.asgi.proxy_headers import TrustedHosts, rewrite_scope
from picocorn.asgi.websocket_scope import websocket_scope
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import HEAD


@pytest.fixture
def make(room: Any) -> Any:
    """`make(*fields)`: the http scope of a handshake, of either body."""

    def make(*fields: bytes, scheme: str = "http", builder: Any = None) -> dict[str, Any]:
        parser = room("http1.parser").RequestParser(HTTP1Limits())
        lines = (b"GET /chat?a=1 HTTP/1.1", b"Host: a", b"Upgrade: websocket", b"Connection: upgrade", *fields, b"", b"")
        parser.feed(b"\r\n".join(lines))
        assert parser.next_event() == HEAD
        if builder is None:
            builder = builder_of(room, scheme)
        scope: dict[str, Any] = builder.build(parser.head, ("1.2.3.4", 5), ("6.7.8.9", 80))
        return scope

    return make


def builder_of(room: Any, scheme: str = "http") -> Any:
    return room("asgi.scope").ScopeBuilder(
        scheme=scheme, root_path="", app_state={"a": 1}, asgi_version="3.0", extensions=("http.response.pathsend",)
    )


def test_w1_keys(make: Any) -> None:
    scope = make(b"X-A: 1")
    assert websocket_scope(scope, ["chat", "superchat"]) == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "server": ("6.7.8.9", 80),
        "client": ("1.2.3.4", 5),
        "scheme": "ws",
        "root_path": "",
        "path": "/chat",
        "raw_path": b"/chat",
        "query_string": b"a=1",
        "headers": [(b"host", b"a"), (b"upgrade", b"websocket"), (b"connection", b"upgrade"), (b"x-a", b"1")],
        "state": {"a": 1},
        "extensions": {"websocket.http.response": {}},
        "subprotocols": ["chat", "superchat"],
    }


@pytest.mark.parametrize(("scheme", "becomes"), [("http", "ws"), ("https", "wss"), ("ws", "ws"), ("wss", "wss")])
def test_w1_scheme(make: Any, scheme: str, becomes: str) -> None:
    assert websocket_scope(make(scheme=scheme), [])["scheme"] == becomes


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("forwarded", [b"https", b"wss"])
def test_w1_scheme_behind_a_proxy(make: Any, forwarded: bytes, first: bool) -> None:
    trusted = TrustedHosts("*")
    scope = make(b"X-Forwarded-Proto: " + forwarded, b"X-Forwarded-For: 9.9.9.9")
    if first:
        rewrite_scope(scope, trusted)
    scope = websocket_scope(scope, [])
    if not first:
        rewrite_scope(scope, trusted)
    assert scope["scheme"] == "wss"
    assert scope["client"] == ("9.9.9.9", 0)


def test_w12_every_dict_is_its_own(make: Any, room: Any) -> None:
    builder = builder_of(room)
    plain: dict[str, Any] = make(builder=builder)
    one, two = (websocket_scope(make(builder=builder), []) for _ in range(2))
    for key in ("asgi", "state", "extensions", "headers", "subprotocols"):
        assert len({id(scope.get(key)) for scope in (plain, one, two)}) == 3, key
    assert one["extensions"]["websocket.http.response"] is not two["extensions"]["websocket.http.response"]
    assert plain["extensions"] == {"http.response.pathsend": {}}
    assert plain["method"] == "GET"


def test_w12_what_an_application_does_to_it_stays_there(make: Any, room: Any) -> None:
    builder = builder_of(room)
    scope = websocket_scope(make(builder=builder), [])
    for value in scope.values():
        if type(value) in (dict, list):
            value.clear()
    scope["extensions"]["left"] = scope["state"]["left"] = 1
    del scope
    assert make(builder=builder)["extensions"] == {"http.response.pathsend": {}}
    assert websocket_scope(make(builder=builder), [])["extensions"] == {"websocket.http.response": {}}
    assert make(builder=builder)["state"] == {"a": 1}
