"""The servers under test, each in a process of its own: picocorn with either body, and uvicorn, against which the rig was proven.

Knows how to start and end them and what a clean log looks like; nothing of the suite.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["TESTEES", "Served", "TesteeFailure", "serving"]

HERE = Path(__file__).resolve().parent
TESTEES = ("native", "pure", "uvicorn")
START_SECONDS = 30
STOP_SECONDS = 30

#: 9.* sends 16 MiB in one message. A keep-alive ping in the middle of a long case would count as an answer that nobody expects.
OPTIONS = ("--ws-max-size", str(64 * 1024 * 1024), "--ws-ping-interval", "600", "--ws-per-message-deflate", "true")

_LISTENING = re.compile(r"running on http://127\.0\.0\.1:(\d+)")
#: What a server must never say while a client misbehaves, and what Python says of things that were forgotten.
_TROUBLE = re.compile(
    r"Traceback|Exception in|Exception ignored|ResourceWarning|was never awaited|never retrieved|was destroyed but"
    r"|Fatal error|Segmentation fault|socket\.send\(\) raised"
)
_ASK_BODY = "from picocorn.base.native import NATIVE; raise SystemExit(0 if NATIVE else 3)"


class TesteeFailure(Exception):
    """A server did not start, did not end, or is not what was asked for."""


@dataclass
class Served:
    """A server that listens."""

    name: str
    url: str
    process: subprocess.Popen[bytes]
    log: Path
    #: what was wrong at its end, one line each; complete when the context has been left
    troubles: list[str]


def _environment(testee: str) -> dict[str, str]:
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "default"}
    if testee in ("native", "pure"):
        environment["PICOCORN_NO_EXTENSIONS"] = "1" if testee == "pure" else ""
        asked = subprocess.run([sys.executable, "-c", _ASK_BODY], env=environment, check=False).returncode
        # A body that was asked for and is not there must not pass for tested.
        if asked != (3 if testee == "pure" else 0):
            raise TesteeFailure(f"the {testee} body is not there: make build (or run with --testees pure)")
    return environment


def _wait_for_port(process: subprocess.Popen[bytes], log: Path, name: str) -> int:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        text = log.read_text(encoding="utf-8", errors="replace")
        if listening := _LISTENING.search(text):
            return int(listening[1])
        if process.poll() is not None:
            raise TesteeFailure(f"{name} ended at its start:\n{text[-2000:]}")
        time.sleep(0.02)
    raise TesteeFailure(f"{name} did not listen within {START_SECONDS} s:\n{text[-2000:]}")


def _stop(served: Served) -> None:
    """End it as an operator would, and look at what it said."""
    if (code := served.process.poll()) is not None:
        served.troubles.append(f"ended during the run with {code}")
    else:
        served.process.send_signal(signal.SIGTERM)
        try:
            served.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            served.process.kill()
            served.process.wait()
            served.troubles.append(f"did not end within {STOP_SECONDS} s of SIGTERM")
    lines = served.log.read_text(encoding="utf-8", errors="replace").splitlines()
    found = [line.strip() for line in lines if _TROUBLE.search(line)]
    served.troubles += found[:5]
    if len(found) > 5:
        served.troubles.append(f"and {len(found) - 5} more such lines in {served.log}")


@contextlib.contextmanager
def serving(testee: str, folder: Path, *, application: str = "app", label: str | None = None) -> Iterator[Served]:
    """Serve an application of `echo.py` until the block ends; then `troubles` tells what its end and its log were like."""
    name = label or testee
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{name}.log"
    module = "uvicorn" if testee == "uvicorn" else "picocorn"
    command = [sys.executable, "-m", module, f"echo:{application}", "--app-dir", str(HERE), "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen([*command, *OPTIONS], stdout=output, stderr=subprocess.STDOUT, env=_environment(testee))
    try:
        port = _wait_for_port(process, log, name)
        served = Served(name, f"ws://127.0.0.1:{port}", process, log, [])
        yield served
        _stop(served)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
