"""Start-up: from the command to the first right answer, importing the package, and `--version`."""

from __future__ import annotations

import contextlib
import subprocess
import time
from typing import Any

from failure import BenchFailure
from launch import Stable
from peers import QUIET, Peer
from verify import check
from workloads import HELLO, Request

TIMES = 5
#: no more often is it asked whether it listens
PAUSE_SECONDS = 0.001

_IMPORT = "import time; began = time.perf_counter(); import {}; print((time.perf_counter() - began) * 1000)"


def _first_answer_ms(stable: Stable, peer: Peer) -> float:
    began = time.perf_counter()
    server = stable.start(peer, QUIET, "raw:app")
    try:
        server.await_start(PAUSE_SECONDS)
        check(server.port, Request(closes=True), HELLO)
        return (time.perf_counter() - began) * 1000
    finally:
        server.stop()
        with contextlib.suppress(FileNotFoundError):
            server.log.unlink()


def _import_ms(stable: Stable, peer: Peer) -> float:
    command = [*stable.fill(peer, "{python} -c"), _IMPORT.format(peer.module)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchFailure(f"`import {peer.module}` fails: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
    return float(done.stdout)


def _version_ms(stable: Stable, peer: Peer) -> float:
    began = time.perf_counter()
    done = subprocess.run(stable.fill(peer, peer.version_command), capture_output=True, check=False)
    if done.returncode:
        raise BenchFailure(f"`--version` ends with {done.returncode}")
    return (time.perf_counter() - began) * 1000


def measure(stable: Stable, peer: Peer) -> dict[str, Any]:
    """The cell of one server: each time as often as TIMES, after one that fills the caches."""
    cell: dict[str, Any] = {}
    try:
        stable.command(peer, QUIET, "raw:app", 0)
    except BenchFailure as failure:
        return {"skipped": str(failure)}
    try:
        cell["first_answer_ms"] = [_first_answer_ms(stable, peer) for _ in range(TIMES + 1)][1:]
        cell["import_ms"] = [_import_ms(stable, peer) for _ in range(TIMES + 1)][1:]
        if peer.version_command:
            cell["version_ms"] = [_version_ms(stable, peer) for _ in range(TIMES + 1)][1:]
    except BenchFailure as failure:
        cell["fails"] = str(failure)
    return cell
