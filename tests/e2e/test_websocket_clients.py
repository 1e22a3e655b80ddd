"""WebSocket conversations with real client libraries, and with a raw one where a library would not do the thing asked of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest
import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client

from e2e.attacks import read_to_the_cut
from e2e.serving import MIB, Served, serving, until_true
from e2e.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    WebSocket,
    close_frame,
    frame,
    handshake,
    upgrade,
)
from e2e.websocket_libraries import LIBRARIES, Closed, Conversation, Denied, connect_with
from harness import DEADLINE_SECONDS
from raw_client import Client, get

#: Those that can send a message in fragments of the caller's choice.
FRAGMENTING = [name for name in LIBRARIES if name != "aiohttp"]
TEXTS = ["", "a", "grüß dich 👋", "x" * 125, "x" * 126, "é" * 62, "é" * 63, "x" * 65535, "x" * 65536]
BINARIES = [b"", b"\x00", bytes(range(256)), bytes(125), bytes(126), bytes(65535), bytes(65536)]


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("websocket_app", body=body) as server:
        yield server


@pytest.fixture(autouse=True)
def quiet(server: Served) -> Iterator[None]:
    """Nothing may be left behind, and no traceback but those that a test wants."""
    server.request(b"/forget")
    before = server.server.output.count("Traceback")
    yield
    server.settle()
    wanted = server.server.output.count("on purpose") + server.server.output.count("never offered")
    assert server.server.output.count("Traceback") - before <= wanted, server.server.output[-4000:]


@pytest.fixture(params=LIBRARIES)
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def url(server: Served, target: str) -> str:
    return f"ws://127.0.0.1:{server.port}{target}"


def seen(server: Served, what: str) -> Any:
    return json.loads(server.request(b"/seen").body).get(what, 0)


def wait_for_end(server: Served, path: str, code: int, reason: str = "") -> None:
    """Wait until the session of that path has ended so; there must be no other."""
    until_true(lambda: seen(server, "ends"), f"{path} has ended")
    assert seen(server, "ends") == [[path, code, reason]]


def description(data: str | bytes) -> str:
    content = data.encode() if isinstance(data, str) else data
    return f"{type(data).__name__} {len(content)} {hashlib.sha256(content).hexdigest()}"


def how_it_closed(client: Conversation) -> tuple[int, str]:
    with pytest.raises(Closed) as caught:
        client.receive()
    return caught.value.code, caught.value.reason


# -- messages


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_messages_of_every_size(server: Served, library: str, deflate: bool) -> None:
    with connect_with(library, url(server, "/echo"), deflate=deflate) as client:
        assert client.extensions.startswith("permessage-deflate") is deflate
        for data in [*TEXTS, *BINARIES, "ä" * (MIB // 2), bytes(range(256)) * (MIB // 256)]:
            client.send(data)
            assert client.receive() == data
        client.close()
    wait_for_end(server, "/echo", 1000)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
@pytest.mark.parametrize("library", FRAGMENTING)
def test_messages_in_fragments(server: Served, library: str, deflate: bool) -> None:
    with connect_with(library, url(server, "/digest"), deflate=deflate) as client:
        text = ["", "grüß", "", " dich ", "👋", "x" * 70000, ""]
        client.send_in_pieces(text)
        assert client.receive() == description("".join(text))
        binary = [bytes([number]) * number * 300 for number in range(256)]
        client.send_in_pieces(binary)
        assert client.receive() == description(b"".join(binary))
        client.close()


def test_pings_between_messages(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/echo")) as client:
        for payload in (b"1", b"beat", bytes(125)):
            client.ping(payload)
            client.send("between")
            assert client.receive() == "between"
        client.close()


def test_many_messages_in_order(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/echo"), deflate=True) as client:
        for start in range(0, 500, 20):
            for number in range(start, start + 20):
                client.send(f"message {number}" * (number % 7))
            for number in range(start, start + 20):
                assert client.receive() == f"message {number}" * (number % 7)
        client.close()


# -- handshake


def test_subprotocol_of_the_application(server: Served, library: str) -> None:
    offered = ["chat.v1", "chat.v2"]
    with connect_with(library, url(server, "/subprotocols?choose=chat.v2"), subprotocols=offered) as client:
        assert client.subprotocol == "chat.v2"
        assert json.loads(client.receive()) == offered
        client.close()
    with connect_with(library, url(server, "/subprotocols"), subprotocols=offered) as client:
        assert client.subprotocol is None
        client.close()


def test_scope_and_fields_of_the_accept(server: Served, library: str) -> None:
    target = "/scope?q=caf%C3%A9&empty="
    with connect_with(library, url(server, target), headers={"Cookie": "who=me", "X-Extra": "1"}) as client:
        assert client.headers["x-greeting"] == "hello"
        assert client.headers["set-cookie"] in ("a=1", "b=2")
        scope = json.loads(client.receive())
        client.close()
    assert (scope["type"], scope["scheme"], scope["path"], scope["query_string"]) == (
        "websocket",
        "ws",
        "/scope",
        "q=caf%C3%A9&empty=",
    )
    assert scope["extensions"] == {"websocket.http.response": {}}
    assert scope["subprotocols"] == []
    assert "method" not in scope
    assert dict(scope["headers"])["cookie"] == "who=me"
    assert dict(scope["headers"])["x-extra"] == "1"


def test_denial_response(server: Served, library: str) -> None:
    with pytest.raises(Denied) as caught, connect_with(library, url(server, "/deny")):
        pass
    assert caught.value.status == 401
    assert caught.value.headers["content-type"] == "application/json"
    assert caught.value.headers["www-authenticate"] == "Bearer"
    if caught.value.body is not None:
        assert json.loads(caught.value.body) == {"detail": "who are you?"}


@pytest.mark.parametrize("target", ["/refuse", "/nowhere"])
def test_close_before_accept_is_403(server: Served, library: str, target: str) -> None:
    with pytest.raises(Denied) as caught, connect_with(library, url(server, target)):
        pass
    assert (caught.value.status, caught.value.body or b"") == (403, b"")


@pytest.mark.parametrize("target", ["/leave-early", "/fail-early", "/wrong-subprotocol"])
def test_application_that_fails_before_the_accept_is_500(server: Served, library: str, target: str) -> None:
    with pytest.raises(Denied) as caught, connect_with(library, url(server, target)):
        pass
    assert caught.value.status == 500
    assert caught.value.body in (None, b"Internal Server Error")


def test_log_tells_how_handshakes_ended(server: Served) -> None:
    with connect_with("wsproto", url(server, "/echo?a=%20b")) as client:
        client.close()
    for target in ("/refuse?log", "/deny?log"):
        with pytest.raises(Denied), connect_with("wsproto", url(server, target)):
            pass
    for line in (r'"WebSocket /echo\?a=%20b" \[accepted\]', r'"WebSocket /refuse\?log" 403', r'"WebSocket /deny\?log" 401'):
        server.server.wait_for(r"127\.0\.0\.1:\d+ - " + line)


# -- ends


def test_close_of_the_client(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/echo")) as client:
        client.close(4001, "tschüß")
    wait_for_end(server, "/echo", 4001, "tschüß")


@pytest.mark.parametrize(
    ("query", "code", "reason"),
    [("", 1000, ""), ("?code=1001&reason=leaving", 1001, "leaving"), ("?code=4999&reason=" + "r" * 123, 4999, "r" * 123)],
    ids=["default", "leaving", "long"],
)
def test_close_of_the_application(server: Served, library: str, query: str, code: int, reason: str) -> None:
    with connect_with(library, url(server, "/close" + query)) as client:
        client.send("now")
        assert how_it_closed(client) == (code, reason)
    wait_for_end(server, "/close", code, reason)


def test_application_that_raises_is_1011(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/fail")) as client:
        client.send("now")
        assert how_it_closed(client)[0] == 1011


def test_application_that_returns_is_1000(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/leave")) as client:
        assert how_it_closed(client) == (1000, "")


def test_client_that_is_lost(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/echo")) as client:
        client.send("here")
        assert client.receive() == "here"
    wait_for_end(server, "/echo", 1006)


def test_too_large_a_message_is_1009(server: Served, library: str) -> None:
    with connect_with(library, url(server, "/listen"), deflate=True) as client:
        # Compresses to little: what counts is what it becomes.
        client.send(bytes(16 * MIB + 1))
        assert how_it_closed(client)[0] == 1009
    until_true(lambda: seen(server, "ends"), "the application was told")
    assert seen(server, "ends")[0][:2] == ["/listen", 1009]


# -- raw: what libraries do not do, or do not show


def test_messages_behind_the_handshake_and_the_close(server: Served) -> None:
    with server.connect() as client:
        socket_ = upgrade(client, behind=frame(TEXT, b"one") + frame(BINARY, b"two") + close_frame(1000, "done"))
        assert [socket_.read() for _ in range(3)] == [
            Frame(TEXT, b"one"),
            Frame(BINARY, b"two"),
            Frame(CLOSE, b"\x03\xe8done"),
        ]
        # The server is the one to end TCP (RFC 6455 7.1.1).
        assert socket_.closed()
    wait_for_end(server, "/echo", 1000, "done")


def test_everything_byte_by_byte(server: Served) -> None:
    with server.connect() as client:
        socket_ = upgrade(client)
        frames = frame(TEXT, b"gr\xc3", fin=False) + frame(PING, b"p") + frame(CONTINUATION, b"\xbc\xc3\x9f") + close_frame()
        client.send(*(frames[number : number + 1] for number in range(len(frames))))
        assert [socket_.read() for _ in range(3)] == [
            Frame(PONG, b"p"),
            Frame(TEXT, "grüß".encode()),
            Frame(CLOSE, b"\x03\xe8"),
        ]
        assert socket_.closed()


def test_close_without_a_code_is_1005(server: Served) -> None:
    with server.connect() as client:
        socket_ = upgrade(client)
        socket_.close(None)
        assert socket_.read_close()[0] in (1000, 1005)
        assert socket_.closed()
    wait_for_end(server, "/echo", 1005)


def test_half_close_of_a_client_that_still_reads(server: Served) -> None:
    """No more frames can come, so there will be no close handshake: the session is over, but what came before is delivered."""
    received = seen(server, "received")
    with server.connect() as client:
        upgrade(client, b"/listen", behind=frame(TEXT, b"last words"))
        client.half_close()
        read_to_the_cut(client)
    wait_for_end(server, "/listen", 1006)
    assert seen(server, "received") == received + 1


def test_two_kinds_of_loops_and_a_unix_socket(body: str, tmp_path: Any, quiet: None) -> None:
    with serving("websocket_app", "--loop", "asyncio", body=body, uds=str(tmp_path / "socket")) as server:
        with websockets.sync.client.unix_connect(server.address, "ws://localhost/echo", proxy=None) as client:
            for data in ("text", bytes(MIB)):
                client.send(data)
                assert client.recv(DEADLINE_SECONDS) == data
        server.settle()


def test_ws_none_serves_the_request_as_http(body: str, quiet: None) -> None:
    with serving("websocket_app", "--ws", "none", body=body) as server:
        for library in LIBRARIES:
            with pytest.raises(Denied) as caught, connect_with(library, url(server, "/echo")):
                pass
            assert caught.value.status == 404
        assert seen(server, "http /echo") == len(LIBRARIES)


def test_settings_are_honoured(body: str, quiet: None) -> None:
    options = (
        "--ws-max-size",
        "1000",
        "--ws-per-message-deflate",
        "false",
        "--ws-ping-interval",
        "0.2",
        "--ws-ping-timeout",
        "0.2",
    )
    with serving("websocket_app", *options, body=body) as server:
        with connect_with("wsproto", url(server, "/echo"), deflate=True) as client:
            assert client.extensions == ""
            client.send(bytes(1000))
            assert client.receive() == bytes(1000)
            client.send(bytes(1001))
            assert how_it_closed(client)[0] == 1009
        server.request(b"/forget")
        with server.connect() as raw:
            socket_ = upgrade(raw, b"/listen")
            # The first is answered, the second is not.
            socket_.send(PONG, socket_.read().payload)
            assert socket_.read().opcode == PING
            assert socket_.read_close() == (1011, "keepalive ping timeout")
        wait_for_end(server, "/listen", 1011, "keepalive ping timeout")


# -- many at once


def test_concurrent_clients_and_http_beside_them(server: Served) -> None:
    async def talk(number: int) -> None:
        compression = "deflate" if number % 2 else None
        uri = url(server, "/echo")
        async with websockets.asyncio.client.connect(uri, compression=compression, proxy=None, max_size=None) as client:
            for turn in range(20):
                data = f"{number}: {turn} " * (number * turn)
                await client.send(data)
                assert await client.recv() == data

    async def talk_all() -> None:
        await asyncio.gather(*(talk(number) for number in range(40)))

    with server.connect() as client:
        client.send(get() * 10)
        asyncio.run(talk_all())
        assert [client.response().body for _ in range(10)] == [b"hello"] * 10


def test_broadcast_while_members_come_and_go(server: Served) -> None:
    async def member(number: int, heard: asyncio.Event) -> list[str]:
        messages = []
        async with websockets.asyncio.client.connect(url(server, "/chat"), proxy=None) as client:
            await client.send(f"here is {number}")
            while (message := str(await client.recv())) != "the end":
                messages.append(message)
                if message == f"here is {number}":
                    heard.set()
        return messages

    async def passer_by() -> None:
        client = await websockets.asyncio.client.connect(url(server, "/chat"), proxy=None)
        await client.send("passing")
        client.transport.abort()
        await client.wait_closed()

    async def meet() -> list[list[str]]:
        heard = [asyncio.Event() for _ in range(20)]
        tasks = [asyncio.ensure_future(member(number, heard[number])) for number in range(20)]
        await asyncio.gather(*(passer_by() for _ in range(20)))
        # Each has heard itself: by then it is a member.
        await asyncio.wait_for(asyncio.gather(*(event.wait() for event in heard)), DEADLINE_SECONDS)
        async with websockets.asyncio.client.connect(url(server, "/chat"), proxy=None) as speaker:
            await speaker.send("all here")
            await speaker.send("the end")
            return await asyncio.gather(*tasks)

    for messages in asyncio.run(meet()):
        assert messages[-1] == "all here"
        assert len(set(messages) - {"passing", "all here"}) >= 1


def test_concurrent_senders_of_one_session(server: Served) -> None:
    """Tasks of an application that send at the same time, to a peer that makes them wait."""
    tasks, count, size = 10, 40, 20000
    target = f"/many-senders?tasks={tasks}&count={count}&size={size}"
    with server.connect(receive_buffer_bytes=4096) as client:
        socket_ = upgrade(client, target.encode())
        turns = [0] * tasks
        while (data := socket_.read_message()) != "done":
            assert isinstance(data, bytes)
            number, turn, rest = data.split(b" ", 2)
            assert rest == bytes(size)
            # In the order in which each has sent its own.
            assert turns[int(number)] == int(turn)
            turns[int(number)] += 1
        assert turns == [count] * tasks
        socket_.close()
        assert socket_.read_close() == (1000, "")


def test_slow_reader_gets_everything(server: Served) -> None:
    count, size = 300, 50_000
    with server.connect(receive_buffer_bytes=4096) as client:
        sent = seen(server, "sent")
        socket_ = upgrade(client, f"/torrent?size={size}&count={count}".encode())
        until_true(lambda: seen(server, "writing") == 1, "it writes")
        # It is made to wait long before the end.
        assert seen(server, "sent") - sent < count
        for _ in range(count):
            assert socket_.read_message() == bytes(size)
        socket_.close()
        assert socket_.read_close() == (1000, "")


def test_echo_of_much_that_is_read_late(server: Served) -> None:
    """Both directions stand still, and go on without a loss."""
    pieces = [bytes([number]) * 100_000 for number in range(100)]
    received = seen(server, "received")
    with server.connect(receive_buffer_bytes=4096) as client:
        socket_ = upgrade(client)
        frames = [frame(BINARY, piece) for piece in pieces]
        client.sock.setblocking(False)
        left = memoryview(b"".join(frames))
        while True:
            try:
                left = left[client.sock.send(left) :]
            except BlockingIOError:
                break
        assert left, "the kernel alone holds that much: nothing has been held back"
        assert seen(server, "received") - received < len(pieces)
        client.sock.settimeout(DEADLINE_SECONDS)
        reader = iter(pieces)
        while left:
            # A blocking send could wait for ever, for the other end waits for us: one message out, some bytes in.
            assert socket_.read_message() == next(reader)
            client.sock.setblocking(False)
            try:
                left = left[client.sock.send(left) :]
            except BlockingIOError:
                pass
            client.sock.settimeout(DEADLINE_SECONDS)
        for piece in reader:
            assert socket_.read_message() == piece


# -- shutdown


def test_shutdown_is_1012_for_both_sides(body: str, quiet: None) -> None:
    with serving("websocket_app", body=body, check=False) as server:
        waiting = server.connect()
        waiting.send(handshake(b"/hesitate"))
        until_true(lambda: seen(server, "hesitating") == 1, "one is not accepted yet")
        silent = upgrade(server.connect(), b"/torrent?count=0")
        clients = [LIBRARIES[name](url(server, "/echo"), (), True, {}) for name in LIBRARIES for _ in range(3)]
        try:
            for client in clients:
                client.send("here")
                assert client.receive() == "here"
            server.server.send_signal(signal.SIGTERM)
            for client in clients:
                assert how_it_closed(client)[0] == 1012
            assert silent.read_close()[0] == 1012
            assert waiting.response().status == 503
            waiting.close()
            # Who does not answer the close is not waited for longer than the close handshake or the grace may take.
            silent.client.close()
            assert server.server.join() == -signal.SIGTERM
        finally:
            for client in clients:
                client.release()
        output = server.server.output
        assert output.count("end: /echo 1012 ''") == len(clients), output
        assert "end: /torrent 1012 ''" in output
        assert "end: /hesitate 1012 ''" in output
        assert "Traceback" not in output
        assert "graceful shutdown exceeded" not in output


def test_shutdown_while_a_session_is_full_of_messages(body: str, quiet: None) -> None:
    """What the application has sent before goes out before the close frame."""
    with serving("websocket_app", body=body, check=False) as server:
        client = server.connect(receive_buffer_bytes=4096)
        socket_ = upgrade(client, b"/torrent?size=30000")
        until_true(lambda: seen(server, "writing") == 1, "it writes")
        server.server.send_signal(signal.SIGTERM)
        got = socket_.read()
        while got.opcode == BINARY:
            assert got.payload == bytes(30000)
            got = socket_.read()
        assert got.close_code == 1012
        socket_.close(1012)
        assert socket_.closed()
        assert server.server.join() == -signal.SIGTERM
        assert "Traceback" not in server.server.output


def test_client_library_on_a_connection_that_was_http_before(server: Served) -> None:
    """The upgrade need not be the first request of a connection, nor wait for the answer before it."""
    with socket.create_connection(server.address, DEADLINE_SECONDS) as sock:
        sock.sendall(get())
        answer = b""
        while not answer.endswith(b"hello"):
            answer += sock.recv(1000)
        with websockets.sync.client.connect(url(server, "/echo"), sock=sock, proxy=None) as client:
            client.send("after")
            assert client.recv(DEADLINE_SECONDS) == "after"
    with server.connect() as raw:
        raw.send(get() + get(b"/seen"))
        socket_ = upgrade_after(raw)
        socket_.send(TEXT, b"hello")
        assert socket_.read_message() == "hello"


def upgrade_after(client: Client) -> WebSocket:
    """Send the handshake at once, read the two answers before its own."""
    client.send(handshake(b"/echo"))
    assert client.response().body == b"hello"
    assert client.response().status == 200
    response = client.head()
    assert response.status == 101
    return WebSocket(client, response)
