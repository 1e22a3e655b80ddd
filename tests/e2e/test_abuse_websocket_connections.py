"""WebSocket attacks that are many connections: vanished at every point, fallen silent, idle, opened and closed again."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.attacks import connections, large, memory_bound, reset, wait_readable
from e2e.serving import MIB, Served, serving, until_true
from e2e.websocket_frames import BINARY, CLOSE, CONTINUATION, PING, TEXT, ZERO_MASK, close_frame, frame, handshake, upgrade


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    # A long timeout: it is the client who ends these connections.
    with serving("websocket_app", "--no-access-log", "--timeout-request-header", "120", body=body) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(body: str) -> Iterator[Served]:
    options = ("--ws-ping-interval", "0.5", "--ws-ping-timeout", "0.5", "--timeout-request-header", "1")
    with serving("websocket_app", "--no-access-log", *options, body=body) as server:
        yield server


def seen(server: Served, what: str) -> Any:
    return json.loads(server.request(b"/seen").body).get(what, 0)


def still_serves(server: Served) -> None:
    assert server.request().body == b"hello"
    with server.connect() as client:
        other = upgrade(client, behind=frame(TEXT, b"still there?") + close_frame())
        assert other.read_message() == "still there?"
        assert other.read_close()[0] == 1000


def survived(server: Served) -> None:
    still_serves(server)
    server.settle()
    assert "Traceback" not in server.server.output, server.server.output[-4000:]


#: Where a client may vanish: the target, what it has sent by then.
POINTS = {
    "half a handshake": (b"/echo", handshake(b"/echo")[:-10]),
    "handshake": (b"/echo", handshake(b"/echo")),
    "before the accept": (b"/slow", handshake(b"/slow?gate=vanished")),
    "refused": (b"/refuse", handshake(b"/refuse")),
    "half a header": (b"/echo", handshake(b"/echo") + b"\x81"),
    "half a message": (b"/echo", handshake(b"/echo") + frame(TEXT, b"half", length=5000)),
    "between fragments": (b"/echo", handshake(b"/echo") + frame(BINARY, bytes(5000), fin=False)),
    "an answer on its way": (b"/echo", handshake(b"/echo") + frame(BINARY, bytes(100_000), mask=ZERO_MASK)),
    "pongs on their way": (b"/echo", handshake(b"/echo") + frame(PING, bytes(125)) * 500),
    "many messages": (b"/listen", handshake(b"/listen") + frame(TEXT, b"x") * 1000),
    "close handshake": (b"/echo", handshake(b"/echo") + close_frame()),
    "close of the application": (b"/close", handshake(b"/close") + frame(TEXT, b"now")),
    "failure": (b"/echo", handshake(b"/echo") + frame(CONTINUATION, b"x")),
    "torrent": (b"/torrent", handshake(b"/torrent")),
    "nobody receives": (b"/deaf", handshake(b"/deaf?gate=vanished") + frame(TEXT, b"x") * 1000),
}


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("count", [50, large(500)])
@pytest.mark.parametrize("at_once", [True, False], ids=["at once", "after the answer"])
def test_clients_vanish_at_every_point(server: Served, at_once: bool, count: int, how: str) -> None:
    """So many at each point, all together; at once, or when the server has answered all it will."""
    try:
        # Those who wait at a gate keep what they have until the end.
        with memory_bound(server, 16 + count * 0.1):
            for name, (_, request) in POINTS.items():
                with connections(server, count, request, 4096) as socks:
                    if not at_once and name not in ("half a handshake", "before the accept"):
                        wait_readable(socks)
                    for sock in socks:
                        reset(sock) if how == "reset" else sock.close()
                still_serves(server)
    finally:
        until_true(lambda: all_gone(server), "all have ended")
    survived(server)


def all_gone(server: Served) -> bool:
    """Lets those go who wait at the gate and have noticed nothing; more may come to it yet."""
    server.request(b"/open?vanished")
    return not server.left_behind()


@pytest.mark.parametrize("count", [20, large(500)])
def test_peers_that_fall_silent(hasty: Served, count: int) -> None:
    """Half open, for ever: nobody closes but the server, and without being answered."""
    silent = {
        "idle": handshake(b"/listen"),
        "half a message": handshake(b"/listen") + frame(TEXT, b"half", length=5000),
        "between fragments": handshake(b"/echo") + frame(BINARY, bytes(5000), fin=False),
        "half a handshake": handshake(b"/echo")[:-10],
    }
    if count > 100:
        # These are given a minute longer to take what waits for them.
        silent["torrent"] = handshake(b"/torrent")
    opened: list[socket.socket] = []
    managers = [connections(hasty, count, request, 4096) for request in silent.values()]
    try:
        for manager in managers:
            opened += manager.__enter__()
        still_serves(hasty)
        # Nothing of them is left although none has closed: the codes are for the pings that were not answered.
        hasty.settle(120)
        assert {code for _, code, _ in seen(hasty, "ends")} <= {1000, 1006, 1011}
        wait_readable(opened)
    finally:
        for manager in managers:
            manager.__exit__(None, None, None)
    survived(hasty)


@pytest.mark.abuse
@pytest.mark.parametrize("count", [500])
@pytest.mark.parametrize("request_bytes", [handshake(b"/close") + frame(TEXT, b"now"), handshake(b"/echo") + frame(3)])
def test_peers_that_never_answer_the_close(server: Served, request_bytes: bytes, count: int) -> None:
    """The close handshake has an end of its own, ten seconds after it began."""
    with memory_bound(server, 8 + count * 0.05), connections(server, count, request_bytes) as socks:
        wait_readable(socks)
        still_serves(server)
        server.settle(60)
    survived(server)


#: What an idle WebSocket may cost; see docs/websocket.md for what it does cost.
IDLE_BYTES = {"native": 12 * 1024, "pure": 32 * 1024}


@pytest.mark.parametrize("count", [1000, large(10_000)])
@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
def test_idle_websockets(server: Served, body: str, deflate: bool, count: int) -> None:
    fields = [b"Sec-WebSocket-Extensions: permessage-deflate"] if deflate else []
    request = handshake(b"/listen", *fields)
    # The first fill the allocator's own reserves.
    with connections(server, 200, request):
        until_true(lambda: seen(server, "listening") == 200, "all are open")
    server.settle()
    before = server.resident_bytes()
    with connections(server, count, request):
        until_true(lambda: seen(server, "listening") == count, "all are open")
        for _ in range(20):
            still_serves(server)
        each = (server.resident_bytes() - before) / count
        print(f"{body}: {count} idle WebSockets{', deflate' if deflate else ''}: {each / 1024:.1f} KiB each")
        assert each < IDLE_BYTES[body]
    survived(server)


@pytest.mark.parametrize("count", [300, large(30_000)])
def test_open_talk_close_flood(server: Served, count: int) -> None:
    with memory_bound(server, 8):
        for number in range(count):
            with server.connect() as client:
                socket_ = upgrade(client, behind=frame(TEXT, b"x") + close_frame(3000 + number % 1000))
                assert socket_.read_message() == "x"
                assert socket_.read_close()[0] == 3000 + number % 1000
                assert socket_.closed()
            server.server.clients.clear()
    survived(server)


@pytest.mark.parametrize("count", [200, large(2000)])
def test_memory_is_given_back_after_a_wave(server: Served, count: int) -> None:
    """After a wave of busy sessions the process is not larger than after the wave before it."""
    sizes = []
    request = handshake(b"/echo", b"Sec-WebSocket-Extensions: permessage-deflate") + frame(TEXT, b"a" * 5000)
    for _ in range(4):
        with connections(server, count, request) as socks:
            for sock in socks:
                read_an_answer(sock)
        server.settle()
        sizes.append(server.resident_bytes())
    assert sizes[-1] - sizes[1] < 2 * MIB, [size / MIB for size in sizes]
    survived(server)


def read_an_answer(sock: socket.socket) -> None:
    """The 101 and the first frame behind it."""
    received = b""
    while received.partition(b"\r\n\r\n")[2] == b"":
        received += sock.recv(65536)
    assert received.partition(b"\r\n\r\n")[2][0] & 15 in (TEXT, CLOSE)
