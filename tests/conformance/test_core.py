"""Core ASGI, C1 to C11."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from conformance.applications import Recorder, answer, body, hello, read_all, start
from harness import Gate
from raw_client import get


def test_c1_one_call_for_each_request(serve: Any) -> None:
    calls = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        await answer(send)

    with serve(app) as server:
        client = server.connect()
        for number in range(3):
            assert client.request(b"/%d" % number).status == 200
    assert calls == ["/0", "/1", "/2"]


def test_c2_scope_is_a_dict_with_type_and_asgi(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        server.get("/")
    assert type(app.scope) is dict
    assert app.scope["type"] == "http"
    assert type(app.scope["asgi"]) is dict
    assert app.scope["asgi"] == {"version": "3.0", "spec_version": "2.5"}


def plain(value: Any) -> bool:
    if type(value) in (list, dict):
        return all(map(plain, value)) and (type(value) is list or all(type(k) is str and plain(v) for k, v in value.items()))
    return type(value) in (bytes, str, int, float, bool, type(None))


def test_c3_c4_events_are_of_plain_types(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        client = server.connect()
        client.send(get(b"/", b"Content-Length: 6", method=b"POST"), b"abc", b"def")
        assert client.response().status == 200
    assert app.events
    for event in app.events:
        assert plain(event), event
    assert all(type(event["body"]) is bytes for event in app.events if event["type"] == "http.request")
    assert app.events[-1] == {"type": "http.disconnect"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "nope"},
        {},
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": "200"},
        start(headers=[("a", "b")]),
        start(headers=[(b"a",)]),
        start(headers=[(b"a", 1)]),
        start(headers=5),
        start(99),
        body(b"before start"),
    ],
    ids=repr,
)
def test_c5_invalid_events_raise(serve: Any, wrong: dict[str, Any]) -> None:
    errors: list[BaseException] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(wrong)
        except Exception as error:
            errors.append(error)
        await answer(send, b"caught")

    with serve(app) as server:
        assert server.get("/").body == b"caught"
    assert len(errors) == 1


@pytest.mark.parametrize("wrong", ["text", None, 5, [b"a"]])
def test_c5_invalid_content_raises(serve: Any, wrong: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        with pytest.raises(RuntimeError):
            await send(body(wrong))
        await send(body(b"caught"))

    with serve(app) as server:
        assert server.get("/").body == b"caught"


def test_c6_extra_keys_do_not_raise(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in (start(trailers=True), body(b"a", True), body(b"b"), {"type": "http.response.trailers", "headers": []}):
            await send({**message, "x-unknown": 1, "another": object()})

    with serve(app) as server:
        assert server.get("/", b"TE: trailers").body == b"ab"


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
def test_c7_exception_before_start_is_a_500(serve: Any, error: type[BaseException]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise error("of the application")

    with serve(app) as server:
        client = server.connect()
        response = client.request()
        assert (response.status, response.body) == (500, b"Internal Server Error")
        assert client.closed()
        # And the server goes on.
        assert server.get("/").status == 500
        assert all(error.__name__ in text for text in server.errors())


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")]])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_c7_exception_within_the_body_is_no_clean_end(serve: Any, headers: Any, version: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(headers=headers))
        await send(body(b"part", True))
        await seen.passed()
        raise ValueError("of the application")

    with serve(app) as server:
        seen = Gate()
        client = server.connect()
        client.send(get(version=version))
        assert b"part" in client.read_until(b"part")
        seen.open()
        if headers or version == b"1.1":
            # The framing shows that something is missing.
            assert b"0\r\n\r\n" not in read_the_rest(client)
        else:
            with pytest.raises(ConnectionResetError):
                client.read_to_end()
        server.wait_for_connections(0)
        assert len(server.errors()) == 1


def read_the_rest(client: Any) -> bytes:
    try:
        return client.read_to_end()
    except ConnectionResetError:
        return b""


def test_c8_send_after_the_end_is_a_no_op(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, b"all")
        for message in (start(), body(b"more", True), body(b"more")):
            await send(message)

    with serve(app) as server:
        client = server.connect()
        for _ in range(2):
            assert client.request().body == b"all"


def test_c8_an_escaping_disconnect_is_no_error(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        await send(body(b"part", True))
        await gone.passed()
        while (await receive())["type"] != "http.disconnect":
            pass
        try:
            # The first piece may still fit into the kernel.
            while True:
                await send(body(b"x" * 100_000, True))
                await asyncio.sleep(0)
        except OSError:
            raised.open()
            raise

    gone, raised = Gate(), Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(get())
        client.read_until(b"part")
        client.reset()
        gone.open()
        raised.wait()
        server.wait_for_tasks(0)
    assert server.messages(logging.WARNING) == []


def test_c9_extensions_are_dicts(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        server.get("/")
    extensions = app.scope["extensions"]
    assert type(extensions) is dict
    assert extensions
    assert all(type(name) is str and type(value) is dict for name, value in extensions.items())


class DoubleCallable:
    """ASGI 2."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        await answer(send, self.scope["path"].encode() + await read_all(receive))


@pytest.mark.parametrize("interface", ["auto", "asgi2"])
def test_c10_double_callable(serve: Any, interface: str) -> None:
    with serve(DoubleCallable, interface=interface) as server:
        assert server.get("/asgi2").body == b"/asgi2"


def test_c11_a_changed_scope_changes_nothing(serve: Any) -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append({key: dict(value) if type(value) is dict else value for key, value in scope.items() if key != "headers"})
        seen[-1]["headers"] = list(scope["headers"])
        for value in scope.values():
            if type(value) in (dict, list):
                value.clear()
        scope["state"]["left"] = scope["asgi"]["left"] = scope["extensions"]["left"] = 1
        scope["method"], scope["http_version"] = "CHANGED", "9"
        await hello({**scope}, receive, send)

    with serve(app) as server:
        client = server.connect()
        for _ in range(3):
            assert client.request(b"/x").body == b"/x"
    assert seen[0] == seen[1] == seen[2]
