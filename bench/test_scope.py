"""Micro-benchmarks of the scope builder, both twins: the head of a parsed request to the scope that the application gets.

python -m pytest bench/test_scope.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import traffic
from picocorn.asgi.proxy_headers import TrustedHosts, rewrite_scope
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import HEAD

Room = Callable[[str], ModuleType]

#: name -> (request, path of its scope)
REQUESTS = {
    "raw": (traffic.RAW_GET, "/"),
    "browser": (traffic.BROWSER_GET, "/articles/2026"),
    "percent-encoded": (traffic.browser_get("/caf%C3%A9/%E2%82%AC%20100/menu?q=%41"), "/café/€ 100/menu"),
}


CLIENT = ("127.0.0.1", 50000)
SERVER = ("127.0.0.1", 8000)


def builder_and_head(room: Room, request: bytes, root_path: str = "") -> tuple[Any, Any]:
    parser = room("http1.parser").RequestParser(HTTP1Limits())
    parser.feed(request)
    assert parser.next_event() == HEAD
    builder = room("asgi.scope").ScopeBuilder(
        scheme="http",
        root_path=root_path,
        app_state={"pool": object()},
        asgi_version="3.0",
        extensions=("http.response.early_hint", "http.response.pathsend", "http.response.trailers", "http.response.zerocopysend"),
    )
    return builder, parser.head


@pytest.mark.parametrize("name", REQUESTS)
def test_build(benchmark: Any, room: Room, name: str) -> None:
    request, path = REQUESTS[name]
    builder, head = builder_and_head(room, request)
    scope = benchmark(builder.build, head, CLIENT, SERVER)
    assert scope["path"] == path
    assert scope["raw_path"] == request.split(b" ", 2)[1].partition(b"?")[0]
    assert len(scope["headers"]) == request.count(b"\r\n") - 2
    assert scope["client"] == CLIENT


def test_build_below_a_root_path(benchmark: Any, room: Room) -> None:
    builder, head = builder_and_head(room, traffic.BROWSER_GET, "/shop")
    scope = benchmark(builder.build, head, CLIENT, SERVER)
    assert (scope["path"], scope["root_path"]) == ("/shop/articles/2026", "/shop")


def test_rewrite_for_a_proxy(benchmark: Any) -> None:
    """The price of a trusted peer whose request carries no field of a proxy, as in a load test on one machine. No twins here."""
    headers = [(b"name-%d" % n, b"value") for n in range(12)]
    scope = {"type": "http", "scheme": "http", "client": ("127.0.0.1", 50000), "headers": headers}
    benchmark(rewrite_scope, scope, TrustedHosts("127.0.0.1"))
    assert scope["client"] == ("127.0.0.1", 50000)
