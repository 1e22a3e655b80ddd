"""WebSockets over real sockets where the server decides: which body serves, who takes over, whose turn it is, how it all ends.

What client libraries and frameworks see is in `test_websocket_clients.py` and `test_websocket_frameworks.py`.
"""

from __future__ import annotations

import asyncio
import gc
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import websockets.sync.client

from bodies import TWINS
from e2e.serving import MIB, Served, serving
from e2e.websocket_frames import BINARY, KEY, PING, TEXT, Frame, accept_value, close_frame, frame, handshake, upgrade
from harness import DEADLINE_SECONDS, Gate, RunningServer, running, wait_until

LOOPS = ("uvloop", "asyncio")
#: Nothing that compresses.
RANDOM = random.Random(1).randbytes(100_000)
#: What a WebSocket is made of: none of it may be left when it is over.
KEPT = {
    "HTTP1Protocol",
    "HTTP1Connection",
    "RequestHead",
    "WebSocketProtocol",
    "WebSocketSession",
    "WebSocketConnection",
    "WebSocketCycle",
    "MessageReader",
}


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


def url(server: RunningServer, target: str = "/") -> str:
    return f"ws://127.0.0.1:{server.port}{target}"


def alive() -> Counter[str]:
    gc.collect()
    return Counter(name for one in gc.get_objects() if (name := type(one).__name__) in KEPT)


# -- which body


@pytest.mark.parametrize("http", TWINS)
@pytest.mark.parametrize("ws", TWINS)
def test_bodies_can_be_mixed(http: str, ws: str, loop: str) -> None:
    suffix = {"native": "_c", "pure": "_py"}[ws]
    with running(echo, http=http, ws=ws, loop=loop) as server:
        for _ in range(2):
            with websockets.sync.client.connect(url(server), proxy=None, max_size=None) as client:
                (connection,) = server.state.connections
                assert type(connection).__module__ == f"picocorn.connection.websocket_http1{suffix}"
                for data in ("text", bytes(range(256)), bytes(MIB)):
                    client.send(data)
                    assert client.recv(DEADLINE_SECONDS) == data
        assert server.state.total_requests == 2
        # Shared by both bodies: the end of the server finds them all.
        with server.connect() as client_:
            open_one = upgrade(client_)
            server.stop()
            assert open_one.read_close() == (1012, "")
            open_one.close(1012)
            assert open_one.closed()


# -- a protocol class written for uvicorn


class Foreign(asyncio.Protocol):
    """Made and driven as uvicorn does it: reads the handshake by itself, and says what it has been given."""

    made: Callable[[Any], None] = print

    def __init__(self, config: Any, server_state: Any, app_state: dict[str, Any], _loop: Any = None) -> None:
        self.state = server_state
        self.known = f"{config.ws_max_queue} {type(app_state).__name__} {_loop is asyncio.get_running_loop()}"
        self.input = b""
        self.is_open = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.state.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.state.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self.input += data
        if not self.is_open:
            head, _, self.input = self.input.partition(b"\r\n\r\n")
            lines = head.split(b"\r\n")
            assert b"sec-websocket-key: " + KEY in lines
            self.is_open = True
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                b"Sec-WebSocket-Accept: " + accept_value(KEY) + b"\r\n\r\n"
            )
            self.say(lines[0] + b" | " + self.known.encode())
        if self.input:
            self.say(self.input)
            self.input = b""

    def say(self, payload: bytes) -> None:
        self.transport.write(bytes((0x80 | BINARY, len(payload))) + payload)

    def shutdown(self) -> None:
        self.transport.close()


class Broken:
    def __init__(self, **arguments: Any) -> None:
        raise ValueError("as asked")


@pytest.mark.parametrize("http", TWINS)
def test_foreign_class_gets_the_request_replayed(http: str, loop: str) -> None:
    with running(echo, http=http, ws=Foreign, ws_max_queue=7, loop=loop) as server, server.connect() as client:
        open_one = upgrade(client, b"/a%20b?q", behind=b"behind")
        assert open_one.read() == Frame(BINARY, b"GET /a%20b?q HTTP/1.1 | 7 dict True")
        assert open_one.read() == Frame(BINARY, b"behind")
        client.send(b"later")
        assert open_one.read() == Frame(BINARY, b"later")
        # Known to the server, so that its end is theirs.
        server.stop()
        assert open_one.closed()


@pytest.mark.parametrize("http", TWINS)
def test_foreign_class_that_fails(http: str, loop: str) -> None:
    with running(echo, http=http, ws=Broken, loop=loop) as server, server.connect() as client:
        client.send(handshake(b"/"))
        assert client.closed()
        (error,) = server.errors()
        assert "Error in the WebSocket protocol class" in error
        assert "ValueError: as asked" in error


# -- whose turn it is


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("piece", [frame(TEXT, b"x"), frame(PING), frame(TEXT)], ids=["messages", "pings", "empty messages"])
def test_a_burst_of_tiny_frames_lets_others_through(twin: str, piece: bytes, loop: str) -> None:
    order: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            order.append(scope["path"])
            await send({**event, "type": "websocket.send"})

    count = 256 * 1024 // len(piece)
    sent = threading.Event()
    with (
        running(app, http=twin, loop=loop, ws_ping_interval=None) as server,
        server.connect() as greedy,
        server.connect() as other,
    ):
        burst, one = upgrade(greedy, b"/burst"), upgrade(other, b"/other")

        def wait_for_both() -> None:
            assert sent.wait(DEADLINE_SECONDS)

        # The loop stands still until both have sent: then it finds everything at once.
        server.loop.call_soon_threadsafe(wait_for_both)
        greedy.sock.settimeout(DEADLINE_SECONDS)
        writer = threading.Thread(target=greedy.send, args=(piece * count + frame(TEXT, b"end"),))
        writer.start()
        one.send(TEXT, b"me too")
        sent.set()
        assert one.read() == Frame(TEXT, b"me too")
        before = order.index("/other")
        # Far fewer than there are: in the worst case what was in the socket at the time, in turns of 32.
        assert before < count // 2
        while burst.read().payload != b"end":
            pass
        writer.join()
        burst.close()
        assert burst.read_close()[0] == 1000


# -- vanishing


@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("how", ["close", "reset", "half_close"])
def test_clients_that_vanish_at_any_moment(twin: str, how: str, loop: str) -> None:
    gate = Gate()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        if scope["path"] == "/never":
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        await send({"type": "websocket.accept"})
        if scope["path"] == "/deaf":
            await gate.passed()
        while scope["path"] == "/flood":
            await send({"type": "websocket.send", "bytes": RANDOM})
        if scope["path"] == "/close":
            await send({"type": "websocket.close"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({**event, "type": "websocket.send"})

    offer = b"Sec-WebSocket-Extensions: permessage-deflate"
    large = frame(BINARY, bytes(MIB))
    moments = [
        (b"/never", b""),
        # Of more nothing is read before there is an answer, not even the end.
        (b"/never", large[:50_000]),
        (b"/deaf", frame(TEXT, b"x") * 1000),
        (b"/flood", b""),
        (b"/close", b""),
        (b"/close", large[:1000]),
        (b"/echo", b""),
        (b"/echo", large + large[:1000]),
        (b"/echo", frame(TEXT, b"x") * 1000 + close_frame()),
        (b"/echo", frame(TEXT, b"half", fin=False)),
        (b"/echo", frame(PING) * 1000),
        (b"/echo", frame(3)),
    ]
    before = alive()
    with running(app, http=twin, loop=loop) as server:
        for target, data in moments:
            for opened in (True, False):
                client = server.connect(receive_buffer_bytes=4096)
                client.send(handshake(target, offer))
                if opened and target != b"/never":
                    client.head()
                client.sock.setblocking(False)
                try:
                    client.sock.send(data)
                except BlockingIOError:
                    pass
                client.sock.setblocking(True)
                getattr(client, how)()
                if how == "half_close":
                    client.close()
        gate.open()
        server.wait_for_connections(0)
        server.wait_for_tasks(0)
        assert not server.call(alive) - before


# -- the end of the server


#: For what does not end by itself.
SHORT_GRACE = ("--timeout-graceful-shutdown", "1")


@pytest.fixture(params=[(), ("--loop", "asyncio")], ids=["auto", "asyncio"])
def options(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return (*request.param, "--no-access-log")


def open_many(server: Served, count: int, target: bytes = b"/echo", **client_options: Any) -> list[Any]:
    return [upgrade(server.connect(**client_options), target) for _ in range(count)]


def test_term_with_many_sockets(body: str, options: tuple[str, ...]) -> None:
    with serving("websocket_app", *options, body=body, check=False) as server:
        open_ones = open_many(server, 200)
        for number, one in enumerate(open_ones):
            one.send(TEXT, b"%d" % number)
        for number, one in enumerate(open_ones):
            assert one.read() == Frame(TEXT, b"%d" % number)
        server.server.send_signal(signal.SIGTERM)
        for one in open_ones:
            assert one.read_close() == (1012, "")
            one.close(1012)
        for one in open_ones:
            assert one.closed()
        assert server.server.join() == -signal.SIGTERM
        output = server.server.output
        assert output.count("end: /echo 1012 ''") == 200
        assert "graceful shutdown exceeded" not in output
        assert "Traceback" not in output


def test_term_with_clients_that_do_not_help(body: str, options: tuple[str, ...]) -> None:
    """Neither who does not read nor who does not answer can hold the end up for longer than the grace."""
    with serving("websocket_app", *options, *SHORT_GRACE, body=body, check=False) as server:
        deaf = open_many(server, 3, b"/torrent?size=30000", receive_buffer_bytes=4096)
        silent = open_many(server, 3)
        gone = open_many(server, 3)
        for one in gone:
            one.client.reset()
        assert server.server.stop(signal.SIGTERM) == -signal.SIGTERM
        output = server.server.output
        # Every application was told by send() or receive(), so that none had to be cancelled.
        assert "Cancel" not in output
        assert output.count("end: /echo 1012 ''") == 3
        assert output.count("end: /echo 1006 ''") == 3
        for one in silent:
            assert one.read_close() == (1012, "")
        for one in deaf:
            one.client.close()


def test_term_with_an_application_that_ignores_it(body: str, options: tuple[str, ...]) -> None:
    with serving("websocket_app", *options, *SHORT_GRACE, body=body, check=False) as server:
        (one,) = open_many(server, 1, b"/deaf?gate=never")
        server.server.send_signal(signal.SIGTERM)
        assert one.read_close() == (1012, "")
        one.close(1012)
        assert one.closed()
        assert server.server.join() == -signal.SIGTERM
        assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in server.server.output


def test_second_interrupt_does_not_wait(body: str) -> None:
    with serving("websocket_app", "--timeout-graceful-shutdown", "0", body=body, check=False) as server:
        (one,) = open_many(server, 1)
        server.server.send_signal(signal.SIGINT)
        assert one.read_close() == (1012, "")
        server.server.wait_for("Waiting for connections to close")
        assert server.server.stop(signal.SIGINT) == 0


@pytest.mark.parametrize("twin", TWINS)
def test_reset_and_shutdown_while_send_waits(twin: str, loop: str) -> None:
    errors: list[str] = []
    ends: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            while True:
                await send({"type": "websocket.send", "bytes": bytes(100_000)})
        except OSError as error:
            errors.append(type(error).__name__)
        ends.append(await receive())

    with running(app, http=twin, loop=loop) as server:
        first = server.connect(receive_buffer_bytes=4096)
        upgrade(first)
        wait_until(lambda: server.call(is_stuck, server), "send waits")
        first.reset()
        server.wait_for_connections(0)
        server.wait_for_tasks(0)
        second = server.connect(receive_buffer_bytes=4096)
        upgrade(second)
        wait_until(lambda: server.call(is_stuck, server), "send waits")
        server.stop()
        server.wait_for_tasks(0)
        second.close()
    assert errors == ["ClientDisconnected"] * 2
    assert [(end["type"], end["code"]) for end in ends] == [("websocket.disconnect", 1006), ("websocket.disconnect", 1012)]


def is_stuck(server: RunningServer) -> bool:
    return any(connection.is_blocked() for connection in server.state.connections)


def test_what_a_client_reads_that_is_told_the_end(body: str) -> None:
    """Client libraries take the 1012 for what it is, and the close handshake is whole."""
    with serving("websocket_app", body=body, check=False) as server:
        with websockets.sync.client.connect(f"ws://127.0.0.1:{server.port}/echo", proxy=None) as client:
            client.send("hello")
            assert client.recv(DEADLINE_SECONDS) == "hello"
            server.server.send_signal(signal.SIGTERM)
            with pytest.raises(websockets.exceptions.ConnectionClosed) as caught:
                client.recv(DEADLINE_SECONDS)
        assert caught.value.rcvd is not None
        assert caught.value.sent is not None
        assert (caught.value.rcvd.code, caught.value.sent.code, caught.value.rcvd_then_sent) == (1012, 1012, True)
        assert server.server.join() == -signal.SIGTERM
