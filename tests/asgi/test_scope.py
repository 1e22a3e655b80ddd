"""Scopes of both bodies: the rules H1 to H14 that concern a scope, and hypothesis looking for heads that tell them apart."""

from __future__ import annotations

import copy
import gc
import importlib
import os
import pickle
import random
import sys
import weakref
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picocorn.base.limits import HTTP1Limits
from picocorn.base.native import NO_EXTENSIONS_VARIABLE
from picocorn.http1.events import HEAD

OPTIONS: dict[str, Any] = {
    "scheme": "http",
    "root_path": "",
    "app_state": {},
    "asgi_version": "3.0",
    "extensions": ("http.response.trailers",),
}


SERVER = ("127.0.0.1", 8000)
CLIENT = ("10.0.0.1", 4242)


def build(suffix: str, request: bytes, client: Any = CLIENT, server: Any = SERVER, **options: Any) -> dict[str, Any]:
    parser = importlib.import_module(f"picocorn.http1.parser{suffix}").RequestParser(HTTP1Limits())
    parser.feed(request)
    assert parser.next_event() == HEAD
    builder = importlib.import_module(f"picocorn.asgi.scope{suffix}").ScopeBuilder(**{**OPTIONS, **options})
    return builder.build(parser.head, client, server)


@pytest.fixture
def scope(twin: str) -> Callable[..., dict[str, Any]]:
    suffix = "_c" if twin == "native" else "_py"

    def scope(target: bytes = b"/", *fields: bytes, method: bytes = b"GET", version: bytes = b"1.1", **options: Any) -> Any:
        request = b"\r\n".join((b"%b %b HTTP/%b" % (method, target, version), b"Host: a", *fields, b"", b""))
        return build(suffix, request, **options)

    return scope


def test_h1_all_of_it(scope: Any) -> None:
    assert scope(b"/a%20b?c=%20") == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("10.0.0.1", 4242),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=%20",
        "headers": [(b"host", b"a")],
        "state": {},
        "extensions": {"http.response.trailers": {}},
    }


def test_c2_plain_types(scope: Any) -> None:
    one = scope()
    for part in (one, one["asgi"], one["extensions"], one["extensions"]["http.response.trailers"], one["state"]):
        assert type(part) is dict
    assert type(one["headers"]) is list
    assert all(type(name) is type(value) is bytes for name, value in one["headers"])
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one


def test_c11_scopes_share_nothing(room: Callable[[str], ModuleType]) -> None:
    parser = room("http1.parser").RequestParser(HTTP1Limits())
    builder = room("asgi.scope").ScopeBuilder(**OPTIONS)
    scopes = []
    for _ in range(2):
        parser.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert parser.next_event() == HEAD
        scopes.append(builder.build(parser.head, CLIENT, SERVER))
        parser.next_event()
        if len(scopes) == 1:
            for part in ("asgi", "headers", "state", "extensions"):
                scopes[0][part].clear()
            scopes[0]["asgi"]["x"] = scopes[0]["state"]["x"] = 1
            scopes[0]["path"] = "/changed"
    assert scopes[1] == {**scopes[1], **OPTIONS_OF_A_PLAIN_GET}


OPTIONS_OF_A_PLAIN_GET = {
    "asgi": {"version": "3.0", "spec_version": "2.5"},
    "headers": [(b"host", b"a")],
    "state": {},
    "extensions": {"http.response.trailers": {}},
    "path": "/",
}


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_h2_http_version(scope: Any, version: str) -> None:
    assert scope(version=version.encode())["http_version"] == version


@pytest.mark.parametrize("method", [b"GET", b"FOO", b"M-SEARCH", b"delete"])
def test_h3_method(scope: Any, method: bytes) -> None:
    assert scope(method=method)["method"] == method.decode().upper()


def test_h4_scheme(scope: Any) -> None:
    assert scope(scheme="https")["scheme"] == "https"


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/%E4%BD%A0", "/你"),
        (b"/%2F", "//"),
        (b"/%2f%2F", "///"),
        (b"/a%zz", "/a%zz"),
        (b"/a%", "/a%"),
        (b"/a%4", "/a%4"),
        (b"/%4", "/%4"),
        (b"/%41", "/A"),
        (b"/%%41", "/%A"),
        (b"/%2541", "/%41"),
        (b"/%4%41", "/%4A"),
        (b"/%00", "/\0"),
        (b"/%0a", "/\n"),
        (b"/%ff", "/\ufffd"),
        (b"/%E4%BD", "/\ufffd"),
        (b"/%c0%af", "/\ufffd\ufffd"),
        (b"/%ed%a0%80", "/\ufffd\ufffd\ufffd"),
        (b"/%F0%9F%98%80", "/😀"),
        (b"/+", "/+"),
        (b"/.././a", "/.././a"),
        (b"//a//b", "//a//b"),
        (b"/;p=1", "/;p=1"),
    ],
)
def test_h5_path_is_decoded(scope: Any, target: bytes, path: str) -> None:
    one = scope(target)
    assert one["path"] == path
    assert one["raw_path"] == target


@pytest.mark.parametrize(
    ("target", "raw_path", "query_string"),
    [
        (b"/a%2Fb?x", b"/a%2Fb", b"x"),
        (b"/?a=%20b&c", b"/", b"a=%20b&c"),
        (b"/?", b"/", b""),
        (b"/?a?b", b"/", b"a?b"),
        (b"/%3F", b"/%3F", b""),
        (b"http://a", b"/", b""),
        (b"http://a/b%20?c", b"/b%20", b"c"),
    ],
)
def test_h6_h7_raw_path_and_query(scope: Any, target: bytes, raw_path: bytes, query_string: bytes) -> None:
    one = scope(target)
    assert one["raw_path"] == raw_path
    assert one["query_string"] == query_string


def test_h8_root_path_is_part_of_the_path(scope: Any) -> None:
    one = scope(b"/x%20y", root_path="/api")
    assert (one["root_path"], one["path"], one["raw_path"]) == ("/api", "/api/x y", b"/api/x%20y")


def test_h8_root_path_that_is_not_ascii(scope: Any) -> None:
    one = scope(b"/x", root_path="/é")
    assert (one["root_path"], one["path"], one["raw_path"]) == ("/é", "/é/x", "/é/x".encode())


@pytest.mark.parametrize("root_path", ["", "/api"])
def test_asterisk_is_no_path(scope: Any, root_path: str) -> None:
    one = scope(b"*", method=b"OPTIONS", root_path=root_path)
    assert (one["path"], one["raw_path"]) == ("*", b"*")


def test_h9_headers_keep_order_and_duplicates(scope: Any) -> None:
    headers = scope(b"/", b"X-A: 1", b"Cookie: a", b"x-a: 2", b"Cookie: b")["headers"]
    assert headers == [(b"host", b"a"), (b"x-a", b"1"), (b"cookie", b"a"), (b"x-a", b"2"), (b"cookie", b"b")]


@pytest.mark.parametrize(
    ("server", "client"), [(("::1", 80), ("::2", 81)), (("/run/x.sock", None), None), (None, None), (("a", 1), ("b", 2))]
)
def test_h11_addresses(scope: Any, server: Any, client: Any) -> None:
    one = scope(server=server, client=client)
    assert (one["server"], one["client"]) == (server, client)


def test_h12_state_is_a_shallow_copy(scope: Any) -> None:
    shared: list[int] = []
    state = {"shared": shared}
    one = scope(app_state=state)
    assert one["state"] == state
    assert one["state"] is not state
    assert one["state"]["shared"] is shared


def test_c9_extensions_are_dicts(scope: Any) -> None:
    assert scope(extensions=("a", "b"))["extensions"] == {"a": {}, "b": {}}
    assert scope(extensions=())["extensions"] == {}


#: What may stand in a target, with plenty of what may look like an escape.
TARGETS = st.lists(
    st.sampled_from([b"%", b"2", b"F", b"f", b"/", b"?", b"%4", b"%41", b"%E4%BD%A0", b"%ff", b"z", b"*", b";", b"+"])
)


@pytest.mark.skipif(os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0"), reason="the native body was deselected")
@given(
    pieces=TARGETS,
    path=st.lists(st.integers(0x21, 0x7E).filter(lambda byte: byte != ord("#")), max_size=30),
    root_path=st.sampled_from(["", "/api", "/é", "/%41"]),
    fields=st.lists(st.sampled_from([b"X-A: 1", b"x-a:2", b"Cookie: a=1", b"Accept: */*"]), max_size=4),
    version=st.sampled_from([b"1.0", b"1.1"]),
)
def test_both_bodies_build_the_same(pieces: Any, path: Any, root_path: str, fields: Any, version: bytes) -> None:
    target = b"/" + b"".join(pieces) + bytes(path)
    request = b"\r\n".join((b"GET " + target + b" HTTP/" + version, b"Host: a", *fields, b"", b""))
    native, pure = (build(suffix, request, root_path=root_path) for suffix in ("_c", "_py"))
    assert native == pure
    assert list(native) == list(pure)


def test_c11_what_a_scope_holds_belongs_to_one_request_alone(twin: str) -> None:
    """The native builder gives the same dicts out again, but only when nobody can tell."""
    suffix = "_c" if twin == "native" else "_py"
    parser = importlib.import_module(f"picocorn.http1.parser{suffix}").RequestParser(HTTP1Limits())
    builder = importlib.import_module(f"picocorn.asgi.scope{suffix}").ScopeBuilder(**{**OPTIONS, "extensions": ("one", "two")})
    fresh = {"asgi": {"version": "3.0", "spec_version": "2.5"}, "state": {}, "extensions": {"one": {}, "two": {}}}

    def scope() -> dict[str, Any]:
        parser.feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        while parser.next_event() != HEAD:
            pass
        built: dict[str, Any] = builder.build(parser.head, CLIENT, SERVER)
        assert {key: built[key] for key in fresh} == fresh
        return built

    for key in fresh:
        kept = scope()[key]
        kept["mine"] = 1
        assert scope()[key] is not kept
        again = scope()[key]
        assert scope()[key] is not again
        assert kept["mine"] == 1
    kept_inner: list[Any] = []
    inner = scope()["extensions"]["two"]
    inner["mine"] = 2
    for change in (
        lambda given: given.clear(),
        lambda given: given["extensions"].clear(),
        lambda given: given["extensions"].update(one=3),
        lambda given: given["extensions"].update(three={}),
        lambda given: given["extensions"]["two"].update(mine=4),
        lambda given: given["extensions"].update(one=given["extensions"]["two"]),
        lambda given: given["extensions"].pop("one") or given["extensions"].update(four={}),
        lambda given: given["extensions"].update(four=given["extensions"].pop("one")),
        lambda given: given["extensions"].update(one={"mine": given["extensions"]["one"]}),
        lambda given: kept_inner.append(given["extensions"]["one"]) or given["extensions"].update(one={}),
        lambda given: given["asgi"].update(version="4.0"),
        lambda given: given["asgi"].pop("version"),
        lambda given: given["asgi"].pop("version") and given["asgi"].update(mine=1),
        lambda given: given["state"].update(mine=1),
        lambda given: given.update(method="PUT", client=None, query_string=b"x"),
    ):
        change(scope())
        assert scope() == scope()
    held = [scope() for _ in range(3)]
    for key in fresh:
        assert len({id(given[key]) for given in held}) == 3
    assert len({id(given["extensions"]["one"]) for given in held}) == 3
    assert inner == {"mine": 2}


def test_one_builder_serves_all_connections(twin: str) -> None:
    suffix = "_c" if twin == "native" else "_py"
    parsers = importlib.import_module(f"picocorn.http1.parser{suffix}")
    builder = importlib.import_module(f"picocorn.asgi.scope{suffix}").ScopeBuilder(**OPTIONS)
    requests = (
        b"GET /one HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET /one?two HTTP/1.1\r\nhost: a\r\n\r\n",
        b"POST /three HTTP/1.0\r\n\r\n",
        b"PROPFIND /four HTTP/1.1\r\nhost: b\r\n\r\n",
    )
    peers = ((CLIENT, SERVER), (None, SERVER), (("10.0.0.2", 1), ("::1", 8000)), (None, None))
    for request in (*requests, *reversed(requests)):
        for client, server in peers:
            parser = parsers.RequestParser(HTTP1Limits())
            parser.feed(request)
            assert parser.next_event() == HEAD
            assert builder.build(parser.head, client, server) == build(suffix, request, client, server)


def test_c11_holds_for_requests_that_overlap(twin: str) -> None:
    suffix = "_c" if twin == "native" else "_py"
    parser = importlib.import_module(f"picocorn.http1.parser{suffix}").RequestParser(HTTP1Limits())
    builder = importlib.import_module(f"picocorn.asgi.scope{suffix}").ScopeBuilder(**OPTIONS)
    parser.feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert parser.next_event() == HEAD
    chance = random.Random(3)
    running: list[dict[str, Any]] = []
    for number in range(2000):
        scope = builder.build(parser.head, CLIENT, SERVER)
        assert (scope["asgi"], scope["state"]) == ({"version": "3.0", "spec_version": "2.5"}, {})
        assert scope["extensions"] == {"http.response.trailers": {}}
        if chance.random() < 0.2:
            scope["state"]["mine"] = scope["extensions"]["http.response.trailers"]["mine"] = scope["asgi"]["mine"] = number
        running.append(scope)
        while len(running) > (number // 500) * 100:
            running.pop(chance.randrange(len(running)))
        inner = [each for held in running for each in (held["asgi"], held["state"], *held["extensions"].values())]
        assert len({id(each) for each in inner}) == 3 * len(running)


def test_nothing_that_applications_keep_in_a_scope_outlives_its_request(twin: str) -> None:
    class Kept:
        pass

    suffix = "_c" if twin == "native" else "_py"
    parser = importlib.import_module(f"picocorn.http1.parser{suffix}").RequestParser(HTTP1Limits())
    builder = importlib.import_module(f"picocorn.asgi.scope{suffix}").ScopeBuilder(**OPTIONS)
    parser.feed(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    assert parser.next_event() == HEAD
    references = []
    for overlapping in (1, 1, 3, 3, 1):
        scopes = [builder.build(parser.head, CLIENT, SERVER) for _ in range(overlapping)]
        for scope in scopes:
            kept = Kept()
            references.append(weakref.ref(kept))
            scope["mine"] = scope["state"]["mine"] = kept
        del kept, scope, scopes
    assert [reference() for reference in references] == [None] * 9


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the collector runs between instructions only, from 3.12 on")
def test_a_finalizer_that_comes_in_between_changes_nothing(twin: str) -> None:
    class Finalized:
        def __init__(self) -> None:
            self.myself = self

        def __del__(self) -> None:
            came.append(builder.build(other.head, ("6.6.6.6", 6), None))

    suffix = "_c" if twin == "native" else "_py"
    parsers = importlib.import_module(f"picocorn.http1.parser{suffix}")
    builder = importlib.import_module(f"picocorn.asgi.scope{suffix}").ScopeBuilder(**OPTIONS)
    parser, other = parsers.RequestParser(HTTP1Limits()), parsers.RequestParser(HTTP1Limits())
    parser.feed(b"POST /a?who=a HTTP/1.1\r\nhost: a\r\n\r\n")
    other.feed(b"GET /b?who=b HTTP/1.0\r\n\r\n")
    assert (parser.next_event(), other.next_event()) == (HEAD, HEAD)
    expected = {key: value for key, value in builder.build(parser.head, CLIENT, SERVER).items() if key != "headers"}
    came: list[Any] = []
    thresholds = gc.get_threshold()
    held: list[Any] = []
    try:
        for allocations in range(1, 12):
            Finalized()
            gc.set_threshold(allocations, 1, 1)
            held.append(builder.build(parser.head, CLIENT, SERVER))
            gc.set_threshold(*thresholds)
            assert {key: value for key, value in held[-1].items() if key != "headers"} == expected
    finally:
        gc.set_threshold(*thresholds)
    gc.collect()
    assert len(came) == 11
    inner = [each for scope in (*held, *came) for each in (scope["asgi"], scope["state"], scope["extensions"])]
    assert len({id(each) for each in inner}) == len(inner)
