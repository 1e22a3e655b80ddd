"""Servers for tests of where they listen and what they tell: one process, and a supervisor with two workers."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from e2e.serving import APPS
from harness import Client, SpawnedServer, spawned, wait_until

__all__ = ["MODES", "Listening", "listening", "passed_on"]

#: Name of the mode -> options.
MODES = {"single": (), "workers": ("--workers", "2")}

ACTIVATED = str(Path(__file__).parent / "activated.py")


class Listening:
    """A server that was started with `listening`."""

    def __init__(self, server: SpawnedServer, mode: str) -> None:
        self.server = server
        self.mode = mode
        self.pid = server.process.pid

    def wait_until_up(self, times: int = 1) -> None:
        """Until it serves, with all its workers."""
        self.server.wait_for(r"Application startup complete", times * (1 if self.mode == "single" else 2))
        self.server.wait_for("running on")

    def announced(self, count: int = 1) -> list[str]:
        """Where it says that it listens, once it has named so many places."""
        self.wait_until_up()
        self.server.wait_for("running on", count)
        return re.findall(r"Picocorn running on (.*) \(Press CTRL\+C to quit\)", self.server.output)

    def port(self, number: int = 0) -> int:
        """The port of an announced URL."""
        ports = [int(where.rpartition(":")[2]) for where in self.announced(number + 1) if where.startswith("http")]
        return ports[number]

    @property
    def errors(self) -> list[str]:
        """Lines of level ERROR."""
        return re.findall(r"^ERROR: +(.*)$", self.server.output, re.MULTILINE)

    def ask(self, address: Any, target: bytes = b"/") -> dict[str, Any]:
        """What the application tells, on a connection of its own."""
        with self.connect(address) as client:
            response = client.request(target, b"Connection: close")
            assert response.status == 200
            told: dict[str, Any] = json.loads(response.body)
            return told

    def connect(self, address: Any) -> Client:
        """A client. A worker that says that it is up listens a moment later."""
        clients: list[Client] = []

        def connected() -> bool:
            with contextlib.suppress(ConnectionRefusedError):
                clients.append(Client(address))
            return bool(clients)

        wait_until(connected, "somebody listens")
        return clients[0]

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Have it end as it should."""
        code = self.server.stop(number)
        assert code == (0 if self.mode == "workers" else -number), self.server.output


@contextlib.contextmanager
def listening(mode: str, *options: str, **more: Any) -> Iterator[Listening]:
    """Serve `told_app`; killed at the end unless the test has ended it."""
    where = ("--app-dir", str(APPS), "--timeout-graceful-shutdown", "5")
    env = {"WEB_CONCURRENCY": "", "PYTHONWARNINGS": "default", **more.pop("env", {})}
    with spawned("told_app:app", *where, *MODES[mode], *options, env=env, **more) as server:
        one = Listening(server, mode)
        try:
            yield one
        finally:
            # Killed, a supervisor would leave its workers to themselves for a moment.
            if mode == "workers":
                server.stop(signal.SIGQUIT)


@contextlib.contextmanager
def passed_on(mode: str, sockets: dict[str, socket.socket], *options: str, **more: Any) -> Iterator[Listening]:
    """As `listening`, with `sockets` (by name) passed on as systemd does it."""
    given = ",".join(f"{sock.fileno()}={name}" for name, sock in sockets.items())
    fds = tuple(sock.fileno() for sock in sockets.values())
    with listening(mode, *options, run=(ACTIVATED, given), anywhere=False, pass_fds=fds, **more) as one:
        yield one
