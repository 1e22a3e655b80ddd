"""Applications that are not ASGI 3: recognised, and adapted."""

from __future__ import annotations

import asyncio
import builtins
import functools
from typing import Any

import pytest

from picocorn.asgi.adapters import ASGI2Middleware, WSGIMiddleware, accepts_positional, detect_interface
from picocorn.base.errors import ConfigError


async def asgi3(scope: Any, receive: Any, send: Any) -> None: ...


def asgi3_that_returns_a_coroutine(scope: Any, receive: Any, send: Any) -> Any:
    return asgi3(scope, receive, send)


class CallableASGI3:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class AwaitableASGI3:
    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...

    def __await__(self) -> Any:
        yield


class ASGI2:
    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await send({"type": "x", "scope": self.scope, "received": await receive()})


def asgi2(scope: Any) -> Any:
    return ASGI2(scope)


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("content-type", "text/plain")])
    return [environ["PATH_INFO"].encode()]


def anything(*args: Any, **kwargs: Any) -> Any: ...


@pytest.mark.parametrize(
    ("app", "expected"),
    [
        (asgi3, "asgi3"),
        (functools.partial(asgi3), "asgi3"),
        (asgi3_that_returns_a_coroutine, "asgi3"),
        (CallableASGI3(), "asgi3"),
        (AwaitableASGI3, "asgi3"),
        (ASGI2, "asgi2"),
        (asgi2, "asgi2"),
        (anything, "asgi2"),
        (wsgi, "wsgi"),
    ],
)
def test_detect_interface(app: Any, expected: str) -> None:
    assert detect_interface(app) == expected


def test_what_can_be_called_with_how_many_arguments() -> None:
    assert accepts_positional(asgi3, 3)
    assert not accepts_positional(asgi3, 2)
    assert accepts_positional(anything, 0)
    # A builtin that does not tell: it may be tried.
    assert accepts_positional(min, 3)


def test_double_callable() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return "received"

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(ASGI2Middleware(ASGI2)("scope", receive, send))
    assert sent == [{"type": "x", "scope": "scope", "received": "received"}]


def test_wsgi_runs_in_a_thread() -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/x",
        "root_path": "",
        "query_string": b"",
        "headers": [],
        "scheme": "http",
        "server": ("a", 80),
        "client": ("b", 1),
    }
    asyncio.run(WSGIMiddleware(wsgi)(scope, receive, send))
    assert sent[0]["status"] == 200
    assert b"".join(message.get("body", b"") for message in sent[1:]) == b"/x"


def test_wsgi_without_a2wsgi(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "a2wsgi":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigError, match="pip install a2wsgi"):
        WSGIMiddleware(wsgi)
