"""Runs the WebSocket load generator step by step: compiles it, writes the message it sends, reads what it prints.

The generator is `websocket_load.c`, which says what its modes are.
"""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

import wrk
from environment import compile_generator
from failure import BenchFailure
from workloads import CHURN, WebSocketWorkload


@functools.cache
def program() -> Path:
    """The compiled generator; raise BenchFailure where it cannot be compiled."""
    path, error = compile_generator()
    if error:
        raise BenchFailure(f"the load generator does not compile: {error}")
    return path


def arguments(port: int, workload: WebSocketWorkload, seconds: float, message: Path) -> list[str]:
    """What the generator is told."""
    told = {"port": port, "mode": workload.mode, "sockets": workload.sockets, "seconds": seconds, "message": message}
    told |= {name: value for name, value in (("depth", workload.depth), ("pieces", workload.pieces)) if value > 1}
    words = [word for name, value in told.items() for word in (f"--{name}", str(value))]
    return words + ["--binary"] * (not workload.is_text) + ["--deflate"] * workload.deflate


class Generator:
    """One run of it: `await_open`, `load`, `finish`, in this order. Between them it waits, and its sockets stay open."""

    def __init__(self, port: int, workload: WebSocketWorkload, seconds: float, core: int, folder: Path) -> None:
        self._workload = workload
        message = folder / "websocket-message"
        message.write_bytes(workload.message)
        command = ["taskset", "-c", str(core), str(program()), *arguments(port, workload, seconds, message), "--stepped"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Generator:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.communicate()

    def _step(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            words = self._process.communicate()[1].strip()
            raise BenchFailure(f"the load generator ends with {self._process.returncode}: {words[:200]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _fail(self) -> None:
        """Say what has gone wrong so far."""
        errors = self._read()
        named = ", ".join(f"{kind} {count}" for kind, count in errors["errors"].items() if count)
        if errors["error_count"]:
            raise BenchFailure(f"socket errors: {named}: {errors['first_error']}")

    def await_open(self) -> None:
        """Return when all sockets are open; raise BenchFailure when not all of them are."""
        opened = self._read()["opened"]
        if self._workload.mode == CHURN or opened == self._workload.sockets:
            return
        self._step()
        self._read()
        self._step()
        self._fail()
        raise BenchFailure(f"only {opened} of {self._workload.sockets} sockets are open")

    def load(self) -> wrk.Load:
        """Send and await; raise BenchFailure when not one message came."""
        self._step()
        done = self._read()
        if not done["messages"]:
            self._step()
            self._fail()
            raise BenchFailure("not one message")
        return wrk.Load(done["messages"], done["per_second"], done["p50_us"], done["p99_us"])

    def finish(self) -> None:
        """Close all; raise BenchFailure when anything has gone wrong, from the first handshake to the last end."""
        self._step()
        self._fail()
