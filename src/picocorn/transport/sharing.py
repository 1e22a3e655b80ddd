"""Processes that accept on the same sockets, and how many connections each of them has: what they go by to share evenly.

A table in memory that all of them map, with a cell for each process. Left to the kernel, whoever wakes up first takes all
connections of a burst; so a process that is ahead of the others leaves a connection to them, for a moment (`listener_c`).
Knows neither what the processes are, nor who starts them.
"""

from __future__ import annotations

import mmap
import os
from typing import Any

__all__ = ["NOBODY", "Share", "ShareTable"]

#: In a cell whose process does not accept.
NOBODY = -1
#: More processes than these accept without a cell, and take what they get.
CELLS = 256
_CELL_BYTES = 4


class ShareTable:
    """The table: made by whoever starts the processes, and pickled to them when they are spawned. Linux only."""

    def __init__(self, fd: int = -1) -> None:
        is_new = fd < 0
        if is_new:
            fd = os.memfd_create("picocorn connections")
            os.ftruncate(fd, CELLS * _CELL_BYTES)
        self.fd = fd
        self._map = mmap.mmap(fd, CELLS * _CELL_BYTES)
        #: connections of each process (int32), NOBODY where there is none
        self.cells = memoryview(self._map).cast("i")
        if is_new:
            for number in range(CELLS):
                self.cells[number] = NOBODY
        self._taken: set[int] = set()

    def __reduce__(self) -> tuple[Any, ...]:
        # A descriptor that the spawned process inherits.
        from multiprocessing.reduction import DupFd

        return _mapped, (DupFd(self.fd),)

    def take(self) -> int:
        """The number of a free cell, or -1 if there is none; `give_back` it."""
        for number in range(CELLS):
            if number not in self._taken:
                self._taken.add(number)
                return number
        return -1

    def give_back(self, number: int) -> None:
        """The process of this cell is gone."""
        if number >= 0 and self.fd >= 0:
            self.cells[number] = NOBODY
            self._taken.discard(number)

    def close(self) -> None:
        """Unmap it. Its processes keep theirs."""
        self.cells.release()
        self._map.close()
        os.close(self.fd)
        self.fd = -1


def _mapped(duplicate: Any) -> ShareTable:
    fd = duplicate.detach()
    os.set_inheritable(fd, False)
    return ShareTable(fd)


class Share:
    """One process's place in the table."""

    __slots__ = ("number", "table")

    def __init__(self, table: ShareTable, number: int) -> None:
        self.table = table
        self.number = number
