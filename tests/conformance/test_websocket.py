"""WebSocket, W1 to W12."""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import Any

import pytest

from conformance.applications import lifespan_answered
from e2e.websocket_frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, handshake, upgrade
from harness import Gate

ACCEPT = {"type": "websocket.accept"}
CONNECT = {"type": "websocket.connect"}


class Recorder:
    """Accepts, keeps its scope and every event, and sends back each message until it is told the end."""

    def __init__(self, **accept: Any) -> None:
        self.accept = {**ACCEPT, **accept}
        self.scopes: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.ended = Gate()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scopes.append(scope)
        self.events.append(await receive())
        await send(self.accept)
        while self.events[-1]["type"] != "websocket.disconnect":
            self.events.append(await receive())
            if self.events[-1]["type"] == "websocket.receive":
                await send({**self.events[-1], "type": "websocket.send"})
        self.ended.open()

    @property
    def scope(self) -> dict[str, Any]:
        """The only one."""
        (scope,) = self.scopes
        return scope


# -- W1 -----------------------------------------------------------------------------------------------------------------


def test_w1_scope(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        client = server.connect()
        websocket = upgrade(client, b"/a%20b?c=%20d", b"Sec-WebSocket-Protocol: chat, superchat", b"X-A: 1")
        ours, theirs = client.address, server.address
        websocket.close()
        app.ended.wait()
    assert type(app.scope) is dict
    headers = app.scope.pop("headers")
    assert {(b"host", b"a"), (b"x-a", b"1"), (b"upgrade", b"websocket")} <= set(headers)
    assert [type(part) for field in headers for part in field] == [bytes] * (2 * len(headers))
    assert app.scope == {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "1.1",
        "scheme": "ws",
        "server": theirs,
        "client": ours,
        "root_path": "",
        "path": "/a b",
        "raw_path": b"/a%20b",
        "query_string": b"c=%20d",
        "subprotocols": ["chat", "superchat"],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


def test_w1_no_subprotocols_are_an_empty_list(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        upgrade(server.connect()).close()
        app.ended.wait()
    assert app.scope["subprotocols"] == []


def test_w1_root_path_and_proxy(serve: Any) -> None:
    app = Recorder()
    with serve(app, root_path="/api", forwarded_allow_ips="127.0.0.1") as server:
        upgrade(server.connect(), b"/x", b"X-Forwarded-Proto: https", b"X-Forwarded-For: 9.9.9.9").close()
        app.ended.wait()
    assert (app.scope["path"], app.scope["root_path"]) == ("/api/x", "/api")
    assert (app.scope["scheme"], app.scope["client"]) == ("wss", ("9.9.9.9", 0))


# -- W2, W3, W4 ---------------------------------------------------------------------------------------------------------


def test_w2_the_handshake_waits_for_the_application(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        connected.open()
        await accepted.passed()
        await send(ACCEPT)
        await receive()

    connected, accepted = Gate(), Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(handshake(b"/"))
        connected.wait()
        # The server has had turns enough to say something: it has answered somebody else.
        other = server.connect()
        other.send(b"nonsense\r\n\r\n")
        assert other.head().status == 400
        assert not client.has_input()
        accepted.open()
        assert client.head().status == 101


def test_w3_accept_with_subprotocol_and_headers(serve: Any) -> None:
    app = Recorder(subprotocol="superchat", headers=iter([[b"x-a", b"1"], (b"x-b", b"2"), (b"set-cookie", b"a=b")]))
    with serve(app) as server:
        websocket = upgrade(server.connect(), b"/", b"Sec-WebSocket-Protocol: chat", b"Sec-WebSocket-Protocol: superchat")
        assert websocket.response.get(b"sec-websocket-protocol") == b"superchat"
        assert websocket.response.headers[-3:] == [(b"x-a", b"1"), (b"x-b", b"2"), (b"set-cookie", b"a=b")]
        websocket.close()
        app.ended.wait()


def test_w3_no_subprotocol_unless_the_application_says_so(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        websocket = upgrade(server.connect(), b"/", b"Sec-WebSocket-Protocol: chat")
        assert websocket.response.all(b"sec-websocket-protocol") == []
        websocket.close()
        app.ended.wait()


@pytest.mark.parametrize(
    "wrong",
    [
        {"headers": [(b"sec-websocket-protocol", b"chat")]},
        {"headers": [(b"Sec-WebSocket-Accept", b"x")]},
        {"headers": [(b"x", b"a\r\nb: c")]},
        {"headers": [("x", "y")]},
        {"subprotocol": "other"},
        {"subprotocol": b"chat"},
    ],
    ids=repr,
)
def test_w3_what_accept_must_not_say(serve: Any, wrong: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError):
            await send({**ACCEPT, **wrong})
        await send({**ACCEPT, "subprotocol": "chat"})
        await receive()

    with serve(app) as server:
        websocket = upgrade(server.connect(), b"/", b"Sec-WebSocket-Protocol: chat")
        assert websocket.response.all(b"sec-websocket-protocol") == [b"chat"]
        assert b"b" not in [name for name, _ in websocket.response.headers]


@pytest.mark.parametrize("more", [{}, {"code": 4003, "reason": "no"}])
def test_w4_close_before_accept_is_a_403(serve: Any, more: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        events.append(await receive())
        await send({"type": "websocket.close", **more})
        events.append(await receive())
        with pytest.raises(OSError, match="closed"):
            await send(ACCEPT)
        done.open()

    events: list[Any] = []
    done = Gate()
    with serve(app) as server:
        client = server.connect()
        client.send(handshake(b"/"))
        response = client.response()
        assert (response.status, response.body) == (403, b"")
        assert response.all(b"sec-websocket-accept") == []
        assert client.closed()
        done.wait()
    assert events == [CONNECT, {"type": "websocket.disconnect", "code": 1006, "reason": ""}]


# -- W5, W6, W7 ---------------------------------------------------------------------------------------------------------


def test_w5_complete_messages_of_plain_types(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        websocket.send(TEXT, "é".encode()[:1], fin=False)
        websocket.send(PING, b"between")
        websocket.send(CONTINUATION, "é".encode()[1:], fin=False)
        websocket.send(CONTINUATION, b"!")
        websocket.send(BINARY, b"\x00\xff")
        websocket.send(TEXT, b"")
        websocket.send(BINARY, b"")
        assert [websocket.read() for _ in range(5)] == [
            Frame(PONG, b"between"),
            Frame(TEXT, "é!".encode()),
            Frame(BINARY, b"\x00\xff"),
            Frame(TEXT, b""),
            Frame(BINARY, b""),
        ]
        websocket.close(1000, "bye")
        app.ended.wait()
    assert app.events == [
        CONNECT,
        {"type": "websocket.receive", "text": "é!"},
        {"type": "websocket.receive", "bytes": b"\x00\xff"},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b""},
        {"type": "websocket.disconnect", "code": 1000, "reason": "bye"},
    ]
    assert all(type(event) is dict for event in app.events)
    assert {type(value) for event in app.events for value in event.values()} == {str, bytes, int}


@pytest.mark.parametrize(
    "wrong",
    [{}, {"text": None, "bytes": None}, {"text": "a", "bytes": b"a"}, {"text": b"a"}, {"bytes": "a"}, {"text": "\ud800"}],
    ids=repr,
)
def test_w6_exactly_one_of_bytes_and_text(serve: Any, wrong: dict[str, Any]) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        with pytest.raises(RuntimeError):
            await send({"type": "websocket.send", **wrong})
        await send({"type": "websocket.send", "text": "caught", "bytes": None, "x-unknown": object()})
        await send({"type": "websocket.send", "bytes": memoryview(b"xaxbx")[1::2], "text": None})

    with serve(app) as server:
        websocket = upgrade(server.connect())
        assert websocket.read_message() == "caught"
        assert websocket.read_message() == b"ab"


def test_w7_pings_are_answered_by_the_server(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        websocket.send(PING, b"1")
        websocket.send(PING, b"2")
        assert [websocket.read(), websocket.read()] == [Frame(PONG, b"1"), Frame(PONG, b"2")]
        websocket.close()
        app.ended.wait()
    assert [event["type"] for event in app.events] == ["websocket.connect", "websocket.disconnect"]


def test_w7_idle_clients_are_asked(serve: Any) -> None:
    app = Recorder()
    with serve(app, ws_ping_interval=0.05) as server:
        websocket = upgrade(server.connect())
        for _ in range(2):
            ping = websocket.read()
            assert ping.opcode == PING
            websocket.send(PONG, ping.payload)
        websocket.client.reset()
        app.ended.wait()


# -- W8, W9, W10 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "reason", "told"), [(1000, "", 1000), (4001, "why nöt", 4001), (None, "", 1005), (1001, "", 1001)]
)
def test_w8_the_clients_close(serve: Any, code: int | None, reason: str, told: int) -> None:
    app = Recorder()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        websocket.close(code, reason)
        assert websocket.read().close_code == told
        assert websocket.closed()
        app.ended.wait()
    assert app.events[1:] == [{"type": "websocket.disconnect", "code": told, "reason": reason}]


@pytest.mark.parametrize("how", ["reset", "close", "half_close"])
def test_w8_a_client_that_is_lost(serve: Any, how: str) -> None:
    app = Recorder()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        websocket.send(TEXT, b"seen")
        assert websocket.read_message() == "seen"
        getattr(websocket.client, how)()
        app.ended.wait()
    assert app.events[2:] == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@pytest.mark.parametrize(
    ("opcode", "payload", "code"),
    [(TEXT, b"\xff", 1007), (3, b"", 1002), (BINARY, b"x" * 101, 1009)],
    ids=["utf-8", "opcode", "size"],
)
def test_w8_a_client_that_breaks_the_protocol(serve: Any, opcode: int, payload: bytes, code: int) -> None:
    app = Recorder()
    with serve(app, ws_max_size=100) as server:
        websocket = upgrade(server.connect())
        websocket.send(opcode, payload)
        assert websocket.read().close_code == code
        assert websocket.closed()
        app.ended.wait()
    assert app.events[1]["type"] == "websocket.disconnect"
    assert app.events[1]["code"] == code


def test_w8_a_server_that_ends(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        server.stop()
        assert websocket.read_close() == (1012, "")
        websocket.close(1012)
        assert websocket.closed()
        app.ended.wait()
    assert app.events[1:] == [{"type": "websocket.disconnect", "code": 1012, "reason": ""}]


def test_w8_told_for_ever_and_after_what_came_before(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await gone.passed()
        while len(events) < 6:
            events.append(await receive())
        done.open()

    events: list[Any] = []
    gone, done = Gate(), Gate()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        websocket.send(TEXT, b"a")
        websocket.send(TEXT, b"b")
        websocket.close(4000)
        assert websocket.read_close() == (4000, "")
        gone.open()
        done.wait()
    assert [event["type"].partition(".")[2] for event in events] == ["connect", "receive", "receive"] + ["disconnect"] * 3
    assert events[3] == events[4] == events[5] == {"type": "websocket.disconnect", "code": 4000, "reason": ""}


@pytest.mark.parametrize(
    ("message", "payload"),
    [
        ({}, struct.pack("!H", 1000)),
        ({"code": None, "reason": None}, struct.pack("!H", 1000)),
        ({"code": 4999, "reason": "wäh"}, struct.pack("!H", 4999) + "wäh".encode()),
        ({"reason": "ü" * 100}, struct.pack("!H", 1000) + "ü".encode() * 61),
    ],
    ids=["default", "none", "both", "cut"],
)
def test_w9_close(serve: Any, message: dict[str, Any], payload: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.close", **message})
        events.append(await receive())
        done.open()

    events: list[Any] = []
    done = Gate()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        assert websocket.read() == Frame(CLOSE, payload)
        done.wait()
        assert not websocket.client.has_input(), "the server waits for our half"
        websocket.close()
        assert websocket.closed()
    code, reason = message.get("code") or 1000, message.get("reason") or ""
    assert events == [{"type": "websocket.disconnect", "code": code, "reason": reason}]


@pytest.mark.parametrize("end", ["the client's close", "a reset", "the own close"])
def test_w10_send_after_the_end_raises_an_oserror(serve: Any, end: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        if end == "the own close":
            await send({"type": "websocket.close"})
        assert (await receive())["type"] == "websocket.disconnect"
        for message in ({"type": "websocket.send", "text": "a"}, {"type": "websocket.close"}):
            try:
                await send(message)
            except OSError as error:
                errors.append(error)
        done.open()
        # And what escapes is no error of the application's (C8).
        raise errors[0]

    errors: list[OSError] = []
    done = Gate()
    with serve(app) as server:
        websocket = upgrade(server.connect())
        if end == "a reset":
            websocket.client.reset()
        else:
            websocket.close()
        done.wait()
        server.wait_for_tasks(0)
    assert [type(error).__name__ for error in errors] == ["ClientDisconnected"] * 2
    assert server.messages(logging.WARNING) == []


# -- W11, W12 -----------------------------------------------------------------------------------------------------------


def test_w11_an_application_that_returns(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "bye"})

    with serve(app) as server:
        websocket = upgrade(server.connect())
        assert websocket.read_message() == "bye"
        assert websocket.read_close() == (1000, "")
        websocket.close()
        assert websocket.closed()


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.parametrize("waited", [False, True], ids=["at once", "after a message"])
def test_w11_an_application_that_fails(serve: Any, error: type[BaseException], waited: bool) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        if waited:
            await receive()
        raise error("of the application")

    with serve(app) as server:
        websocket = upgrade(server.connect())
        if waited:
            websocket.send(TEXT, b"a")
        assert websocket.read_close()[0] == 1011
        websocket.close(1011)
        assert websocket.closed()
        # And the server goes on.
        upgrade(server.connect()).client.reset()
        server.wait_for_connections(0)
        assert all(error.__name__ in text for text in server.errors())


@pytest.mark.parametrize("error", [None, ValueError("of the application")])
def test_w11_an_application_that_ends_before_it_has_accepted(serve: Any, error: Exception | None) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if error is not None:
            raise error

    with serve(app) as server:
        client = server.connect()
        client.send(handshake(b"/"))
        response = client.response()
        assert (response.status, response.body) == (500, b"Internal Server Error")
        assert client.closed()
        (told,) = server.errors()
    assert ("without completing handshake" in told) if error is None else ("of the application" in told)


def test_w11_a_client_that_goes_reaches_who_waits(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(ACCEPT)
        async with asyncio.TaskGroup() as group:
            group.create_task(told(receive))
            group.create_task(told(receive))

    async def told(receive: Any) -> None:
        events.append(await receive())

    events: list[Any] = []
    with serve(app) as server:
        upgrade(server.connect()).client.reset()
        server.wait_for_tasks(0)
    assert events == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}] * 2


def test_w12_state_is_a_copy_of_the_lifespans(serve: Any) -> None:
    shared = object()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["shared"] = shared
            await lifespan_answered(receive, send)
            return
        states.append(dict(scope["state"]))
        scope["state"]["mine"] = 1
        scope["extensions"]["mine"] = 1
        extensions.append(scope["extensions"])
        await send(ACCEPT)

    states: list[Any] = []
    extensions: list[Any] = []
    with serve(app, lifespan="on") as server:
        for _ in range(2):
            websocket = upgrade(server.connect())
            websocket.close()
            websocket.read_close()
    assert states == [{"shared": shared}] * 2
    assert extensions == [{"websocket.http.response": {}, "mine": 1}] * 2
    assert extensions[0] is not extensions[1]


# -- core ASGI, for WebSockets ------------------------------------------------------------------------------------------


def test_c1_one_call_for_each_websocket(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        for _ in range(3):
            websocket = upgrade(server.connect())
            websocket.close()
            assert websocket.read_close() == (1000, "")
    assert len(app.scopes) == 3


class DoubleCallable:
    """ASGI 2."""

    def __init__(self, scope: Any) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        assert await receive() == CONNECT
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": f"{self.scope['type']} {self.scope['asgi']['version']}"})


@pytest.mark.parametrize("interface", ["auto", "asgi2"])
def test_c10_double_callable(serve: Any, interface: str) -> None:
    with serve(DoubleCallable, interface=interface) as server:
        websocket = upgrade(server.connect())
        assert websocket.read_message() == "websocket 2.0"
        assert websocket.read_close() == (1000, "")


def test_messages_are_traced_without_their_contents(serve: Any, caplog: pytest.LogCaptureFixture) -> None:
    app = Recorder()
    caplog.set_level(5, "picocorn.asgi")
    with serve(app, log_level="trace") as server:
        websocket = upgrade(server.connect())
        for opcode in (TEXT, BINARY):
            websocket.send(opcode, b"secret")
            websocket.read_message()
        websocket.close()
        app.ended.wait()
        server.wait_for_tasks(0)
    traced = [text.partition("] ")[2] for text in server.messages() if "ASGI [" in text]
    assert "secret" not in "".join(traced)
    assert traced[1:] == [
        "Receive {'type': 'websocket.connect'}",
        "Send {'type': 'websocket.accept'}",
        "Receive {'type': 'websocket.receive', 'text': '<6 chars>'}",
        "Send {'type': 'websocket.send', 'text': '<6 chars>'}",
        "Receive {'type': 'websocket.receive', 'bytes': '<6 bytes>'}",
        "Send {'type': 'websocket.send', 'bytes': '<6 bytes>'}",
        "Receive {'type': 'websocket.disconnect', 'code': 1000, 'reason': ''}",
        "Completed",
    ]
