"""The HTTP scope, H1 to H14."""

from __future__ import annotations

import copy
import pickle
import socket
from pathlib import Path
from typing import Any

import pytest

from conformance.applications import Recorder, answer, lifespan_answered, read_all
from harness import Client, wait_until
from raw_client import get


@pytest.fixture
def scope_of(serve: Any) -> Any:
    """The scope of a request made of these bytes."""

    def scope_of(request: bytes, **config: Any) -> dict[str, Any]:
        app = Recorder()
        with serve(app, **config) as server:
            client = server.connect()
            client.send(request)
            assert client.response().status == 200
        return app.scope

    return scope_of


def test_h1_type_and_versions(scope_of: Any) -> None:
    scope = scope_of(get())
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_h2_http_version(scope_of: Any, version: str) -> None:
    assert scope_of(get(version=version.encode()))["http_version"] == version


@pytest.mark.parametrize(("sent", "method"), [(b"GET", "GET"), (b"get", "GET"), (b"X-OWN", "X-OWN")])
def test_h3_method_is_upper_case(scope_of: Any, sent: bytes, method: str) -> None:
    assert scope_of(get(method=sent))["method"] == method


def test_h4_scheme(scope_of: Any) -> None:
    assert scope_of(get())["scheme"] == "http"


@pytest.mark.parametrize(
    ("target", "path"),
    [(b"/%E4%BD%A0%2Fa%zz", "/你/a%zz"), (b"/%ff", "/\ufffd"), (b"/a+b", "/a+b"), (b"/%00", "/\0"), (b"http://b/c%20d", "/c d")],
)
def test_h5_path_is_decoded(scope_of: Any, target: bytes, path: str) -> None:
    assert scope_of(get(target))["path"] == path


def test_h6_raw_path_is_not_decoded_and_has_no_query(scope_of: Any) -> None:
    assert scope_of(get(b"/a%2Fb?x"))["raw_path"] == b"/a%2Fb"


@pytest.mark.parametrize(("target", "query"), [(b"/?a=%20b&c", b"a=%20b&c"), (b"/", b""), (b"/?", b""), (b"/?a?b", b"a?b")])
def test_h7_query_string_is_not_decoded(scope_of: Any, target: bytes, query: bytes) -> None:
    assert scope_of(get(target))["query_string"] == query


def test_h8_path_includes_root_path(scope_of: Any) -> None:
    scope = scope_of(get(b"/x%20y"), root_path="/api")
    assert (scope["root_path"], scope["path"], scope["raw_path"]) == ("/api", "/api/x y", b"/api/x%20y")
    assert scope_of(get())["root_path"] == ""


def test_h9_headers_keep_order_and_duplicates(scope_of: Any) -> None:
    scope = scope_of(get(b"/", b"X-A:  1 ", b"Cookie: a=1", b"x-a: 2", b"Cookie: b=2", b"X-B: \xe9"))
    assert scope["headers"] == [
        (b"host", b"a"),
        (b"x-a", b"1"),
        (b"cookie", b"a=1"),
        (b"x-a", b"2"),
        (b"cookie", b"b=2"),
        (b"x-b", b"\xe9"),
    ]
    assert all(type(part) is bytes for field in scope["headers"] for part in field)


def test_h10_the_targets_authority_replaces_host(scope_of: Any) -> None:
    # HTTP/1.1's own form of `:authority` (RFC 9112 3.2.2).
    assert scope_of(get(b"http://b:81/c"))["headers"] == [(b"host", b"b:81")]


def test_h11_addresses_over_tcp(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        client = server.connect()
        ours, theirs = client.address, (server.host, server.port)
        client.request()
    assert app.scope["client"] == ours
    assert app.scope["server"] == theirs
    for address in (ours, theirs):
        assert [type(part) for part in address] == [str, int]
    assert type(app.scope["client"]) is type(app.scope["server"]) is tuple


def test_h11_addresses_over_ipv6(serve: Any) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this machine has no IPv6")
    app = Recorder()
    with serve(app, host="::1") as server:
        client = server.connect()
        ours = client.address[:2]
        client.request()
    assert app.scope["client"] == ours
    assert app.scope["server"][0] == "::1"


def test_h11_addresses_over_a_unix_socket(serve: Any, tmp_path: Path) -> None:
    app = Recorder()
    path = str(tmp_path / "socket")
    with serve(app, uds=path) as server:
        client = Client(path)
        server.clients.append(client)
        client.request()
    assert app.scope["server"] == (path, None)
    assert app.scope["client"] is None


def test_h12_state_is_a_shallow_copy(serve: Any) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = shared
            scope["state"]["n"] = 0
            await lifespan_answered(receive, send)
            return
        seen.append(dict(scope["state"]))
        assert scope["state"]["shared"] is shared
        scope["state"]["n"] = scope["state"]["mine"] = 1
        await answer(send)

    shared: list[int] = []
    with serve(app, lifespan="on") as server:
        client = server.connect()
        for _ in range(2):
            client.request()
        server.get("/")
    assert seen == [{"shared": [], "n": 0}] * 3


def test_h13_the_application_sees_no_chunks(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, await read_all(receive))

    with serve(app) as server:
        client = server.connect()
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        client.send(head + b"3\r\nabc\r\n", b"5;x=y\r\ndefgh\r\n", b"0\r\nX-Trailer: 1\r\n\r\n")
        assert client.response().body == b"abcdefgh"


def test_h13_trailers_never_become_headers(serve: Any) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await read_all(receive)
        await answer(send)

    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/", b"Transfer-Encoding: chunked", method=b"POST") + b"1\r\na\r\n0\r\nX-Forwarded-User: admin\r\n\r\n")
        assert client.response().status == 200
    assert scopes[0]["headers"] == [(b"host", b"a"), (b"transfer-encoding", b"chunked")]


def test_h14_a_connection_alone_starts_nothing(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        client = server.connect()
        server.wait_for_connections(1)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
        server.wait_for_connections(1)
        assert app.scopes == []
        client.send(b"\r\n")
        assert client.response().status == 200
        wait_until(lambda: len(app.scopes) == 1)


def test_scope_can_be_copied_and_pickled(scope_of: Any) -> None:
    scope = scope_of(get(b"/a?b", b"X: y"))
    assert pickle.loads(pickle.dumps(scope)) == scope
    assert copy.deepcopy(scope) == scope
