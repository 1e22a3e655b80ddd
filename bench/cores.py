"""The cores that a row is measured on: keeps them from going to sleep, and reads how busy one has been. Linux only.

Knows no server and no load generator.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from environment import compile_program
from failure import BenchFailure

PROC = Path("/proc")


@contextlib.contextmanager
def kept_awake(cores: Iterable[int]) -> Iterator[None]:
    """Have awake.c, which says why, run on each of `cores`. Raises BenchFailure where it cannot."""
    program, error = compile_program("awake")
    if error:
        raise BenchFailure(f"awake.c does not compile: {error}")
    with contextlib.ExitStack() as running:
        for core in sorted(set(cores)):
            process = running.enter_context(
                subprocess.Popen([program, str(core)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
            running.callback(process.kill)
            assert process.stdout is not None
            assert process.stderr is not None
            if process.stdout.readline() != "awake\n":
                raise BenchFailure(f"core {core} is not kept awake: {process.stderr.read().strip()}")
        yield


def core_ticks(core: int, proc: Path = PROC) -> tuple[int, int]:
    """Since the machine has started: how long the core has worked, and how long it has been there, in ticks of the kernel.

    What the kernel does for packets is work too, though no process is charged for it: over loopback half of what a load generator
    sends is carried to the server's socket so. What has only kept the core awake is none.
    """
    for line in (proc / "stat").read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            # Guests' time is in the first two already.
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, ticks[:8])
            busy = user + system + irq + softirq + steal
            return busy, busy + nice + idle + iowait
    raise BenchFailure(f"there is no core {core}")


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """How much of the time between two looks at `core_ticks` was work."""
    worked, passed = (late - early for early, late in zip(before, after, strict=True))
    return worked / (passed or 1)
