"""Runs wrk: writes its script, reads what it prints."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from failure import BenchFailure
from workloads import Request

_MICROSECONDS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6, "h": 3600e6}


@dataclass(frozen=True)
class Load:
    """What one run of wrk did."""

    requests: int
    requests_per_second: float
    p50_us: float
    p99_us: float


def microseconds(text: str) -> float:
    """A duration as wrk prints it: 12.3us, 1.20ms, 2.00s."""
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text)
    if match is None:
        raise BenchFailure(f"wrk prints a duration of {text!r}")
    return float(match[1]) * _MICROSECONDS[match[2]]


def parse(output: str) -> Load:
    """Read what wrk prints; raise BenchFailure when a request went wrong."""
    if errors := re.search(r"Socket errors: (.+)", output):
        raise BenchFailure(f"socket errors: {errors[1].strip()}")
    if wrong := re.search(r"Non-2xx or 3xx responses: (\d+)", output):
        raise BenchFailure(f"{wrong[1]} answers that are not 2xx")
    requests = re.search(r"(\d+) requests in", output)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p50, p99 = re.search(r"^\s+50%\s+(\S+)", output, re.M), re.search(r"^\s+99%\s+(\S+)", output, re.M)
    if not (requests and rate and p50 and p99):
        raise BenchFailure("wrk printed no result")
    if int(requests[1]) == 0:
        raise BenchFailure("not one answer")
    return Load(int(requests[1]), float(rate[1]), microseconds(p50[1]), microseconds(p99[1]))


def _quoted(value: bytes) -> str:
    """A Lua string: every byte by its number, which needs no rules of quotation."""
    return '"' + "".join(f"\\{byte:03d}" for byte in value) + '"'


def script(request: Request) -> str:
    """The Lua with which wrk sends `request`. Without a function of its own, wrk makes the bytes once."""
    fields = [*request.fields, *([("Connection", "close")] if request.closes else [])]
    lines = [f"wrk.method = {_quoted(request.method.encode())}"]
    lines += [f"wrk.headers[{_quoted(name.encode())}] = {_quoted(value.encode())}" for name, value in fields]
    if request.body:
        lines.append(f"wrk.body = {_quoted(request.body)}")
    if request.pipeline > 1:
        lines.append("local all")
        lines.append(f"function init(args) all = string.rep(wrk.format(), {request.pipeline}) end")
        lines.append("function request() return all end")
    return "\n".join(lines) + "\n"


def run(port: int, request: Request, *, seconds: int, connections: int, core: int, folder: Path, scheme: str = "http") -> Load:
    """Load the server with `request` from one thread on one core."""
    lua = folder / "wrk.lua"
    lua.write_text(script(request), encoding="ascii")
    command = ["taskset", "-c", str(core), "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    command += ["-s", str(lua), f"{scheme}://127.0.0.1:{port}{request.path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailure(f"wrk ends with {done.returncode}: {done.stderr.strip()[:100]}")
    return parse(done.stdout)
