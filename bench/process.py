"""One server process on one core, with all its children: start, CPU time, memory, end. Reads /proc; Linux only.

Nothing here knows which server it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from failure import BenchFailure

PROC = Path("/proc")
START_SECONDS = 30
STOP_SECONDS = 10


def free_port() -> int:
    """A TCP port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tree(pid: int, proc: Path = PROC) -> list[int]:
    """`pid` and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in proc.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name in parentheses may hold anything, also spaces and parentheses.
                fields = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def process_clock(pid: int) -> int:
    """The clock of a process's CPU time, as clock_getcpuclockid(3) makes it on Linux.

    It counts the threads that have ended too; /proc/PID/task/*/schedstat forgets them, and Django starts two for each request.
    """
    return (~pid << 3) | 2


def cpu_nanoseconds(pid: int, proc: Path = PROC) -> dict[int, int]:
    """CPU time of `pid` and of each of its descendants, in nanoseconds by process."""
    times = {}
    for process in tree(pid, proc):
        with contextlib.suppress(OSError):
            times[process] = time.clock_gettime_ns(process_clock(process))
    return times


def spent_nanoseconds(before: Mapping[int, int], after: Mapping[int, int]) -> int:
    """CPU time between two looks; a process that has come since counts whole, one that has gone not at all."""
    return sum(spent - before.get(process, 0) for process, spent in after.items())


def largest_share(before: Mapping[int, int], after: Mapping[int, int]) -> float:
    """How much of the CPU time between two looks the process took that took most: 0.5 where two have done the same."""
    spent = [nanoseconds - before.get(process, 0) for process, nanoseconds in after.items()]
    return max(spent, default=0) / (sum(spent) or 1)


def rss_kib(pid: int, proc: Path = PROC) -> int:
    """Resident memory of `pid` and its descendants; what they share counts once for each."""
    total = 0
    for process in tree(pid, proc):
        with contextlib.suppress(OSError):
            for line in (proc / str(process) / "status").read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith("VmRSS:"):
                    total += int(line.split()[1])
    return total


class Server:
    """A server that runs on one core, or on all when `core` is None. What it prints goes to `log`."""

    def __init__(self, command: list[str], port: int, *, core: int | None, log: Path, folder: Path, env: dict[str, str]) -> None:
        self.port = port
        self.log = log
        pin = ["taskset", "-c", str(core)] if core is not None else []
        # Should the suite be killed outright, the kernel sends the server a SIGTERM.
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *pin, *command],
                cwd=folder,
                env={**os.environ, **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def await_start(self, pause_seconds: float = 0.02) -> None:
        """Return when it accepts connections; raise BenchFailure when it never will."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise BenchFailure(f"does not start: exit {self.process.returncode}{self._last_words()}")
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(pause_seconds)
        raise BenchFailure(f"does not listen after {START_SECONDS} s")

    def _last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f", {lines[-1].strip()[:120]}" if lines else ""

    def cpu(self) -> dict[int, int]:
        return cpu_nanoseconds(self.process.pid)

    def rss_kib(self) -> int:
        return rss_kib(self.process.pid)

    def hold(self) -> None:
        """Take it off its core until `resume`."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it run again; harmless when it does."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it, and whatever of its session outlives it."""
        self.resume()
        if self.process.poll() is None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        # The session is the server's own: its number is the server's.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
