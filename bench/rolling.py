"""Workers that come and go under load, at length: every request that a client does not get answered is counted and shown.

    python bench/rolling.py                      ten restarts, ten kills, recycling, resizing, an upgrade, the end
    python bench/rolling.py --balance reuseport
    python bench/rolling.py --spread             how evenly, and how fast, two workers share: both balances, with wrk
    python bench/rolling.py --spread --rounds 1 --seconds 1

The load is tests/e2e/rolling.py, a process of its own. Linux only; knows the command line of the server and /proc.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from e2e.rolling import Load, load  # noqa: E402

CLIENTS = {"keep_alive": 8, "short": 6, "stream": 4, "websocket": 4}
TIMES = 10
START_SECONDS = 120
BALANCES = ("shared", "reuseport")
ROUNDS = 5
ROUND_SECONDS = 4
#: What two workers are held to: requests of the busier one to the other's at 64 connections, and requests/s to those of one.
EVEN = 1.15
FASTER = 1.7


class Server:
    """A supervisor with two workers; its output in a file."""

    def __init__(self, app: str, folder: Path, output: Path, *options: str, workers: int = 2) -> None:
        self.output = output
        #: process ids of workers that were killed
        self.killed: set[str] = set()
        ready = output.with_suffix(".pid")
        ready.unlink(missing_ok=True)
        command = [sys.executable, "-m", "picocorn", app, "--app-dir", str(folder), "--port", "0", "--no-access-log"]
        command += ["--pidfile", str(ready.absolute())]
        with output.open("w") as file:
            self.process = subprocess.Popen(
                [*command, "--workers", str(workers), *options],
                env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
                stdout=file,
                stderr=subprocess.STDOUT,
            )
        self.wait_for("Application startup complete", workers)
        self.port = int(re.search(r"running on http://\S+:(\d+)", self.text)[1])  # type: ignore[index]
        # The application has started a moment before its worker accepts: the file is there once all do.
        while not ready.exists():
            time.sleep(0.01)

    @property
    def text(self) -> str:
        return self.output.read_text()

    def count(self, pattern: str) -> int:
        return len(re.findall(pattern, self.text))

    def wait_for(self, pattern: str, count: int = 1) -> None:
        deadline = time.monotonic() + START_SECONDS
        while self.count(pattern) < count:
            if time.monotonic() > deadline:
                raise SystemExit(f"no {pattern!r}:\n{self.text[-4000:]}")
            time.sleep(0.01)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(child) for child in children if "multiprocessing.spawn" in Path(f"/proc/{child}/cmdline").read_text()]

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(START_SECONDS)


@contextlib.contextmanager
def served(output: Path, *options: str) -> Iterator[tuple[Server, Load]]:
    # An idle connection is waited for as long as it may be idle: not so long that nothing else happens here.
    server = Server("rolling_app:app", ROOT / "tests/e2e/apps", output, "--timeout-keep-alive", "2", *options)
    try:
        with load(server.port, **CLIENTS) as clients:
            clients.wait_for_more()
            yield server, clients
    finally:
        server.stop()


# -- what happens to the workers


def restart(server: Server, clients: Load) -> None:
    for _ in range(TIMES):
        ended = server.count("Finished server process")
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("Finished server process", ended + 2)
        clients.wait_for_more()


def recycle(server: Server, clients: Load) -> None:
    server.wait_for("Finished server process", 2 * TIMES)


def resize(server: Server, clients: Load) -> None:
    for _ in range(TIMES // 2):
        up = server.count("Application startup complete")
        server.process.send_signal(signal.SIGTTIN)
        server.wait_for("Application startup complete", up + 1)
        clients.wait_for_more()
        ended = server.count("Finished server process")
        server.process.send_signal(signal.SIGTTOU)
        server.wait_for("Finished server process", ended + 1)
        clients.wait_for_more()


def kill(server: Server, clients: Load) -> None:
    for _ in range(TIMES):
        up = server.count("Application startup complete")
        worker = random.choice(server.workers())
        server.killed.add(str(worker))
        os.kill(worker, signal.SIGKILL)
        server.wait_for("Application startup complete", up + 1)
        clients.wait_for_more()


def upgrade(server: Server, clients: Load) -> None:
    server.process.send_signal(signal.SIGUSR2)
    server.wait_for("Application startup complete", 4)
    clients.wait_for_more()
    new = int(re.search(r"Started new parent process \[(\d+)\]", server.text)[1])  # type: ignore[index]
    server.process.terminate()
    server.process.wait(START_SECONDS)
    clients.wait_for_more()
    end(new, clients, lambda: server.wait_for("Stopping parent process", 2))


def stop(server: Server, clients: Load) -> None:
    end(server.process.pid, clients, lambda: server.process.wait(START_SECONDS))


def end(pid: int, clients: Load, ended: Callable[[], object]) -> None:
    """SIGTERM: what was begun before it must be answered. Afterwards there is nobody to ask."""
    clients.told_at = time.monotonic()
    os.kill(pid, signal.SIGTERM)
    ended()


SCENARIOS: dict[str, tuple[Callable[[Server, Load], None], tuple[str, ...]]] = {
    "SIGHUP x10": (restart, ()),
    "recycling, 20 workers": (recycle, ("--limit-max-requests", "500", "--limit-max-requests-jitter", "200")),
    "SIGTTIN and SIGTTOU x5": (resize, ()),
    "SIGUSR2, SIGTERM, SIGTERM": (upgrade, ()),
    "SIGTERM": (stop, ()),
    "SIGKILL x10": (kill, ()),
}


COLUMNS = ("keep-alive", "short", "stream", "websocket", "announced", "idle", "1012", "unanswered", "lost")
ROW = "{:27}" + "{:>11}" * len(COLUMNS)


def roll(balance: str, output: Path) -> int:
    """All scenarios. Returns how many requests were lost that may not have been."""
    print(f"--socket-balance {balance}")
    print(ROW.format("", *COLUMNS))
    unexcused = 0
    for name, (scenario, options) in SCENARIOS.items():
        with served(output, "--socket-balance", balance, *options) as (server, clients):
            scenario(server, clients)
            counts = clients.end()
        done, seen = counts["done"], counts["seen"]
        lost = [error for error in counts["lost"] if error["began"] < clients.told_at]
        late = [error for error in counts["lost"] if error["began"] >= clients.told_at]
        numbers = [done.get(kind, 0) for kind in COLUMNS[:4]]
        numbers += [seen.get(what, 0) for what in ("close announced", "closed while idle", "1012", "unanswered at 1012")]
        print(ROW.format(name, *numbers, len(lost)), flush=True)
        unexcused += judge(lost, server.killed, clients.clients)
        if late:
            print("    begun when there was no server any more:", dict(Counter(error["what"] for error in late)))
    return unexcused


def judge(lost: list[dict[str, Any]], killed: set[str], clients: int) -> int:
    """Show what was lost; how many of it had not to be: whatever was not in flight on a worker that was killed."""
    # Who has not been answered yet does not know whose it was; but it was connected.
    in_flight = [
        error for error in lost if killed and error["worker"] in {"", *killed} and not error["what"].startswith("connect")
    ]
    for error in lost:
        if error not in in_flight:
            print(f"    {error}")
    if killed:
        print(f"    in flight on {len(killed)} killed workers: {len(in_flight)} of {len(lost)}")
    return len(lost) - len(in_flight) + max(len(in_flight) - len(killed) * clients, 0)


# -- how evenly and how fast


def verdict(good: bool) -> str:
    return "as wanted" if good else "NOT as wanted"


def spread(output: Path, times: int, seconds: int) -> None:
    """Requests and connections of each worker, and latencies, for both balances; and what a second worker adds.

    What that is cannot be told with an application that does nothing: wrk takes a core for itself then, and a second worker
    shares the other one with the first. Where a request takes half a millisecond of CPU time, wrk takes next to nothing.
    """

    def run(path: str, workers: int, balance: str, headers: tuple[str, ...] = ()) -> Round:
        return wrk(output, path, workers, balance, headers, seconds)

    for title, headers in (("kept alive", ()), ("a connection for each request", ("-H", "Connection: close"))):
        # In turns, so that whatever else the machine does is shared.
        rounds = [{balance: run("/", 2, balance, headers) for balance in BALANCES} for _ in range(times)]
        for balance in BALANCES:
            each = [found[balance] for found in rounds]
            uneven = median(found.requests[-1] / found.requests[0] for found in each)
            print(
                f"{title}, {balance}: {median(found.rate for found in each):.0f} requests/s, "
                f"p99 {median(found.p99_ms for found in each):.2f} ms; requests of the busier worker to the other's: "
                f"{uneven:.2f} ({verdict(uneven <= EVEN)}); "
                f"connections {', '.join('/'.join(map(str, found.connections)) for found in each)}",
                flush=True,
            )
    for path, title in (("/work", "half a millisecond of work"), ("/", "no work")):
        pairs = [[run(path, workers, "shared") for workers in (1, 2)] for _ in range(times)]
        uneven = median(two.requests[-1] / two.requests[0] for _, two in pairs)
        one, two = (median(found.rate for found in each) for each in zip(*pairs, strict=True))
        factor = median(two.rate / one.rate for one, two in pairs)
        busy = median(two.client_busy for _, two in pairs)
        print(
            f"{title}: {one:.0f} requests/s with one worker, {two:.0f} with two: {factor:.2f} times; "
            f"wrk took {busy:.0%} of a core beside the two; requests of the busier worker to the other's: {uneven:.2f}"
            + (f" ({verdict(factor >= FASTER and uneven <= EVEN)})" if path == "/work" else ""),
            flush=True,
        )


class Round(NamedTuple):
    """What one run of wrk has shown."""

    #: requests/s
    rate: float
    p99_ms: float
    #: of each worker, fewest first
    connections: list[int]
    requests: list[int]
    #: wrk's CPU time as a share of one core
    client_busy: float


def cpu_seconds() -> float:
    """CPU time of the children that have been waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def wrk(output: Path, path: str, workers: int, balance: str, headers: tuple[str, ...], seconds: int) -> Round:
    """One run against a new server."""
    server = Server("counted:app", ROOT / "bench/apps", output, "--socket-balance", balance, workers=workers)
    command = ["wrk", "-t1", "-c64", f"-d{seconds}s", "--latency", *headers, f"http://127.0.0.1:{server.port}{path}"]
    before = cpu_seconds()
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    busy = (cpu_seconds() - before) / seconds
    server.stop()
    if "Socket errors" in text or "Non-2xx" in text:
        raise SystemExit(text)
    amount, unit = re.search(r"99% +([\d.]+)(us|ms|s)", text).groups()  # type: ignore[union-attr]
    p99 = float(amount) * {"us": 0.001, "ms": 1, "s": 1000}[unit]
    served_by = [tuple(map(int, found)) for found in re.findall(r"worker \d+: (\d+) requests, (\d+) conn", server.text)]
    requests = sorted(max(count, 1) for count, _ in served_by)
    rate = float(re.search(r"Requests/sec: +([\d.]+)", text)[1])  # type: ignore[index]
    return Round(rate, p99, sorted(connections for _, connections in served_by), requests, busy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--balance", choices=BALANCES, default="shared")
    parser.add_argument("--spread", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of --spread")
    parser.add_argument("--seconds", type=int, default=ROUND_SECONDS, help="of each of them")
    parser.add_argument("--output", type=Path, default=Path("rolling.log"), help="where the server's output goes")
    options = parser.parse_args()
    if options.spread:
        if shutil.which("wrk") is None:
            raise SystemExit("--spread needs wrk")
        spread(options.output, options.rounds, options.seconds)
    elif roll(options.balance, options.output):
        raise SystemExit("requests were lost")


if __name__ == "__main__":
    main()
