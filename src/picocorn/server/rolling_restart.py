"""Replaces workers of a pool one by one, all of them or one that has had enough: the new one ready, then the old one ends.

Knows whose turn it is, and what happens when a replacement fails. Not why a worker is to be replaced, and no signals.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterable

from .generation import Generation
from .health import ready_timeout_seconds
from .pool import WorkerPool
from .slots import Slot
from .worker_process import WorkerProcess

__all__ = ["RollingRestart"]

logger = logging.getLogger("picocorn.error")

#: Before the next try to replace a worker that has reached a limit, at least.
RETRY_SECONDS = 5.0


class RollingRestart:
    """The queue of slots in `pool` whose workers are to be replaced."""

    def __init__(self, pool: WorkerPool) -> None:
        self._pool = pool
        #: what a SIGHUP has read: takes the place of the pool's when a worker has got ready with it
        self._next_generation: Generation | None = None
        self._queue: deque[Slot] = deque()
        #: the worker that was replaced last, while it winds up: the next one waits for it
        self._leaver: WorkerProcess | None = None
        self._longest_start_seconds = 0.0

    @property
    def is_going_on(self) -> bool:
        """Whether a restart of all is not over."""
        return any(slot.is_restarting for slot in self._pool.slots)

    # -- who is to be replaced

    def replace_all(self, generation: Generation) -> None:
        """Replace everybody by workers of `generation`. A restart that has not come to its end is given up for this one."""
        self.abort()
        self._next_generation = generation
        for slot in self._pool.slots:
            if slot.replacement is not None:
                # Started with what was read before.
                slot.replacement.kill()
                self._pool.ending.append(slot.replacement)
                slot.replacement = None
            slot.is_restarting = True
        self._enqueue(self._pool.slots)

    def add(self, slots: Iterable[Slot]) -> None:
        """Have the workers of `slots` replaced when it is their turn, whatever becomes of a restart of all."""
        slots = list(slots)
        for slot in slots:
            slot.must_be_replaced = True
        self._enqueue(slots)

    def _enqueue(self, slots: Iterable[Slot]) -> None:
        self._queue += [slot for slot in slots if slot not in self._queue]

    def add_worker(self, slot: Slot, worker: WorkerProcess | None) -> None:
        """Have `worker` replaced when it is its turn, if it still stands in `slot`."""
        if worker is not slot.worker or slot not in self._pool.slots:
            return
        if slot.replacement is None:
            self.add([slot])
        else:
            # Somebody is about to take its place, if all goes well.
            slot.must_be_replaced = True

    def clear(self) -> None:
        """Replace nobody whose replacement has not been started."""
        self._queue.clear()

    def abort(self) -> None:
        """End a restart of all where it is."""
        self._next_generation = None
        for slot in self._pool.slots:
            if slot.is_restarting:
                slot.is_restarting = False
                if slot in self._queue and not slot.must_be_replaced:
                    self._queue.remove(slot)

    # -- one after the other

    def go_on(self) -> None:
        """Start the next replacement, unless one is on its way. After the last, workers without a slot wind up."""
        if self._leaver is not None or any(slot.replacement for slot in self._pool.slots):
            return
        while self._queue:
            slot = self._queue.popleft()
            if slot in self._pool.slots:
                self._replace(slot)
                return
        self._pool.retire_surplus()

    def _replace(self, slot: Slot) -> None:
        generation = self._next_generation or self._pool.generation
        slot.start_at = slot.replace_at = None
        slot.replacement = self._pool.start(slot, generation)
        if slot.replacement is None:
            self.failed(slot, None, "could not be started")
            return
        config = generation.config
        seconds = ready_timeout_seconds(config.timeout_worker_healthcheck, self._longest_start_seconds)
        slot.replacement.ready_by = slot.replacement.started_at + seconds if seconds else None

    def became_ready(self, worker: WorkerProcess, slot: Slot, now: float) -> None:
        """A worker is ready: if it is a replacement, the old one winds up."""
        self._longest_start_seconds = max(self._longest_start_seconds, now - worker.started_at)
        if worker.generation is self._next_generation:
            self._pool.generation, self._next_generation = worker.generation, None
        if worker is slot.replacement:
            old, slot.worker, slot.replacement = slot.worker, worker, None
            slot.is_restarting = slot.must_be_replaced = False
            if old is not None:
                self._leaver = old
                self._pool.retire(old)

    def ended(self, worker: WorkerProcess) -> None:
        """A worker that was on its way out has ended."""
        if worker is self._leaver:
            self._leaver = None

    def failed(self, slot: Slot, failed: WorkerProcess | None, why: str) -> None:
        """The replacement has failed: the old worker stays, and a restart of all ends here."""
        slot.replacement = None
        new = f"[{failed.pid}] " if failed is not None else ""
        if slot.worker is not None:
            logger.error("New child process %s%s; keeping worker [%d] and aborting the restart.", new, why, slot.worker.pid)
        else:
            logger.error("New child process %s%s.", new, why)
        now = time.monotonic()
        wait = slot.crashes.crashed(0)
        if slot.worker is None:
            slot.start_at = now + wait
        elif slot.must_be_replaced:
            # It still has to be.
            slot.replace_at = now + max(wait, RETRY_SECONDS)
        if slot.is_restarting:
            self.abort()

    def look_after(self, now: float) -> None:
        """Try again whose time has come, and give up replacements that are not ready in time."""
        for slot in self._pool.slots:
            if slot.replace_at is not None and now >= slot.replace_at:
                slot.replace_at = None
                self.add_worker(slot, slot.worker)
            replacement = slot.replacement
            if replacement is not None and replacement.ready_by is not None and now >= replacement.ready_by:
                replacement.kill()
                self._pool.ending.append(replacement)
                self.failed(slot, replacement, "was not ready in time")
