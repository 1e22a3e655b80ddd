"""Measures one workload: all servers side by side, round after round, so that what the machine does meanwhile hits all alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import wrk
from failure import BenchFailure
from launch import Stable
from peers import ACCESS_LOG, Peer
from process import Server, spent_nanoseconds
from verify import check
from workloads import Workload

WARM_UP_SECONDS = 1

Cell = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How long and how often."""

    rounds: int
    seconds: int
    client_core: int


def new_cell() -> Cell:
    """What one server does on one workload."""
    return {"requests_per_second": [], "cpu_us": [], "p50_us": [], "p99_us": []}


class Entrant:
    """A server in one workload, until it fails."""

    def __init__(self, stable: Stable, peer: Peer, workload: Workload, effort: Effort) -> None:
        self.peer, self.workload, self.effort = peer, workload, effort
        self.stable = stable
        self.cell = new_cell()
        self.server: Server | None = None
        self.has_started = False
        self.requests = 0
        if note := peer.notes.get(workload.way):
            self.cell["note"] = note

    @contextlib.contextmanager
    def failures(self, before: str = "") -> Iterator[None]:
        """What goes wrong inside ends this server's row alone."""
        try:
            yield
        except BenchFailure as failure:
            self.cell["fails" if self.has_started else "skipped"] = f"{before}{failure}"
            self.stop()

    def start(self) -> None:
        with self.failures():
            self.server = self.stable.start(self.peer, self.workload.way, self.workload.app)
            self.has_started = True

    def prepare(self) -> None:
        """Wait for the start, look at the answer, warm up unless there is nothing to come."""
        if self.server is None:
            return
        with self.failures():
            self.server.await_start()
            self.cell["framing"] = check(self.server.port, self.workload.request, self.workload.content)
            if self.effort.rounds:
                self._load(WARM_UP_SECONDS)
            self._make_room()

    def _make_room(self) -> None:
        if self.peer.spins and self.server is not None:
            self.server.hold()

    def _load(self, seconds: int) -> wrk.Load:
        assert self.server is not None
        load = wrk.run(
            self.server.port,
            self.workload.request,
            seconds=seconds,
            connections=self.workload.connections,
            core=self.effort.client_core,
            folder=self.stable.folder,
        )
        self.requests += load.requests
        return load

    def round(self, number: int) -> None:
        """One turn, unless this server has had all of its turns."""
        if self.server is None or (self.peer.rounds is not None and number >= self.peer.rounds):
            return
        with self.failures(f"in round {number + 1}: "):
            self.server.resume()
            before = self.server.cpu()
            load = self._load(self.effort.seconds)
            cpu_us = spent_nanoseconds(before, self.server.cpu()) / 1000 / load.requests
            self.cell["rss_kib"] = self.server.rss_kib()
            self.cell["requests_per_second"].append(load.requests_per_second)
            self.cell["cpu_us"].append(cpu_us)
            self.cell["p50_us"].append(load.p50_us)
            self.cell["p99_us"].append(load.p99_us)
            self._make_room()

    def finish(self) -> None:
        """Look at the answer once more, and at the log when there has to be one."""
        if self.server is None:
            return
        with self.failures("after the load: "):
            self.server.resume()
            check(self.server.port, self.workload.request, self.workload.content)
            log = self.server.log
            self.stop()
            with log.open("rb") as lines:
                logged = sum(b"GET /" in line for line in lines)
            if self.workload.way == ACCESS_LOG and logged < self.requests:
                raise BenchFailure(f"{logged} lines for {self.requests} requests")
            log.unlink()

    def stop(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None


def measure(
    stable: Stable, workload: Workload, entering: list[Peer], effort: Effort, say: Callable[[str], None]
) -> dict[str, Cell]:
    """Run all of `entering` on one workload; server -> cell."""
    entrants = [Entrant(stable, peer, workload, effort) for peer in entering]
    try:
        for entrant in entrants:
            entrant.start()
        for entrant in entrants:
            entrant.prepare()
        for number in range(effort.rounds):
            for entrant in entrants:
                entrant.round(number)
        for entrant in entrants:
            entrant.finish()
    finally:
        for entrant in entrants:
            entrant.stop()
    for entrant in entrants:
        for word in ("fails", "skipped"):
            if word in entrant.cell:
                say(f"  {entrant.peer.name}: {word}: {entrant.cell[word]}")
    return {entrant.peer.name: entrant.cell for entrant in entrants}
