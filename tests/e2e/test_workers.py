"""Workers that come and go while clients of every kind are served: nobody may feel it. The long form is bench/rolling.py."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.rolling import Load, load
from e2e.serving import APPS, BODIES, until_true
from harness import SpawnedServer, spawned
from raw_client import Client

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reuseport, /proc")

CLIENTS = {"keep_alive": 4, "short": 3, "stream": 2, "websocket": 2}


class Workers:
    """A supervisor with two workers, and clients that never stop."""

    def __init__(self, server: SpawnedServer, load: Load) -> None:
        self.server = server
        self.load = load

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.server.output))

    def do(self, number: int, finished: int = 0, ready: int = 0) -> None:
        """Signal the supervisor, wait until so many workers have ended or started, and until all clients have gone on."""
        done, up = self.count("Finished server process"), self.count("Application startup complete")
        self.server.send_signal(number)
        if ready:
            self.server.wait_for("Application startup complete", up + ready)
        if finished:
            self.server.wait_for("Finished server process", done + finished)
        self.load.wait_for_more(10)

    def children(self) -> list[int]:
        """Process ids of the workers, oldest first."""
        pid = self.server.process.pid
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [child for child in map(int, file.read().split()) if "multiprocessing.spawn" in command(child)]


def command(pid: int) -> str:
    with open(f"/proc/{pid}/cmdline") as file:
        return file.read()


@pytest.fixture(params=["shared", "reuseport"])
def balance(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextlib.contextmanager
def serving(body: str, *options: str) -> Iterator[SpawnedServer]:
    environment = {"PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else ""}
    arguments = ("--app-dir", str(APPS), "--workers", "2", "--timeout-keep-alive", "2", "--no-access-log", *options)
    with spawned("rolling_app:app", *arguments, env=environment) as server:
        server.wait_for("Application startup complete", 2)
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.stop()


@contextlib.contextmanager
def workers(body: str, *options: str) -> Iterator[Workers]:
    with serving(body, *options) as server, load(server.port, **CLIENTS) as clients:
        clients.wait_for_more(10)
        yield Workers(server, clients)


def nothing_lost(counts: dict[str, Any]) -> None:
    assert counts["done"].keys() == {"keep-alive", "short", "stream", "websocket"}
    assert counts["lost"] == []


def test_restarts_lose_nothing(balance: str) -> None:
    # Who takes over a socket is the supervisor's doing, which is the same for both bodies; recycling tries both.
    with workers(BODIES[0], "--socket-balance", balance) as running:
        for _ in range(2):
            running.do(signal.SIGHUP, ready=2, finished=2)
        counts = running.load.end()
        nothing_lost(counts)
        assert counts["seen"]["close announced"]
        assert counts["seen"]["1012"]
        assert len(counts["workers"]) >= 4


def test_recycling_loses_nothing(body: str) -> None:
    with workers(body, "--limit-max-requests", "50", "--limit-max-requests-jitter", "20") as running:
        running.server.wait_for("Finished server process", 4)
        nothing_lost(running.load.end())
        assert len(set(re.findall(r"Maximum request limit of (\d+) exceeded", running.server.output))) > 1


def test_more_and_fewer_workers_lose_nothing(balance: str) -> None:
    with workers(BODIES[0], "--socket-balance", balance) as running:
        running.do(signal.SIGTTIN, ready=1)
        for _ in range(2):
            # Who takes over a socket that was another worker's alone is replaced for it.
            running.do(signal.SIGTTOU, finished=1 if balance == "shared" else 2)
        nothing_lost(running.load.end())


def test_a_killed_worker_loses_what_it_had_in_hand_and_no_more(body: str) -> None:
    with workers(body) as running:
        killed = []
        for _ in range(2):
            worker = running.children()[0]
            up = running.count("Application startup complete")
            os.kill(worker, signal.SIGKILL)
            killed.append(str(worker))
            running.server.wait_for("Application startup complete", up + 1)
            running.load.wait_for_more(10)
        lost = running.load.end()["lost"]
        # One request of each client at most, and none of a client that was another worker's.
        assert len(lost) <= len(killed) * running.load.clients
        assert {error["worker"] for error in lost} <= {*killed, ""}
        # Who has not been answered yet does not know whose it was; connecting has failed for nobody.
        assert not [error for error in lost if error["what"].startswith("connect")]


def test_a_new_server_and_the_end_of_the_old_one_lose_nothing(balance: str) -> None:
    with workers(BODIES[0], "--socket-balance", balance) as running:
        running.do(signal.SIGUSR2, ready=2)
        new = int(running.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        running.server.process.send_signal(signal.SIGTERM)
        running.server.process.wait(30)
        running.load.wait_for_more(10)
        assert running.load.counts()["lost"] == []
        ends = time.monotonic()
        os.kill(new, signal.SIGTERM)
        running.server.wait_for("Stopping parent process", 2)
        # There is no server any more, and clients that begin now are told so. What was begun before the signal was answered.
        assert [error for error in running.load.end()["lost"] if error["began"] < ends] == []


def worker_of(server: SpawnedServer) -> bytes | None:
    """Who answers on a new connection."""
    with contextlib.closing(Client(("127.0.0.1", server.port))) as client:
        return client.request(b"/", b"Connection: close").get(b"x-worker")


@pytest.mark.skipif("native" not in BODIES, reason="the native poller's doing")
def test_connections_are_spread_evenly() -> None:
    with serving("native") as server:
        # Who has started up may not have begun to accept.
        seen = set()
        until_true(lambda: seen.add(worker_of(server)) or len(seen) == 2, "both workers accept")
        clients = [Client(("127.0.0.1", server.port)) for _ in range(64)]
        try:
            counts = Counter(client.request().get(b"x-worker") for client in clients)
        finally:
            for client in clients:
                client.close()
        assert len(counts) == 2, counts
        # 31 and 33, unless a worker gets none of the processor for a long moment.
        assert min(counts.values()) >= 16, counts


def test_no_process_stays(body: str) -> None:
    with serving(body) as server:
        children = [server.process.pid]
        with open(f"/proc/{server.process.pid}/task/{server.process.pid}/children") as file:
            children += map(int, file.read().split())
        assert len(children) >= 3
        assert server.stop() == 0
    until_true(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "all are gone")
