"""Are the answers over HTTP/2 and TLS right? Asks with curl, whatever the version, and compares what came.

Knows nothing of servers and processes.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from failure import BenchFailure, Unsupported
from verify import TIMEOUT_SECONDS
from workloads import HTTP2Workload, TLSWorkload

#: as curl names them, and what it is told so that nothing else is spoken
VERSIONS = {("2", False): "--http2-prior-knowledge", ("2", True): "--http2", ("1.1", True): "--http1.1"}


def turns(workload: HTTP2Workload | TLSWorkload) -> int:
    """How many requests show all there is to see: in HTTP/1.1 the second one shows whether the connection is kept.

    In HTTP/2 h2load sees that, and older versions of curl fail when they ask twice without TLS.
    """
    return 2 if isinstance(workload, TLSWorkload) else 1


def command(port: int, workload: HTTP2Workload | TLSWorkload, folder: Path) -> list[str]:
    """One request after the other."""
    request = workload.request
    is_secure = isinstance(workload, TLSWorkload) or workload.is_secure
    version = "1.1" if isinstance(workload, TLSWorkload) else "2"
    words = ["curl", "--silent", "--show-error", "--verbose", "--insecure", "--max-time", str(TIMEOUT_SECONDS)]
    words += [VERSIONS[version, is_secure], "--write-out", "%{json}\n", "--request", request.method, "--header", "Expect:"]
    fields = [*request.fields, *([("Connection", "close")] if request.closes else [])]
    words += [word for name, value in fields for word in ("--header", f"{name}: {value}")]
    if request.body:
        body = folder / "curl-body"
        body.write_bytes(request.body)
        words += ["--data-binary", f"@{body}"]
    url = f"{'https' if is_secure else 'http'}://127.0.0.1:{port}{request.path}"
    for turn in range(turns(workload)):
        words += ["--output", str(folder / f"curl-{turn}"), url]
    return words


def compare(told: Mapping[str, Any], content: bytes, workload: HTTP2Workload | TLSWorkload, *, is_first: bool) -> None:
    """Raise BenchFailure unless curl's account of an answer, and its content, are what was asked for."""
    version = "1.1" if isinstance(workload, TLSWorkload) else "2"
    if str(told["http_version"]) != version:
        raise Unsupported(f"answers in HTTP/{told['http_version']}, not in HTTP/{version}")
    if told["response_code"] != 200:
        raise BenchFailure(f"answers {told['response_code']}, not 200")
    if content != workload.content:
        raise BenchFailure(f"{len(content)} bytes of content ({content[:40]!r}...), not the expected {len(workload.content)}")
    if told["num_connects"] != (1 if is_first or workload.request.closes else 0):
        raise BenchFailure("does not end the connection" if workload.request.closes else "does not keep the connection")


def check(port: int, workload: HTTP2Workload | TLSWorkload, folder: Path) -> dict[str, str]:
    """Ask and look; raise BenchFailure, or return what was agreed on: the version of TLS and its cipher suite."""
    for turn in range(turns(workload)):
        (folder / f"curl-{turn}").write_bytes(b"")
    done = subprocess.run(command(port, workload, folder), capture_output=True, text=True, check=False, errors="replace")
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if line.startswith("curl: ")]
        raise BenchFailure((reasons or [f"curl ends with {done.returncode}"])[-1])
    for turn, line in enumerate(done.stdout.splitlines()):
        compare(json.loads(line), (folder / f"curl-{turn}").read_bytes(), workload, is_first=turn == 0)
    agreed = re.search(r"SSL connection using (\S+) / (\S+)", done.stderr)
    return {"tls": f"{agreed[1]} {agreed[2]}"} if agreed else {}
