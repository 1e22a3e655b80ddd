"""Attacks that are many connections: idle, reset, half open, vanished, more than there are descriptors."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator

import pytest

from e2e.attacks import connections, large, memory_bound, reset, wait_readable
from e2e.serving import MIB, Served, serving, until_true
from harness import DEADLINE_SECONDS, Client
from raw_client import get


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    # Long timeouts: it is the client who ends these connections.
    timeouts = ("--timeout-request-header", "120", "--timeout-keep-alive", "120")
    with serving("raw_app", "--no-access-log", *timeouts, body=body) as server:
        yield server


@pytest.fixture(scope="module")
def hasty(body: str) -> Iterator[Served]:
    timeouts = ("--timeout-request-header", "1", "--timeout-keep-alive", "1", "--timeout-request-body", "1")
    with serving("raw_app", "--no-access-log", *timeouts, body=body) as server:
        yield server


def seen(server: Served, what: str) -> int:
    count: int = json.loads(server.request(b"/seen").body).get(what, 0)
    return count


#: What an idle connection may cost; see docs/soak.md for what it does cost.
IDLE_BYTES = {"native": 8 * 1024, "pure": 24 * 1024}


@pytest.mark.parametrize("count", [1000, large(10_000)])
@pytest.mark.parametrize("kind", ["silent", "kept alive", "half a head"])
def test_idle_connections(server: Served, body: str, kind: str, count: int, nothing_left: None) -> None:
    request = {"silent": b"", "kept alive": get(), "half a head": b"GET / HTTP/1.1\r\nHost:"}[kind]
    # The first fill the allocator's own reserves.
    with connections(server, 200, request):
        until_true(lambda: server.probe()["sockets"] >= 200, "all are accepted")
    server.settle()
    before = server.resident_bytes()
    with connections(server, count, request) as socks:
        if kind == "kept alive":
            for sock in socks:
                assert sock.recv(1000).endswith(b"hello")
        until_true(lambda: server.probe()["sockets"] >= count, "all are accepted")
        # New ones are served beside them.
        for _ in range(20):
            assert server.request().body == b"hello"
        each = (server.resident_bytes() - before) / count
        print(f"{body}: {count} connections, {kind}: {each / 1024:.1f} KiB each")
        assert each < IDLE_BYTES[body]


@pytest.mark.parametrize("count", [500, large(50_000)])
@pytest.mark.parametrize("request_bytes", [b"", get(), b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"])
def test_connect_and_reset_flood(server: Served, request_bytes: bytes, count: int, nothing_left: None) -> None:
    with memory_bound(server, 16):
        for number in range(count):
            sock = socket.create_connection(server.address, DEADLINE_SECONDS)
            if request_bytes:
                sock.sendall(request_bytes)
            reset(sock)
            if number % 100 == 99:
                assert server.request().body == b"hello"
    assert server.request().body == b"hello"


@pytest.mark.parametrize("count", [20, large(1000)])
def test_half_open_peers(hasty: Served, count: int) -> None:
    """Peers that will never say anything again, at every point where they may have fallen silent."""
    points = [
        b"",
        get(),
        b"GET / HT",
        get() + b"GET / HT",
        b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
        b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nExpect: 100-continue\r\n\r\n",
    ]
    with contextlib.ExitStack() as stack:
        socks = []
        for request in points:
            socks += stack.enter_context(connections(hasty, count, request))
        assert hasty.request().body == b"hello"
        # Nobody here closes: the server does, and without being read.
        hasty.settle()
        wait_readable(socks)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("count", [100, large(500), large(5000)])
@pytest.mark.parametrize("target", [b"/listen", b"/wait?vanish", b"/events"])
def test_clients_vanish_while_the_application_sleeps(
    server: Served, target: bytes, count: int, how: str, nothing_left: None
) -> None:
    name = {b"/listen": "listening", b"/events": "writing"}.get(target, "waiting")
    with connections(server, count, get(target), 4096) as socks:
        until_true(lambda: seen(server, name) == count, "all are being served")
        for sock in socks:
            reset(sock) if how == "reset" else sock.close()
    assert server.request().body == b"hello"
    if name == "waiting":
        # These look neither at receive() nor at send() before they are let go. A reset ends their connections before; a FIN
        # might come from a client that still reads (RFC 9112 9.6).
        if how == "reset":
            until_true(lambda: server.left_behind().get("sockets", 0) == 0, "the connections are gone")
        server.request(b"/open?vanish")
    until_true(lambda: seen(server, name) == 0, "all have ended")


# -- out of descriptors

LIMIT = 64


@pytest.fixture(scope="module", params=["auto", "asyncio"])
def scarce(body: str, request: pytest.FixtureRequest) -> Iterator[Served]:
    env = {"E2E_NOFILE": str(LIMIT)}
    options = ("--no-access-log", "--timeout-request-header", "60", "--loop", str(request.param))
    with serving("raw_app", *options, body=body, env=env) as server:
        yield server


def ticks(server: Served) -> int:
    """Processor time of the process, in the kernel's ticks."""
    with open(f"/proc/{server.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def served_again(server: Served) -> None:
    """Wait until new clients are let in. Before, libuv accepts and sends away whom it has no descriptor for."""

    def served() -> bool:
        with contextlib.suppress(OSError, AssertionError):
            return bool(server.request().body == b"hello")
        return False

    until_true(served, "served again")


def test_out_of_descriptors(scarce: Served) -> None:
    with Client(scarce.address) as old:
        assert old.request().body == b"hello"
        with connections(scarce, LIMIT * 2):
            # Those who are in are served as before, again and again.
            for _ in range(200):
                assert old.request().body == b"hello"
        # All gone: whoever waited in the queue is let in and let go, and new clients are served.
        served_again(scarce)
        assert old.request().body == b"hello"
    scarce.settle()


def test_out_of_descriptors_is_no_busy_loop(scarce: Served) -> None:
    with Client(scarce.address) as old, connections(scarce, LIMIT * 2):
        assert old.request().body == b"hello"
        # A request that takes a while without costing anything: a busy loop would burn a processor meanwhile.
        before = ticks(scarce)
        old.send(get(b"/nap"))
        assert old.response().body == b"rested"
        assert ticks(scarce) - before < 50
    served_again(scarce)
    scarce.settle()


def test_waiting_clients_are_let_in_one_by_one(scarce: Served) -> None:
    with connections(scarce, LIMIT * 2, get()) as socks:
        # Each that is answered and closes makes room for another.
        answered = 0
        for sock in socks:
            try:
                answered += sock.recv(1000).endswith(b"hello")
            except ConnectionResetError:
                pass
            sock.close()
        assert answered > LIMIT // 2
    served_again(scarce)
    scarce.settle()


def test_idle_memory_is_given_back(server: Served, nothing_left: None) -> None:
    """After a wave of connections the process is not larger than after the wave before it."""
    sizes = []
    for _ in range(4):
        with connections(server, 500, get()) as socks:
            wait_readable(socks)
        server.settle()
        sizes.append(server.resident_bytes())
    assert sizes[-1] - sizes[1] < 2 * MIB, [size / MIB for size in sizes]
