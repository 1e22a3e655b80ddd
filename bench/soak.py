"""Wears a server with a million requests and a hundred thousand connections, and fails when its memory grows.

Knows the command line of the server and /proc; Linux only. wrk makes the requests where it is installed, the client below
otherwise; the connections are always its work: a third each ends with a close, with a reset, and by the server.

    python bench/soak.py                     native, at full length
    python bench/soak.py --body pure --scale 0.05
"""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

APPS = Path(__file__).parent / "apps"
SOURCE = Path(__file__).parent.parent / "src"

REQUESTS = 1_000_000
CONNECTIONS = 100_000
IDLE = 10_000
PARALLEL = 64
SAMPLES = 10
#: What the resident set may gain between the first sample, when everything is warm, and the last.
ALLOWED_GROWTH_KIB = 2048
STEP_SECONDS = 2

HELLO = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"
ECHO = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000
#: Request and the bytes with which its answer ends.
KINDS = ((HELLO, b"Hello, World!"), (STREAM, b"Hello, World!\r\n0\r\n\r\n"), (ECHO, b"x" * 1000))
CLOSING = (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"Hello, World!")


class Server:
    """The process that is worn."""

    def __init__(self, python: str, body: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else ""}
        options = "--no-access-log --log-level warning --timeout-keep-alive 300 --timeout-request-header 300"
        command = [python, "-m", "picocorn", "soak:app", "--app-dir", str(APPS), "--port", str(self.port), *options.split()]
        self.process = subprocess.Popen(command, env=env)
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the server has not started")
            time.sleep(0.05)

    def resident_kib(self) -> int:
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(text.split("VmRSS:")[1].split()[0])

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def connect(self, number: int) -> socket.socket:
        # Several source addresses: one has too few ports for all the connections that wait out their time.
        return socket.create_connection(("127.0.0.1", self.port), 30, (f"127.0.0.{2 + number % 100}", 0))

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(30)
        if code != -signal.SIGTERM:
            raise SystemExit(f"the server ended with {code}")


def receive_until(sock: socket.socket, end: bytes) -> None:
    received = sock.recv(65536)
    while not received.endswith(end):
        piece = sock.recv(65536)
        if not piece:
            raise SystemExit(f"an answer that ended early: {received[:200]!r}")
        received += piece


def requests_of_wrk(server: Server, count: int) -> int:
    """At least `count` requests; how many there were."""
    done = 0
    while done < count:
        command = ["wrk", "-t1", f"-c{PARALLEL}", f"-d{STEP_SECONDS}s", f"http://127.0.0.1:{server.port}/"]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        if "Socket errors" in output or "Non-2xx" in output:
            raise SystemExit(output)
        done += int(re.search(r"(\d+) requests in", output)[1])  # type: ignore[index]
    return done


def requests_of_ours(server: Server, count: int) -> int:
    """As `requests_of_wrk`, with requests of all kinds."""
    socks = [server.connect(number) for number in range(PARALLEL)]
    done = 0
    while done < count:
        request, end = KINDS[done // PARALLEL % len(KINDS)]
        for sock in socks:
            sock.sendall(request)
        for sock in socks:
            receive_until(sock, end)
        done += PARALLEL
    for sock in socks:
        sock.close()
    return done


def connections_of_ours(server: Server, count: int) -> int:
    """So many connections of one request each, PARALLEL at a time; a third each is closed, reset, closed by the server."""
    for first in range(0, count, PARALLEL):
        batch = range(first, min(first + PARALLEL, count))
        socks = [server.connect(number) for number in batch]
        for number, sock in zip(batch, socks, strict=True):
            sock.sendall(CLOSING[0] if number % 3 == 2 else KINDS[number // 3 % 3][0])
        for number, sock in zip(batch, socks, strict=True):
            receive_until(sock, CLOSING[1] if number % 3 == 2 else KINDS[number // 3 % 3][1])
            if number % 3 == 1:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif number % 3 == 2 and sock.recv(1):
                raise SystemExit("bytes after the end")
            sock.close()
    return count


def idle_kib(server: Server, count: int) -> float:
    """What an idle kept-alive connection costs in the server."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 100)), hard))
    count = min(count, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100)
    before = server.resident_kib()
    socks = []
    for number in range(count):
        sock = server.connect(number)
        socks.append(sock)
        sock.sendall(HELLO)
        receive_until(sock, b"Hello, World!")
    after = server.resident_kib()
    for sock in socks:
        sock.close()
    return (after - before) / count


def at_rest(server: Server, descriptors: int) -> None:
    """Wait until all connections are gone; a failure names how many are not."""
    deadline = time.monotonic() + 30
    while server.descriptors() > descriptors:
        if time.monotonic() > deadline:
            raise SystemExit(f"{server.descriptors() - descriptors} descriptors are still open")
        select.select([], [], [], 0.01)


def samples(server: Server, scale: float, descriptors: int) -> Iterator[tuple[str, int, int]]:
    """(phase, how many in all, resident KiB), again and again."""
    with_requests = requests_of_wrk if shutil.which("wrk") else requests_of_ours
    for phase, run, total in (
        ("requests", with_requests, REQUESTS),
        ("requests of all kinds", requests_of_ours, REQUESTS // 10),
        ("connections", connections_of_ours, CONNECTIONS),
    ):
        target = int(total * scale)
        done = 0
        while done < target:
            done += run(server, max(PARALLEL, target // SAMPLES))
            at_rest(server, descriptors)
            yield phase, done, server.resident_kib()


def main() -> int:
    """Return the exit code: 1 when memory has grown beyond the bound."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the full length (default 1)")
    parser.add_argument("--body", choices=("native", "pure"), default="native")
    parser.add_argument("--python", default=sys.executable, help="interpreter that serves")
    parser.add_argument("--growth", type=int, default=ALLOWED_GROWTH_KIB, metavar="KIB", help="allowed growth of each phase")
    arguments = parser.parse_args()

    fresh = Server(arguments.python, arguments.body)
    idle = int(IDLE * min(1.0, max(arguments.scale, 0.1)))
    each = idle_kib(fresh, idle)
    fresh.stop()

    server = Server(arguments.python, arguments.body)
    descriptors = server.descriptors()
    print(f"{arguments.body}, {platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores")
    print(f"\n{idle} idle connections: {each:.1f} KiB each\n")
    print("| phase | done | RSS, KiB |\n|---|---:|---:|")
    phases: dict[str, list[int]] = {}
    for phase, done, resident in samples(server, arguments.scale, descriptors):
        phases.setdefault(phase, []).append(resident)
        print(f"| {phase} | {done:,} | {resident:,} |", flush=True)
    server.stop()
    grown = {phase: values[-1] - values[0] for phase, values in phases.items()}
    print("\ngrowth from the first to the last sample:", ", ".join(f"{phase} {kib:+} KiB" for phase, kib in grown.items()))
    return int(any(kib > arguments.growth for kib in grown.values()))


if __name__ == "__main__":
    sys.exit(main())
