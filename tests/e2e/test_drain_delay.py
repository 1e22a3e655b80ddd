"""The delay between being told to end and ending: health checks fail, and everybody else is served; alone and with workers."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.binding import MODES, Listening, listening
from harness import Client, wait_until

LONG = "3600"
DELAYING = f"Serving on for {LONG} seconds, for load balancers to look elsewhere. (CTRL+C to end now)"
HEALTH = b"/healthz"
OPTIONS = ("--health-check-path", "/healthz", "--timeout-keep-alive", LONG)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """The file that lets /slow go."""
    return tmp_path / "gate"


@pytest.fixture
def server(mode: str, body: str, gate: Path) -> Iterator[Listening]:
    """One with a delay that nobody will see the end of."""
    env = {"PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else "", "GATE": str(gate)}
    with delaying(mode, gate, "--drain-delay", LONG, env=env) as one:
        yield one


@contextlib.contextmanager
def delaying(mode: str, gate: Path, *options: str, **more: Any) -> Iterator[Listening]:
    """A server that is up, not only as its workers see it."""
    path = gate.with_name("pid")
    with listening(mode, *OPTIONS, "--pidfile", str(path), *options, **more) as one:
        wait_until(path.exists, "it is up")
        # The file is there a moment before a server alone counts as started.
        assert health(one) == 200
        yield one


def connect(server: Listening) -> Client:
    return server.connect(("127.0.0.1", server.port()))


def health(server: Listening) -> int:
    with connect(server) as client:
        return client.request(HEALTH, b"Connection: close").status


def all_healths(server: Listening) -> set[int]:
    """What all workers say: of connections that are open at the same time each has some, one after another may all go to one."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(server)) for _ in range(10)]
        return {client.request(HEALTH, b"Connection: close").status for client in clients}


def begin_delay(server: Listening, number: int = signal.SIGTERM) -> None:
    server.server.send_signal(number)
    server.server.wait_for(re.escape(DELAYING))
    # Each worker is told, which takes a moment; then none forgets it.
    wait_until(lambda: all_healths(server) == {503}, "health checks fail")


def accepts(server: Listening) -> bool:
    try:
        Client(("127.0.0.1", server.port())).close()
    except ConnectionRefusedError:
        return False
    return True


def held(server: Listening) -> Client:
    """A client whose request is running."""
    client = connect(server)
    client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
    server.server.wait_for("slowly")
    return client


def test_health_checks_fail_and_everybody_else_is_served(server: Listening, gate: Path) -> None:
    with held(server) as busy, connect(server) as idle:
        assert idle.request(HEALTH).body == b"ok"
        assert idle.request().status == 200
        begin_delay(server)
        # Old connections and new ones: each hears that this was its last answer.
        for client in (idle, connect(server), connect(server)):
            answer = client.request()
            assert (answer.status, answer.get(b"connection")) == (200, b"close")
            assert client.closed()
            client.close()
        # A second one cuts the delay short, and nothing but the delay.
        server.server.send_signal(signal.SIGTERM)
        wait_until(lambda: not accepts(server), "nobody accepts")
        gate.touch()
        assert busy.response().status == 200
        assert busy.closed()
    assert server.server.join() == (0 if server.mode == "workers" else -signal.SIGTERM)
    assert server.server.output.count(DELAYING) == 1
    assert HEALTH.decode() not in server.server.output


def test_ctrl_c_once_more_ends_the_delay_and_once_more_everything(server: Listening) -> None:
    with held(server) as busy:
        begin_delay(server, signal.SIGINT)
        server.server.send_signal(signal.SIGINT)
        wait_until(lambda: not accepts(server), "nobody accepts")
        server.server.wait_for("Waiting for connections to close")
        server.server.send_signal(signal.SIGINT)
        assert busy.closed()
    server.server.join()
    assert "graceful shutdown exceeded" not in server.server.output


def test_it_ends_by_itself(mode: str, gate: Path) -> None:
    with delaying(mode, gate, "--drain-delay", "0.3") as server:
        server.stop()
        assert "Serving on for 0.3 seconds" in server.server.output


def test_one_that_serves_nobody_yet_does_not_wait(mode: str, gate: Path) -> None:
    env = {"START_FILE": str(gate)}
    with listening(mode, "--drain-delay", LONG, env=env) as server:
        server.server.wait_for("Waiting for application startup", 1 if mode == "single" else 2)
        server.server.send_signal(signal.SIGTERM)
        if mode == "workers":
            server.server.wait_for("Received SIGTERM, exiting")
        gate.touch()
        server.server.join()
        assert "Serving on" not in server.server.output


def test_without_a_delay_health_checks_fail_all_the_same(mode: str, gate: Path) -> None:
    with delaying(mode, gate, env={"GATE": str(gate)}) as server:
        # A question behind a request that is running: it is answered after the signal has come.
        with held(server) as busy:
            server.server.send_signal(signal.SIGTERM)
            server.server.wait_for("Waiting for connections to close")
            gate.touch()
            assert busy.response().get(b"connection") == b"close"
            assert busy.closed()
        server.server.join()


# -- workers


@pytest.mark.parametrize("mode", ["workers"])
def test_a_worker_that_is_new_in_the_delay_knows_of_it(server: Listening, mode: str) -> None:
    begin_delay(server)
    victim = int(re.findall(r"Started server process \[(\d+)\]", server.server.output)[0])
    os.kill(victim, signal.SIGKILL)
    server.server.wait_for("Application startup complete", 3)
    wait_until(lambda: {health(server) for _ in range(10)} == {503}, "health checks fail everywhere")
    # Too late for anything else.
    server.server.send_signal(signal.SIGHUP)
    server.stop()
    assert "Received SIGHUP" not in server.server.output


@pytest.mark.parametrize("mode", ["workers"])
def test_a_worker_that_is_replaced_is_healthy_to_its_end(mode: str, gate: Path) -> None:
    with delaying(mode, gate) as server:
        with connect(server) as idle:
            pid = json.loads(idle.request().body)["pid"]
            server.server.send_signal(signal.SIGHUP)
            server.server.wait_for(rf"Terminated child process \[{pid}\]")
            answers = []
            while not answers or answers[-1].get(b"connection") is None:
                answers.append(idle.request(HEALTH))
            assert {answer.status for answer in answers} == {200}
        server.stop()
