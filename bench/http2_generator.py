"""Runs h2load, and the generator of TLS handshakes (tls_load.c): fills in their command lines, reads what they print.

Counts what was right alone: h2load's own requests/s counts every answer, whatever its status.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
from pathlib import Path

from environment import compile_handshakes
from failure import BenchFailure
from workloads import HTTP2Workload, TLSWorkload
from wrk import Load

#: beside what is measured, for a program that hangs
SPARE_SECONDS = 15


def _run(command: list[str], seconds: int) -> str:
    """What `command` prints; raise BenchFailure when it does not end well."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + SPARE_SECONDS)
    except subprocess.TimeoutExpired:
        raise BenchFailure(f"no end of the load {SPARE_SECONDS} s after its time") from None
    if done.returncode:
        raise BenchFailure(f"{Path(command[3]).name} ends with {done.returncode}: {done.stderr.strip()[:100]}")
    return done.stdout


# --- h2load ------------------------------------------------------------------------------------------------------------------


def percentiles(log: str, shares: tuple[float, ...] = (0.5, 0.99)) -> list[float]:
    """Microseconds that so large a share of the answers in h2load's log took at most. Its lines: start, status, microseconds."""
    times = sorted(int(line.rpartition("\t")[2]) for line in log.splitlines())
    if not times:
        raise BenchFailure("h2load has logged no answer")
    return [float(times[min(int(len(times) * share), len(times) - 1)]) for share in shares]


def _counts(output: str, name: str) -> dict[str, int]:
    """The line that begins with `name`, for instance "status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx"."""
    line = re.search(rf"^{name}: (.+)$", output, re.M)
    return {kind: int(count) for count, kind in re.findall(r"(\d+) (\w+)", line[1])} if line else {}


def parse(output: str, workload: HTTP2Workload) -> tuple[int, float]:
    """Right answers, and how many a second; raise BenchFailure when one was not right, or when bytes of content are missing."""
    requests, statuses = _counts(output, "requests"), _counts(output, "status codes")
    finished = re.search(r"^finished in ([\d.]+)(ms|s), ([\d.]+) req/s", output, re.M)
    data = re.search(r"\((\d+)\) data$", output, re.M)
    if not (requests and statuses and finished and data):
        raise BenchFailure("h2load printed no result")
    if wrong := {kind: count for kind, count in statuses.items() if kind != "2xx" and count}:
        raise BenchFailure(f"answers that are not 2xx: {wrong}")
    if wrong := {kind: requests[kind] for kind in ("failed", "errored", "timeout") if requests[kind]}:
        raise BenchFailure(f"requests that went wrong: {wrong}")
    count = requests["succeeded"]
    if count == 0:
        raise BenchFailure("not one answer")
    # What was on its way at the end is in the bytes already, and not yet among the answers.
    least, pending = count * len(workload.content), workload.connections * workload.streams
    if not least <= int(data[1]) <= least + pending * len(workload.content):
        raise BenchFailure(f"{data[1]} bytes of content in {count} answers that should have {len(workload.content)} each")
    return count, float(finished[3])


def h2load(port: int, workload: HTTP2Workload, *, seconds: int, core: int, folder: Path) -> Load:
    """Load the server from one thread on one core."""
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    request = workload.request
    command = ["taskset", "-c", str(core), "h2load", "-t1", f"-c{workload.connections}", f"-m{workload.streams}", f"-D{seconds}"]
    command += [f"--log-file={log}", *(f"--header={name}: {value}" for name, value in request.fields)]
    if request.body:
        body = folder / "h2load-body"
        body.write_bytes(request.body)
        command.append(f"--data={body}")
    command.append(f"{'https' if workload.is_secure else 'http'}://127.0.0.1:{port}{request.path}")
    count, rate = parse(_run(command, seconds), workload)
    p50, p99 = percentiles(log.read_text(encoding="ascii"))
    return Load(count, rate, p50, p99)


# --- handshakes --------------------------------------------------------------------------------------------------------------


@functools.cache
def program() -> Path:
    """The compiled generator of handshakes; raise BenchFailure where it cannot be compiled."""
    path, error = compile_handshakes()
    if error:
        raise BenchFailure(f"the generator of handshakes does not compile: {error}")
    return path


def handshakes(port: int, workload: TLSWorkload, *, seconds: int, core: int) -> Load:
    """One connection, handshake and request after the other on each of `workload.connections` places."""
    told = {"port": port, "connections": workload.connections, "seconds": seconds, "content": workload.content.decode()}
    words = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    done = json.loads(_run(["taskset", "-c", str(core), str(program()), *words], seconds))
    if done["errors"]:
        raise BenchFailure(f"{done['errors']} connections went wrong: {done['first_error']}")
    if not done["connections"]:
        raise BenchFailure("not one connection")
    if done["resumed"]:
        raise BenchFailure(f"{done['resumed']} of {done['connections']} handshakes resume a session")
    return Load(done["connections"], done["per_second"], done["p50_us"], done["p99_us"])
