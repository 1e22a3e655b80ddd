"""How busy a core has been, whoever has worked on it. Reads /proc; Linux only.

Knows no server and no load generator.
"""

from __future__ import annotations

from pathlib import Path

from failure import BenchFailure

PROC = Path("/proc")


def core_ticks(core: int, proc: Path = PROC) -> tuple[int, int]:
    """Since the machine has started: how long the core has worked, and how long it has been there, in ticks of the kernel.

    What the kernel does for packets is work too, though no process is charged for it: over loopback half of what a load generator
    sends is carried to the server's socket so.
    """
    for line in (proc / "stat").read_text(encoding="ascii").splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            # Guests' time is in the first two already.
            user, nice, system, idle, iowait, irq, softirq, steal = map(int, ticks[:8])
            busy = user + nice + system + irq + softirq + steal
            return busy, busy + idle + iowait
    raise BenchFailure(f"there is no core {core}")


def busy_share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """How much of the time between two looks at `core_ticks` was work."""
    worked, passed = (late - early for early, late in zip(before, after, strict=True))
    return worked / (passed or 1)
