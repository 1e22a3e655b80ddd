"""A supervisor and its workers as processes, for tests, and what may be asked about them from outside."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness import Client, SpawnedServer, spawned, wait_until

__all__ = ["APPS", "Supervised", "is_gone", "supervised"]

APPS = Path(__file__).parent / "apps"

#: What a worker says before it is ready.
READY = ("Started server process [PID]", "Waiting for application startup.", "Application startup complete.")


def is_gone(pid: int) -> bool:
    """Whether a process has ended. One that nobody waits for has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


class Supervised:
    """A supervisor that was started with `supervised()`."""

    def __init__(self, server: SpawnedServer) -> None:
        self.server = server
        self.pid = server.process.pid

    @property
    def lines(self) -> list[str]:
        """What was logged, without process ids and port."""
        said = re.findall(r"^(?:INFO|WARNING|ERROR|CRITICAL): +(.*)$", self.server.output, re.MULTILINE)
        return [re.sub(r"\[\d+\]", "[PID]", re.sub(r":\d+ \(", ":PORT (", line)) for line in said]

    @property
    def started(self) -> list[int]:
        """Process ids of the workers that have begun to start, in their order."""
        return [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", self.server.output)]

    def wait_for_workers(self, count: int) -> None:
        """Until so many have got ready, counted from the start."""
        self.server.wait_for("Application startup complete", count)

    def connect(self) -> Client:
        """A client, once the first worker is ready.

        Without that a client would be answered just as well, and perhaps before we have read in the log who the worker is:
        what the application prints comes by another pipe.
        """
        self.wait_for_workers(1)
        return self.server.connect()

    def ask(self, target: bytes = b"/") -> tuple[int, str]:
        """Who answers, and the variable GENERATION there."""
        client = self.connect()
        pid, _, generation = client.request(target).body.decode().partition(" ")
        client.close()
        return int(pid), generation

    def send(self, target: bytes) -> Client:
        """A client whose request is on its way."""
        client = self.connect()
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
        self.server.wait_for(f"asked for {target.decode()}")
        return client

    def wait_until_gone(self, *pids: int) -> None:
        """Until these processes have ended."""
        wait_until(lambda: all(is_gone(pid) for pid in pids), f"{pids} have ended")

    def wait_for_no_zombies(self) -> None:
        """Until the supervisor has waited for all of its children that have ended."""

        def zombies() -> list[str]:
            children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
            return [child for child in children if is_gone(int(child))]

        wait_until(lambda: not zombies(), "no zombies")


@contextlib.contextmanager
def supervised(
    *options: str, app: str = "supervised:app", env: dict[str, str] | None = None, workers: int | None = 2
) -> Iterator[Supervised]:
    """Serve with `workers`; None leaves out the option."""
    number = () if workers is None else ("--workers", str(workers))
    with spawned(app, "--app-dir", str(APPS), *number, *options, env={"WEB_CONCURRENCY": "", **(env or {})}) as server:
        running = Supervised(server)
        try:
            yield running
        finally:
            # A killed supervisor would leave its workers to themselves, if not for long.
            if server.process.poll() is None:
                server.stop()


@contextlib.contextmanager
def gate(folder: Path) -> Iterator[tuple[Path, Any]]:
    """A named pipe, and what lets /slow go."""
    path = folder / "gate"
    os.mkfifo(path)
    yield path, lambda: open(path, "w").close()
