"""Denial responses of WebSockets, X1."""

from __future__ import annotations

from typing import Any

import pytest

from e2e.websocket_frames import handshake
from harness import Gate
from raw_client import get

ACCEPT = {"type": "websocket.accept"}


def start(status: Any = 401, headers: Any = ()) -> dict[str, Any]:
    return {"type": "websocket.http.response.start", "status": status, "headers": headers}


def body(data: Any = b"", more_body: bool = False) -> dict[str, Any]:
    return {"type": "websocket.http.response.body", "body": data, "more_body": more_body}


def denied(server: Any) -> Any:
    client = server.connect()
    client.send(handshake(b"/"))
    response = client.response()
    assert client.closed()
    return response


@pytest.mark.parametrize("length", [[], [(b"content-length", b"12")]])
def test_x1_a_response_in_two_chunks(serve: Any, length: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["extensions"]["websocket.http.response"] == {}
        events.append(await receive())
        await send(start(401, [(b"content-type", b"application/json"), *length]))
        await send(body(b'{"error":', True))
        await send({"type": "websocket.http.response.body", "body": b" 1}", "x-unknown": 1})
        for message in (ACCEPT, body(b"more"), start(), {"type": "websocket.send", "text": "a"}):
            with pytest.raises(RuntimeError):
                await send(message)
        events.append(await receive())
        done.open()

    events: list[Any] = []
    done = Gate()
    with serve(app) as server:
        response = denied(server)
        done.wait()
    assert (response.status, response.body) == (401, b'{"error": 1}')
    assert response.get(b"content-type") == b"application/json"
    assert response.all(b"sec-websocket-accept") == response.all(b"upgrade") == []
    assert response.get(b"date")
    assert events == [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1006, "reason": ""}]


def test_x1_keys_are_optional(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 404})
        await send({"type": "websocket.http.response.body"})

    with serve(app) as server:
        response = denied(server)
    assert (response.status, response.body) == (404, b"")


def test_x1_headers_may_be_any_iterable(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        fields = [[b"x-b", b"1"], (b"x-a", b"2"), iter([b"x-b", b"3"])]
        await send(start(429, (field for field in fields)))
        await send(body(b"slower"))

    with serve(app, date_header=False, server_header=False) as server:
        response = denied(server)
    assert response.headers[:3] == [(b"x-b", b"1"), (b"x-a", b"2"), (b"x-b", b"3")]
    assert (response.status, response.reason, response.body) == (429, b"Too Many Requests", b"slower")


@pytest.mark.parametrize(
    "wrong", [start(None), start("401"), start(99), start(401, [("a", "b")]), start(401, [(b"a", b"\n")]), body()], ids=repr
)
def test_x1_what_is_wrong_raises_and_can_be_put_right(serve: Any, wrong: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError):
            await send(wrong)
        await send(start(400))
        with pytest.raises(RuntimeError):
            await send(body("text"))
        with pytest.raises(RuntimeError):
            await send(ACCEPT)
        await send(body(b"caught"))

    with serve(app) as server:
        response = denied(server)
    assert (response.status, response.body) == (400, b"caught")


@pytest.mark.parametrize("error", [None, ValueError("of the application")])
def test_x1_an_application_that_ends_before_the_body(serve: Any, error: Exception | None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start())
        if error is not None:
            raise error

    with serve(app) as server:
        response = denied(server)
        (told,) = server.errors()
    assert (response.status, response.body) == (500, b"Internal Server Error")
    assert ("without completing response" in told) if error is None else ("of the application" in told)


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"10")]])
def test_x1_an_application_that_ends_within_the_body(serve: Any, headers: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(401, headers))
        await send(body(b"part", True))
        await seen.passed()
        raise ValueError("of the application")

    seen = Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(handshake(b"/"))
        assert b"part" in client.read_until(b"part")
        seen.open()
        try:
            rest = client.read_to_end()
        except ConnectionResetError:
            rest = b""
        assert b"0\r\n\r\n" not in rest, "no clean end"
        assert len(server.errors()) == 1


def test_x1_what_follows_is_no_request(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        calls.append(scope["path"])
        await send(start(403))
        await send(body(b"no"))

    calls: list[str] = []
    with serve(app) as server:
        client = server.connect()
        client.send(handshake(b"/first") + get(b"/smuggled"))
        assert client.response().body == b"no"
        assert client.closed()
    assert calls == ["/first"]
