"""Signals while clients of every kind are connected: what runs is finished, what idles is closed, what hangs is cut."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from e2e.attacks import connections, read_to_the_cut
from e2e.serving import Served, serving, until_true
from harness import wait_until
from raw_client import Client, Response, get

#: How long the server waits for what runs.
GRACE_SECONDS = 1


@pytest.fixture(params=[(), ("--loop", "asyncio")], ids=["auto", "asyncio"])
def server(body: str, request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server of the test's own, which the test ends."""
    options = ("--no-access-log", *request.param, "--timeout-graceful-shutdown", str(GRACE_SECONDS))
    with serving("raw_app", *options, body=body, check=False) as server:
        yield server


@pytest.fixture
def patient(body: str) -> Iterator[Served]:
    """As `server`, for what takes so long that one loop must do; the other one has its turn in tests/server/test_signals.py."""
    options = ("--no-access-log", "--timeout-graceful-shutdown", str(GRACE_SECONDS))
    with serving("raw_app", *options, body=body, check=False) as server:
        yield server


def seen(server: Served, what: str) -> int:
    count: int = json.loads(server.request(b"/seen").body).get(what, 0)
    return count


def is_refused(server: Served) -> bool:
    """Whether new connections are refused already."""
    try:
        server.connect().close()
    except (ConnectionRefusedError, ConnectionResetError):
        return True
    return False


def test_term_with_clients_of_every_kind(server: Served) -> None:
    idle = server.connect()
    assert idle.request().body == b"hello"
    silent = server.connect()
    running = server.connect()
    running.send(get(b"/wait?running"))
    with_more = server.connect()
    with_more.send(get(b"/wait?running") + get(b"/never-begun"))
    until_true(lambda: seen(server, "waiting") == 2, "two requests run")
    opener = server.connect()
    # This one is still being sent when the signal comes.
    opener.send(get(b"/open?running")[:-2])

    server.server.send_signal(signal.SIGTERM)
    # Who idles is let go at once, who runs is not.
    assert idle.closed()
    assert silent.closed()
    wait_until(lambda: is_refused(server), "new connections are refused")
    assert not running.has_input()
    opener.send(b"\r\n")
    assert opener.response().get(b"connection") == b"close"
    for client in (running, with_more):
        answer = client.response()
        assert (answer.body, answer.get(b"connection")) == (b"at last", b"close")
        # What was pipelined behind it is not begun: its sender may try elsewhere.
        assert client.closed()
    assert server.server.join() == -signal.SIGTERM
    assert "lifespan: shut down" in server.server.output
    assert "graceful shutdown exceeded" not in server.server.output


def test_term_with_clients_that_never_read(server: Served) -> None:
    with connections(server, 5, get(b"/large?1000000000"), 4096), connections(server, 5, get(b"/events"), 4096):
        until_true(lambda: seen(server, "writing") == 10, "all write")
        assert server.server.stop(signal.SIGTERM) == -signal.SIGTERM
    # Their applications were told by send(), and ended by themselves: nothing had to be cancelled.
    assert "lifespan: shut down" in server.server.output
    assert "Cancel" not in server.server.output


def test_term_with_half_sent_requests(server: Served) -> None:
    half_a_body = b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx"
    with (
        connections(server, 5, b"GET / HTTP/1.1\r\nHo"),
        connections(server, 5, b"\r\n"),
        connections(server, 5, half_a_body),
    ):
        until_true(lambda: seen(server, "received") == 5, "all have begun")
        assert server.server.stop(signal.SIGTERM) == -signal.SIGTERM
    assert "lifespan: shut down" in server.server.output


def test_term_with_long_polls(server: Served) -> None:
    with connections(server, 10, get(b"/listen")):
        until_true(lambda: seen(server, "listening") == 10, "all listen")
        assert server.server.stop(signal.SIGTERM) == -signal.SIGTERM
    # They got their http.disconnect when their time was up.
    assert "Cancel" not in server.server.output


def test_term_with_an_application_that_never_returns(patient: Served) -> None:
    client = patient.connect()
    client.send(get(b"/never"))
    patient.server.wait_for("never: begun")
    assert patient.server.stop(signal.SIGTERM) == -signal.SIGTERM
    assert "never: cancelled" in patient.server.output
    read_to_the_cut(client)


def test_term_with_an_application_that_blocks_the_loop(patient: Served) -> None:
    client = patient.connect()
    client.send(get(b"/block"))
    patient.server.wait_for("block: begun")
    # Ended from outside the loop, as the signal would have ended it; the log says where the loop hung.
    assert patient.server.stop(signal.SIGTERM) == -signal.SIGTERM
    assert "block" in patient.server.output.split("did not end in time", 1)[1]
    read_to_the_cut(client)


def test_second_interrupt_waits_for_nobody(server: Served) -> None:
    client = server.connect()
    client.send(get(b"/wait?never-opened"))
    until_true(lambda: seen(server, "waiting") == 1, "a request runs")
    server.server.send_signal(signal.SIGINT)
    server.server.wait_for("Shutting down")
    server.server.send_signal(signal.SIGINT)
    assert server.server.join() == 0
    assert "lifespan: shut down" not in server.server.output
    read_to_the_cut(client)


def answer_or_close(client: Client) -> Response | None:
    """The answer to one more request, None if the server has closed between two of them."""
    try:
        client.send(get(b"/large?3000"))
        if not client.sock.recv(1, socket.MSG_PEEK):
            return None
    except (ConnectionResetError, BrokenPipeError):
        return None
    return client.response()


def test_clients_that_never_stop_asking_lose_no_answer(server: Served) -> None:
    """Every request that was answered at all was answered whole; at most the one under way on each connection is lost."""
    clients = [server.connect() for _ in range(8)]
    answers = 0
    deadline = time.monotonic() + 60
    while clients and time.monotonic() < deadline:
        for client in list(clients):
            answer = answer_or_close(client)
            if answer is None:
                clients.remove(client)
                continue
            assert answer.body == bytes(3000)
            answers += 1
            if answers == 400:
                server.server.send_signal(signal.SIGTERM)
            if answer.get(b"connection") == b"close":
                assert client.closed()
                clients.remove(client)
    assert answers >= 400
    assert server.server.join() == -signal.SIGTERM
