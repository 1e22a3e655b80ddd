"""Measures one workload: all servers side by side, round after round, so that what the machine does meanwhile hits all alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import http2_generator
import http2_verify
import verify
import websocket_generator
import websocket_verify
import wrk
from cores import busy_share, core_ticks
from failure import BenchFailure, Unsupported
from launch import Stable
from peers import ACCESS_LOG, TWO_WORKERS, Peer
from process import Server, largest_share, spent_nanoseconds
from workloads import AnyWorkload, HTTP2Workload, TLSWorkload, WebSocketWorkload, Workload

WARM_UP_SECONDS = 1
#: of the CPU time of two workers: with one that takes more, readers should know that the other has had a rest
UNEVEN_SHARE = 0.9

Cell = dict[str, Any]


@dataclass(frozen=True)
class Effort:
    """How long and how often."""

    rounds: int
    seconds: int
    client_core: int


def new_cell() -> Cell:
    """What one server does on one workload."""
    return {"requests_per_second": [], "cpu_us": [], "p50_us": [], "p99_us": [], "client_busy": []}


class Watch:
    """What a load costs, while this is open: CPU time of the server, and how busy the generator's core is."""

    def __init__(self, server: Server, core: int) -> None:
        self._server, self._core = server, core
        self.cpu_nanoseconds = 0
        #: near 1 it is the generator that is measured
        self.client_busy = 0.0

    def __enter__(self) -> Watch:
        self._ticks, self._times = core_ticks(self._core), self._server.cpu()
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu_nanoseconds = spent_nanoseconds(self._times, self._server.cpu())
        self.client_busy = busy_share(self._ticks, core_ticks(self._core))


class Driver(Protocol):
    """Asks a server for what a workload is about."""

    def check(self, port: int) -> dict[str, str]:
        """Look at the answers; raise BenchFailure, or return what to know about them."""

    def load(self, server: Server, seconds: int) -> tuple[wrk.Load, Watch]:
        """Ask for `seconds`; return what came, and what it took."""


@dataclass(frozen=True)
class HTTPDriver:
    """Requests: wrk."""

    workload: Workload
    core: int
    folder: Path

    def check(self, port: int) -> dict[str, str]:
        return {"framing": verify.check(port, self.workload.request, self.workload.content)}

    def load(self, server: Server, seconds: int) -> tuple[wrk.Load, Watch]:
        connections, asked = self.workload.connections, self.workload.request
        with Watch(server, self.core) as watch:
            load = wrk.run(server.port, asked, seconds=seconds, connections=connections, core=self.core, folder=self.folder)
        return load, watch


@dataclass(frozen=True)
class WebSocketDriver:
    """Messages: websocket_load.c. Handshakes and farewells are not part of the load, unless it consists of them."""

    workload: WebSocketWorkload
    core: int
    folder: Path

    def check(self, port: int) -> dict[str, str]:
        extensions = websocket_verify.check(port, self.workload)
        return {"extensions": extensions} if extensions else {}

    def load(self, server: Server, seconds: int) -> tuple[wrk.Load, Watch]:
        with websocket_generator.Generator(server.port, self.workload, seconds, self.core, self.folder) as generator:
            generator.await_open()
            with Watch(server, self.core) as watch:
                load = generator.load()
            generator.finish()
        return load, watch


@dataclass(frozen=True)
class HTTP2Driver:
    """Requests over HTTP/2: h2load. Its few connections, and their handshakes over TLS, are part of the load."""

    workload: HTTP2Workload
    core: int
    folder: Path

    def check(self, port: int) -> dict[str, str]:
        return http2_verify.check(port, self.workload, self.folder)

    def load(self, server: Server, seconds: int) -> tuple[wrk.Load, Watch]:
        with Watch(server, self.core) as watch:
            load = http2_generator.h2load(server.port, self.workload, seconds=seconds, core=self.core, folder=self.folder)
        return load, watch


@dataclass(frozen=True)
class TLSDriver:
    """Requests over TLS: wrk where connections are kept, and tls_load.c for handshakes, since wrk resumes its sessions."""

    workload: TLSWorkload
    core: int
    folder: Path

    def check(self, port: int) -> dict[str, str]:
        return http2_verify.check(port, self.workload, self.folder)

    def load(self, server: Server, seconds: int) -> tuple[wrk.Load, Watch]:
        asked = self.workload
        where: dict[str, Any] = {"core": self.core, "folder": self.folder, "scheme": "https"}
        with Watch(server, self.core) as watch:
            if asked.request.closes:
                load = http2_generator.handshakes(server.port, asked, seconds=seconds, core=self.core)
            else:
                load = wrk.run(server.port, asked.request, seconds=seconds, connections=asked.connections, **where)
        return load, watch


def driver(workload: AnyWorkload, core: int, folder: Path) -> Driver:
    """What asks for the load of a row."""
    if isinstance(workload, WebSocketWorkload):
        return WebSocketDriver(workload, core, folder)
    if isinstance(workload, HTTP2Workload):
        return HTTP2Driver(workload, core, folder)
    if isinstance(workload, TLSWorkload):
        return TLSDriver(workload, core, folder)
    return HTTPDriver(workload, core, folder)


class Entrant:
    """A server in one workload, until it fails."""

    def __init__(self, stable: Stable, peer: Peer, workload: AnyWorkload, effort: Effort) -> None:
        self.peer, self.workload, self.effort = peer, workload, effort
        self.stable = stable
        self.driver = driver(workload, effort.client_core, stable.folder)
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
        except Unsupported as reason:
            self.cell["skipped"] = str(reason)
            self.stop()
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
            self.cell.update(self.driver.check(self.server.port))
            if self.effort.rounds:
                self._load(WARM_UP_SECONDS)
            self._make_room()

    def _make_room(self) -> None:
        # Some burn their core while they have nothing to do: fastpysgi always, weft and peregrine for ever once clients of HTTP/2
        # have left in the middle of an upload. Whoever is measured behind them would have half of it.
        if self.peer.holds_still and self.server is not None:
            self.server.hold()

    def _load(self, seconds: int) -> tuple[wrk.Load, Watch]:
        assert self.server is not None
        load, watch = self.driver.load(self.server, seconds)
        self.requests += load.requests
        return load, watch

    def round(self, number: int) -> None:
        """One turn, unless this server has had all of its turns."""
        if self.server is None or (self.peer.rounds is not None and number >= self.peer.rounds):
            return
        with self.failures(f"in round {number + 1}: "):
            self.server.resume()
            before = self.server.cpu()
            load, watch = self._load(self.effort.seconds)
            self._look_at_workers(before, self.server.cpu())
            self.cell["rss_kib"] = self.server.rss_kib()
            self.cell["requests_per_second"].append(load.requests_per_second)
            self.cell["cpu_us"].append(watch.cpu_nanoseconds / 1000 / load.requests)
            self.cell["p50_us"].append(load.p50_us)
            self.cell["p99_us"].append(load.p99_us)
            if self.workload.way != TWO_WORKERS:
                # There the servers are on its core as well.
                self.cell["client_busy"].append(watch.client_busy)
            self._make_room()

    def _look_at_workers(self, before: dict[int, int], after: dict[int, int]) -> None:
        share = largest_share(before, after)
        if self.workload.way == TWO_WORKERS and share > UNEVEN_SHARE:
            self.cell["note"] = f"one process took {share:.0%} of the CPU time"

    def finish(self) -> None:
        """Look at the answer once more, and at the log when there has to be one."""
        if self.server is None:
            return
        with self.failures("after the load: "):
            self.server.resume()
            self.driver.check(self.server.port)
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
    stable: Stable,
    workload: AnyWorkload,
    entering: list[Peer],
    effort: Effort,
    say: Callable[[str], None],
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
