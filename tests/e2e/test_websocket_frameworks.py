"""The WebSockets of frameworks, as their users write them: rooms, disconnects, denials, dependencies, errors."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import socketio
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from e2e.serving import Served, serving, until_true
from harness import DEADLINE_SECONDS


@pytest.fixture(scope="module")
def starlette(body: str) -> Iterator[Served]:
    with serving("websocket_starlette", "--no-access-log", body=body) as server:
        yield server


@pytest.fixture(scope="module")
def fastapi(body: str) -> Iterator[Served]:
    with serving("websocket_fastapi", "--no-access-log", body=body) as server:
        yield server


@pytest.fixture(scope="module")
def channels(body: str) -> Iterator[Served]:
    with serving("websocket_channels", "--no-access-log", body=body) as server:
        yield server


@pytest.fixture(scope="module")
def socket_io(body: str) -> Iterator[Served]:
    with serving("websocket_socketio", "--no-access-log", body=body) as server:
        # Its own service task begins with the first client, and stays; on Python 3.11 it waits in a task of its own.
        names_left(server)
        server.at_rest["tasks"] += 2
        yield server


@pytest.fixture(scope="module")
def litestar(body: str) -> Iterator[Served]:
    with serving("websocket_litestar", "--no-access-log", body=body) as server:
        yield server


@pytest.fixture(scope="module")
def quart(body: str) -> Iterator[Served]:
    with serving("websocket_quart", "--no-access-log", body=body) as server:
        yield server


def dial(server: Served, target: str, **options: Any) -> ClientConnection:
    """Connect with the `websockets` library; the caller closes."""
    return connect(f"ws://127.0.0.1:{server.port}{target}", proxy=None, open_timeout=DEADLINE_SECONDS, **options)


def refused(server: Served, target: str, **options: Any) -> Response:
    """The response to a handshake that is not accepted."""
    with pytest.raises(InvalidStatus) as caught, dial(server, target, **options):
        pass
    return caught.value.response


def hear(client: ClientConnection) -> Any:
    return client.recv(DEADLINE_SECONDS)


def closing(client: ClientConnection) -> tuple[int, str]:
    """Code and reason of the server's close frame, which must come next."""
    with pytest.raises(ConnectionClosed) as caught:
        hear(client)
    assert caught.value.rcvd is not None, "closed without a close frame"
    return caught.value.rcvd.code, caught.value.rcvd.reason


def told(server: Served, target: str) -> Any:
    """What the application tells of itself over HTTP."""
    return httpx.get(server.url + target, timeout=DEADLINE_SECONDS, trust_env=False).json()


def wait_told(server: Served, target: str, what: Any) -> None:
    until_true(lambda: what in told(server, target), f"{what} in {target}")


# -- Starlette


def test_starlette_endpoint_with_subprotocol_and_fields(starlette: Served) -> None:
    with dial(starlette, "/calculator", subprotocols=["product", "sum"]) as client:
        assert client.subprotocol == "sum"
        assert client.response is not None
        assert client.response.headers["x-by"] == "starlette"
        for numbers in ([1, 2, 3], list(range(1000))):
            client.send(json.dumps(numbers))
            assert json.loads(hear(client)) == {"sum": sum(numbers)}
        client.close(4004)
    wait_told(starlette, "/told", ["/calculator", 4004, ""])


def test_starlette_subprotocol_that_was_not_offered(starlette: Served) -> None:
    assert refused(starlette, "/calculator").status_code == 500


@pytest.mark.parametrize("target", ["/echo", "/below/echo"])
def test_starlette_echo_and_disconnect(starlette: Served, target: str) -> None:
    with dial(starlette, target) as client:
        for data in ("text", b"bytes", "", b"", "ä" * 100_000):
            client.send(data)
            assert hear(client) == data
        client.close(3000, "enough")
    wait_told(starlette, "/told", ["/echo", 3000, "enough"])


def test_starlette_iteration_ends_with_the_client(starlette: Served) -> None:
    with dial(starlette, "/iterate") as client:
        client.send("one")
        client.send("two")
    wait_told(starlette, "/told", ["/iterate", 0, "one two"])


def test_starlette_send_tells_of_the_disconnect(starlette: Served) -> None:
    before = told(starlette, "/told").count(["/ticker", 1006, ""])
    with dial(starlette, "/ticker") as client:
        assert [hear(client) for _ in range(100)] == [f"tick {number}" for number in range(100)]
        client.close_socket()
    until_true(lambda: told(starlette, "/told").count(["/ticker", 1006, ""]) == before + 1, "send() has raised")


def test_starlette_denial(starlette: Served) -> None:
    response = refused(starlette, "/deny")
    assert (response.status_code, json.loads(response.body)) == (402, {"detail": "pay first"})
    response = refused(starlette, "/deny-in-pieces")
    assert (response.status_code, response.body) == (404, b"no, no, no")
    assert refused(starlette, "/nowhere").status_code == 403
    assert refused(starlette, "/").status_code == 403


def test_starlette_errors(starlette: Served) -> None:
    with dial(starlette, "/policy") as client:
        client.send("now")
        assert closing(client) == (1008, "against the policy")
    with dial(starlette, "/bug") as client:
        client.send("now")
        assert closing(client)[0] == 1011
    starlette.server.wait_for("ZeroDivisionError: on purpose")
    with dial(starlette, "/echo") as client:
        client.send("still here")
        assert hear(client) == "still here"


# -- FastAPI


def test_fastapi_rooms(fastapi: Served) -> None:
    with dial(fastapi, "/rooms/blue?token=ann") as ann, dial(fastapi, "/rooms/red?token=zoe") as zoe:
        assert hear(ann) == "ann is here"
        with dial(fastapi, "/rooms/blue", additional_headers={"Cookie": "who=bob"}) as bob:
            assert [hear(ann), hear(bob)] == ["bob is here"] * 2
            bob.send("hello")
            assert [hear(ann), hear(bob)] == ["bob: hello"] * 2
            bob.close(4000, "dinner")
        assert hear(ann) == "bob has left: 4000 dinner"
        with dial(fastapi, "/rooms/blue?token=eve") as eve:
            assert hear(ann) == "eve is here"
            eve.close_socket()
        assert hear(ann) == "eve has left: 1006 "
        zoe.send("all red")
        assert [hear(zoe), hear(zoe)] == ["zoe is here", "zoe: all red"]


def test_fastapi_dependency_that_refuses(fastapi: Served) -> None:
    assert refused(fastapi, "/rooms/blue").status_code == 403


def test_fastapi_parameters_and_a_dependency_with_an_exit(fastapi: Served) -> None:
    before = told(fastapi, "/events")
    with dial(fastapi, "/items/7?q=8") as client:
        assert json.loads(hear(client)) == {"number": 7, "q": 8, "lent": "session"}
        client.send('{"a": [1, "ü"]}')
        assert json.loads(hear(client)) == {"echo": {"a": [1, "ü"]}}
        client.send('"stop"')
        assert closing(client) == (4000, "as you say")
    until_true(lambda: told(fastapi, "/events")[len(before) :] == ["enter", "exit"], "the dependency is left")
    # What does not validate is refused before the accept.
    assert refused(fastapi, "/items/seven").status_code == 403
    assert refused(fastapi, "/items/7?q=x").status_code == 403


def test_fastapi_errors_after_the_accept(fastapi: Served) -> None:
    with dial(fastapi, "/late") as client:
        assert closing(client) == (4003, "changed my mind")
    before = told(fastapi, "/events")
    with dial(fastapi, "/bug") as client:
        assert closing(client)[0] == 1011
    until_true(lambda: told(fastapi, "/events")[len(before) :] == ["enter", "exit"], "the dependency is left")
    fastapi.server.wait_for("ZeroDivisionError: on purpose")


@pytest.mark.parametrize("how", ["close", "close_socket"])
def test_fastapi_disconnect_that_nobody_catches(fastapi: Served, how: str) -> None:
    with dial(fastapi, "/undisturbed") as client:
        client.send("here")
        assert hear(client) == "here"
        getattr(client, how)()
    fastapi.settle()


# -- Django Channels

ORIGIN = Origin("http://good.example")


def enter(server: Served, target: str, **options: Any) -> ClientConnection:
    return dial(server, target, origin=ORIGIN, **options)


def test_channels_group(channels: Served) -> None:
    with enter(channels, "/rooms/blue/", subprotocols=["json"]) as ann, enter(channels, "/rooms/blue/") as bob:
        assert (ann.subprotocol, bob.subprotocol) == ("json", None)
        with enter(channels, "/rooms/red/") as other:
            for number in range(20):
                ann.send(json.dumps({"number": number}))
                assert [json.loads(hear(member)) for member in (ann, bob)] == [{"number": number}] * 2
            other.send('"red alone"')
            assert json.loads(hear(other)) == "red alone"
        ann.close(4010)
        bob.send('"leave"')
        assert closing(bob) == (4003, "as you say")
    wait_told(channels, "/told", ["blue", 4010])
    wait_told(channels, "/told", ["red", 1000])


def test_channels_sync_consumer_and_its_session(channels: Served) -> None:
    with httpx.Client(base_url=channels.url, trust_env=False, timeout=DEADLINE_SECONDS) as browser:
        assert [browser.get("/").text for _ in range(3)] == ["hello"] * 3
        cookie = f"sessionid={browser.cookies['sessionid']}"
    with enter(channels, "/threaded", additional_headers={"Cookie": cookie}) as client:
        assert hear(client) == "visits: 3"
        for data in ("text", b"bytes", "x" * 100_000):
            client.send(data)
            assert hear(client) == data
        client.close_socket()
    wait_told(channels, "/told", ["threaded", 1006])


def test_channels_refusals(channels: Served) -> None:
    assert refused(channels, "/rooms/closed/", origin=ORIGIN).status_code == 403
    assert refused(channels, "/threaded").status_code == 403
    assert refused(channels, "/threaded", origin=Origin("http://bad.example")).status_code == 403
    with enter(channels, "/threaded") as client:
        assert hear(client) == "visits: 0"


def test_channels_errors(channels: Served) -> None:
    # No route: Channels raises.
    assert refused(channels, "/nowhere", origin=ORIGIN).status_code == 500
    with enter(channels, "/bug") as client:
        client.send("now")
        assert closing(client)[0] == 1011
    channels.server.wait_for("ZeroDivisionError: on purpose")


# -- Socket.IO


def run(conversation: Callable[[], Any]) -> Any:
    async def in_time() -> Any:
        return await asyncio.wait_for(conversation(), DEADLINE_SECONDS)

    return asyncio.run(in_time())


async def join(server: Served, transports: list[str], name: str, **options: Any) -> socketio.AsyncClient:
    client = socketio.AsyncClient(reconnection=False)
    options = {"auth": {"name": name}, **options}
    await client.connect(server.url, transports=transports, wait_timeout=int(DEADLINE_SECONDS), **options)
    return client


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids=["websocket", "upgraded"])
def test_socket_io_events_and_acknowledgements(socket_io: Served, transports: list[str]) -> None:
    name = "-".join(transports)

    async def talk() -> None:
        client = await join(socket_io, transports, name)
        assert await client.call("add", (1, 2, 3)) == 6
        assert await client.call("turn", bytes(range(256)) * 400) == bytes(range(255, -1, -1)) * 400
        assert client.transport() == "websocket"
        await client.disconnect()

    run(talk)
    until_true(lambda: name in str(names_left(socket_io)), "the server was told")


def names_left(server: Served) -> Any:
    async def ask() -> Any:
        client = await join(server, ["websocket"], "asker")
        left = await client.call("told")
        await client.disconnect()
        return left

    return run(ask)


def test_socket_io_rooms(socket_io: Served) -> None:
    async def meet() -> None:
        heard: dict[str, asyncio.Queue[str]] = {name: asyncio.Queue() for name in ("ann", "bob", "zoe")}
        clients = {}
        for name, queue in heard.items():
            clients[name] = client = await join(socket_io, ["websocket"], name)
            client.on("said", queue.put)
            await client.call("enter", "red" if name == "zoe" else "blue")
        await clients["ann"].emit("say", ("blue", "hello"))
        await clients["bob"].emit("say", ("red", "to the others"))
        assert [await heard["ann"].get(), await heard["bob"].get()] == ["ann: hello"] * 2
        assert await heard["zoe"].get() == "bob: to the others"
        for client in clients.values():
            await client.disconnect()

    run(meet)


def test_socket_io_namespace(socket_io: Served) -> None:
    async def play() -> None:
        client = await join(socket_io, ["websocket"], "player", namespaces=["/game"])
        assert await client.call("ping-pong", {"x": [1, None, "ü"]}, namespace="/game") == {"back": {"x": [1, None, "ü"]}}
        await client.disconnect()

    run(play)


def test_socket_io_refusal_and_kick(socket_io: Served) -> None:
    async def be_refused() -> None:
        client = socketio.AsyncClient(reconnection=False)
        reasons: list[Any] = []
        client.on("connect_error", reasons.append)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(socket_io.url, transports=["websocket"], auth={"token": "wrong"})
        assert "who are you?" in str(reasons)
        await client.disconnect()

    async def be_kicked() -> None:
        client = await join(socket_io, ["websocket"], "kicked")
        gone = asyncio.Event()
        client.on("disconnect", lambda *reason: gone.set())
        await client.emit("kick")
        await gone.wait()
        await client.disconnect()

    run(be_refused)
    run(be_kicked)
    until_true(lambda: ["kicked", "server disconnect"] in names_left(socket_io), "the handler was called")


# -- Litestar


def test_litestar_listeners(litestar: Served) -> None:
    with dial(litestar, "/points") as client:
        client.send('{"x": 1, "y": 2}')
        assert json.loads(hear(client)) == {"x": 2, "y": 1}
    with dial(litestar, "/threaded") as client:
        for _ in range(10):
            client.send("loud")
            assert hear(client) == "LOUD"


def test_litestar_handler_and_disconnect(litestar: Served) -> None:
    with dial(litestar, "/echo", subprotocols=["other", "chosen"]) as client:
        assert client.subprotocol == "chosen"
        client.send("ü" * 50_000)
        assert hear(client) == "ü" * 50_000
        client.close(4009)
    wait_told(litestar, "/told", ["/echo", 4009])


def test_litestar_stream_ends_with_a_close(litestar: Served) -> None:
    with dial(litestar, "/count") as client:
        assert [hear(client) for _ in range(5)] == ["0", "1", "2", "3", "4"]
        assert closing(client)[0] == 1000


def test_litestar_channels_and_their_history(litestar: Served) -> None:
    with dial(litestar, "/channels/news") as first:
        # Only what is published after its subscription is heard, and that happens after the accept.
        heard = threading.Event()

        def publish() -> None:
            while not heard.is_set():
                httpx.get(litestar.url + "/publish?text=fresh", timeout=DEADLINE_SECONDS, trust_env=False)

        publisher = threading.Thread(target=publish)
        publisher.start()
        try:
            assert json.loads(hear(first)) == {"text": "fresh"}
        finally:
            heard.set()
            publisher.join()
        with dial(litestar, "/channels/news") as second:
            assert json.loads(hear(second)) == {"text": "fresh"}


def test_litestar_errors_and_guards(litestar: Served) -> None:
    assert refused(litestar, "/guarded").status_code == 403
    with dial(litestar, "/guarded", additional_headers={"Authorization": "Bearer right"}) as client:
        assert hear(client) == "welcome"
        assert closing(client) == (4000, "that was all")
    with dial(litestar, "/late") as client:
        assert closing(client) == (4001, "changed my mind")
    with dial(litestar, "/bug") as client:
        # Litestar closes by itself.
        assert closing(client) == (4500, "Internal Server Error")


# -- Quart


def test_quart_echo(quart: Served) -> None:
    with dial(quart, "/echo") as client:
        for data in ("text", b"bytes", "x" * 100_000):
            client.send(data)
            assert hear(client) == data


def test_quart_json_subprotocol_and_fields(quart: Served) -> None:
    with dial(quart, "/json", subprotocols=["json"]) as client:
        assert client.subprotocol == "json"
        assert client.response is not None
        assert client.response.headers["x-by"] == "quart"
        client.send('{"a": 1}')
        assert json.loads(hear(client)) == {"echo": {"a": 1}}


def test_quart_broadcast_and_disconnect(quart: Served) -> None:
    with dial(quart, "/listen") as ann, dial(quart, "/listen") as bob:
        assert [hear(ann), hear(bob)] == ["listening"] * 2
        assert told(quart, "/publish/news") == 2
        assert [hear(ann), hear(bob)] == ["news"] * 2
        bob.close_socket()
        until_true(lambda: told(quart, "/publish/more") == 1, "one is left")
    until_true(lambda: told(quart, "/ends") == ["/listen"] * 2, "both have ended")


def test_quart_refusals_and_close(quart: Served) -> None:
    response = refused(quart, "/refuse")
    # Quart's own page, as a denial response.
    assert response.status_code == 403
    assert b"Forbidden" in response.body
    assert refused(quart, "/nowhere").status_code == 404
    with dial(quart, "/close") as client:
        assert closing(client) == (4002, "that was all")


def test_quart_error_after_the_accept(quart: Served) -> None:
    with dial(quart, "/bug") as client:
        # Quart has its own idea: it logs the error and closes as if there were none.
        assert closing(client)[0] in (1000, 1011)
    quart.server.wait_for("ZeroDivisionError: on purpose")
