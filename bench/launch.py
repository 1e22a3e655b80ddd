"""Starts a peer for a row: fills in its command line, and keeps the environments and folders that takes.

Between peers.py, which knows command lines, and process.py, which knows processes.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import peers
import tls_certificate
from environment import FOLDER, Environment, compile_program, find_pythons
from failure import BenchFailure
from peers import FLOOR, FRAMEWORKS, NEWEST, OLDEST, TWO_WORKERS, Peer
from process import Server, free_port
from workloads import KIB, pattern

BENCH = Path(__file__).resolve().parent
APPS = BENCH / "apps"


@dataclass
class Stable:
    """All that can be started, and why the rest cannot."""

    server_core: int
    environments: dict[str, Environment] = field(default_factory=dict)
    #: server -> why it cannot be had
    missing: dict[str, str] = field(default_factory=dict)
    #: logs, and the file that is served; of this run alone
    folder: Path = FOLDER / f"run-{os.getpid()}"
    floor: Path = FOLDER / "floor"
    websocket_floor: Path = FOLDER / "websocket_floor"

    def prepare(self, wanted: list[Peer], *, install: bool, upgrade: bool) -> None:
        """Make environments and install what `wanted` needs; what fails becomes a note in `missing`."""
        for left in FOLDER.glob("run-*"):
            if not Path("/proc", left.name.removeprefix("run-")).exists():
                shutil.rmtree(left)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "file").write_bytes(pattern(50 * KIB))
        pythons = find_pythons()
        choices = {NEWEST: pythons[0] if pythons else None, OLDEST: next((p for p in pythons if p.series == OLDEST), None)}
        for kind in sorted({peer.python for peer in wanted}):
            ours = [peer for peer in wanted if peer.python == kind]
            python = choices[kind]
            if python is None:
                self.missing.update({peer.name: f"no Python {kind} found" for peer in ours})
                continue
            environment = self.environments[kind] = Environment(python)
            environment.open()
            if install:
                self._install(environment, kind, ours, upgrade)
            self._note_failures(environment, ours)
        if any(peer.name == FLOOR for peer in wanted):
            for program in ("floor", "websocket_floor"):
                if error := compile_program(program)[1]:
                    self.missing[FLOOR] = error

    def clear(self) -> None:
        """Remove what the run has written beside its results."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _install(self, environment: Environment, kind: str, wanted: list[Peer], upgrade: bool) -> None:
        print(f"environment: {environment.folder} with Python {environment.python.path}", flush=True)
        requirements = dict.fromkeys(peer.requirement for peer in wanted if peer.requirement)
        environment.install([*requirements, *FRAMEWORKS[kind]], upgrade=upgrade)
        if any(peer.ours for peer in wanted) and (error := environment.install_picocorn()):
            # Without the newest there would be nothing to compare.
            if kind == NEWEST:
                raise SystemExit(f"bench: picocorn does not build: {error} (more in {environment.folder / 'pip.log'})")
            self.missing.update({peer.name: f"does not install: {error}" for peer in wanted if peer.ours})

    def _note_failures(self, environment: Environment, wanted: list[Peer]) -> None:
        for peer in wanted:
            if peer.requirement and (error := environment.installed.get(peer.requirement, "never installed")):
                self.missing[peer.name] = f"does not install: {error}"
            if peer.ours and environment.picocorn is None:
                self.missing.setdefault(peer.name, "never installed")

    def command(self, peer: Peer, way: str, app: str, port: int) -> list[str]:
        """The words that start `peer`; raise BenchFailure when it cannot be started so."""
        if peer.name in self.missing:
            raise BenchFailure(self.missing[peer.name])
        if way not in peer.commands:
            raise BenchFailure(peer.notes.get(way, f"not measured with {way}"))
        return self.fill(peer, peer.commands[way], app=app, port=port)

    def fill(self, peer: Peer, command: str, app: str = "", port: int = 0) -> list[str]:
        """`command` with everything in braces replaced, as words."""
        folder = self.environments[peer.python].bin if peer.python in self.environments else Path()
        floors = {"floor": self.floor, "websocket_floor": self.websocket_floor}
        places = {"bin": folder, "python": folder / "python", "bench": BENCH, "app": app, "port": port, **floors}
        if "{certificate}" in command:
            pair = tls_certificate.pair(self.folder)
            places |= {"certificate": pair.certificate, "key": pair.key}
        return [word.format(**places) for word in command.split()]

    def start(self, peer: Peer, way: str, app: str) -> Server:
        """Start `peer`, and do not wait for it; raise BenchFailure when it cannot be started so."""
        port = free_port()
        command = self.command(peer, way, app, port)
        log = self.folder / (f"{peer.name} {way}".replace(" ", "-").replace("/", "-") + ".log")
        env = {"PYTHONPATH": str(APPS), "PICOCORN_BENCH_FILE": str(self.folder / "file")}
        core = None if way == TWO_WORKERS else self.server_core
        return Server(command, port, core=core, log=log, folder=APPS, env=env)

    def versions(self) -> dict[str, dict[str, str]]:
        """What is installed, for each Python in use."""
        found = {}
        for environment in self.environments.values():
            python = ".".join(map(str, environment.python.version))
            found[python] = environment.versions(peers.NAMED_PACKAGES)
        return found
