"""Compares servers end to end with wrk: interleaved rounds, answers checked, ratios printed.

Each server is started once, pinned to one core with wrk on another, and measured in turn round after round, so that what the
machine does meanwhile hits all of them alike. Only ratios within one run mean anything.

    python bench/load.py --rounds 5 --seconds 4 --json bench/results/first.json
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

APPS = Path(__file__).parent / "apps"

#: what all of them are started with
QUIET = "{app} --port {port} --app-dir {apps} --no-access-log --log-level warning"

#: server name -> arguments of the interpreter
SERVERS = {
    "picocorn": f"-m picocorn {QUIET}",
    "picocorn (pure Python)": f"-m picocorn {QUIET} --http pure",
    "uvicorn": f"-m uvicorn {QUIET} --http httptools --loop uvloop",
    "uvicorn (h11)": f"-m uvicorn {QUIET} --http h11 --loop uvloop",
}

#: workload name -> (application, status line expected, content expected)
WORKLOADS = {
    "raw ASGI": ("raw:app", b"Hello, World!"),
    "Starlette JSON": ("starlette_json:app", b'{"message":"Hello, World!"}'),
    "FastAPI JSON": ("fastapi_json:app", b'{"message":"Hello, World!"}'),
}


@dataclass
class Result:
    """What one server did on one workload."""

    server: str
    workload: str
    requests_per_second: list[float] = field(default_factory=list)
    cpu_microseconds: list[float] = field(default_factory=list)
    p99_milliseconds: list[float] = field(default_factory=list)
    rss_kib: int = 0


class Server:
    """One server process, pinned to a core."""

    def __init__(self, python: str, command: str, app: str, core: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        arguments = [part.format(app=app, port=self.port, apps=APPS) for part in command.split()]
        self.process = subprocess.Popen(["taskset", "-c", str(core), python, *arguments])
        self._await_start()

    def _await_start(self) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise SystemExit(f"{self.process.args} ended with {self.process.returncode}")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"{self.process.args} does not listen")

    def check(self, content: bytes) -> None:
        """Raise SystemExit unless it answers `GET /` with 200 and `content`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        for _ in range(3):
            connection.request("GET", "/")
            response = connection.getresponse()
            body = response.read()
            if response.status != 200 or body != content:
                raise SystemExit(f"{self.process.args} answers {response.status} {body!r}, not {content!r}")
        connection.close()

    def cpu_nanoseconds(self) -> int:
        """CPU time of all its threads so far."""
        tasks = Path(f"/proc/{self.process.pid}/task")
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks.iterdir())

    def rss_kib(self) -> int:
        """Resident memory."""
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())
        return int(found[1]) if found else 0

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(30)


def run_wrk(port: int, seconds: int, connections: int, core: int) -> tuple[int, float, float]:
    """Return requests answered, requests per second, and the 99th percentile in milliseconds."""
    command = f"taskset -c {core} wrk -t1 -c{connections} -d{seconds}s --latency http://127.0.0.1:{port}/"
    out = subprocess.run(command.split(), capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"wrk met errors:\n{out}")
    requests = int(re.search(r"(\d+) requests in", out)[1])  # type: ignore[index]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", out)[1])  # type: ignore[index]
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", out).groups()  # type: ignore[union-attr]
    return requests, rate, float(value) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def measure(options: argparse.Namespace, workload: str) -> list[Result]:
    """Run all servers on one workload, interleaved."""
    app, content = WORKLOADS[workload]
    servers = {name: Server(options.python, SERVERS[name], app, options.server_core) for name in options.servers}
    results = {name: Result(name, workload) for name in servers}
    try:
        for server in servers.values():
            server.check(content)
            run_wrk(server.port, 1, options.connections, options.client_core)
        for _ in range(options.rounds):
            for name, server in servers.items():
                before = server.cpu_nanoseconds()
                requests, rate, p99 = run_wrk(server.port, options.seconds, options.connections, options.client_core)
                results[name].cpu_microseconds.append((server.cpu_nanoseconds() - before) / 1000 / requests)
                results[name].requests_per_second.append(rate)
                results[name].p99_milliseconds.append(p99)
                server.check(content)
                results[name].rss_kib = server.rss_kib()
    finally:
        for server in servers.values():
            server.stop()
    return list(results.values())


def table(results: list[Result], baseline: str) -> str:
    """Markdown: one row a server and workload, ratios of medians to `baseline`."""
    lines = ["| workload | server | requests/s | x uvicorn | CPU us/request | p99 ms |", "|---|---|---|---|---|---|"]
    for result in results:
        base = next(r for r in results if r.workload == result.workload and r.server == baseline)
        rate = statistics.median(result.requests_per_second)
        ratio = rate / statistics.median(base.requests_per_second)
        cpu = statistics.median(result.cpu_microseconds)
        p99 = statistics.median(result.p99_milliseconds)
        lines.append(f"| {result.workload} | {result.server} | {rate:,.0f} | {ratio:.2f} | {cpu:.1f} | {p99:.2f} |")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """What was measured, on what."""
    found = {"python": platform.python_version(), "cores": str(os.cpu_count()), "system": platform.system()}
    for package in ("picocorn", "uvicorn", "uvloop", "httptools", "starlette", "fastapi"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "-"
    return found


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="interpreter with all the servers installed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--servers", nargs="+", default=list(SERVERS), choices=list(SERVERS))
    parser.add_argument("--workloads", nargs="+", default=list(WORKLOADS), choices=list(WORKLOADS))
    parser.add_argument("--json", type=Path, help="file to store the results in")
    options = parser.parse_args()
    for tool in ("wrk", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed (on Debian: apt-get install wrk util-linux)")
    results = [result for workload in options.workloads for result in measure(options, workload)]
    print(table(results, "uvicorn" if "uvicorn" in options.servers else options.servers[0]))
    print(versions())
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        stored = {"versions": versions(), "results": [asdict(result) for result in results]}
        options.json.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
