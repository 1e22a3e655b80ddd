"""Importing all of picocorn starts no thread, opens no file, installs no signal handler and sets no event loop policy."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import signal
import threading

import picocorn
from picocorn.base.native import NATIVE


def state() -> dict[str, object]:
    """What an import could leave behind in this process."""
    fds = "/proc/self/fd"
    return {
        "threads": threading.active_count(),
        "open files": len(os.listdir(fds)) if os.path.isdir(fds) else 0,
        "signal handlers": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "environment": dict(os.environ),
        "event loop": asyncio._get_running_loop(),
    }


def main() -> None:
    """Import everything and compare."""
    before = state()
    for info in pkgutil.walk_packages(picocorn.__path__, "picocorn."):
        if info.name != "picocorn.__main__" and (NATIVE or not info.name.endswith("_c")):
            importlib.import_module(info.name)
    after = state()
    assert after == before, {key: (before[key], after[key]) for key in before if before[key] != after[key]}


main()
