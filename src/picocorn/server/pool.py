"""The workers of a supervisor as a pool: started for their slots, told, looked after, waited for once they have ended.

Knows how a worker is started and ended, and which of its times are up; who is to be replaced, and why, is for others to say.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import selectors
import signal
import time
from collections.abc import Callable, Iterator

from .balance import Sockets
from .drain import LAST_STEPS_SECONDS
from .formatters import style
from .generation import Generation
from .health import Pulse
from .slots import Slot
from .worker_process import WorkerProcess

__all__ = ["MARGIN_SECONDS", "STACK_SECONDS", "WorkerPool", "log_process", "signal_name"]

logger = logging.getLogger("picocorn.error")

#: What a worker may take beyond the times that it keeps itself, before it is killed.
MARGIN_SECONDS = 1.0
#: For a stuck worker to write its stack, and for the lines of a stack to come in.
STACK_SECONDS = 0.5


class WorkerPool:
    """The workers of `generation` on `sockets`. When one has said something, `selector` has `listen(worker, slot)` called."""

    def __init__(
        self,
        generation: Generation,
        sockets: Sockets,
        selector: selectors.BaseSelector,
        listen: Callable[[WorkerProcess, Slot], None],
    ) -> None:
        #: what workers are started with
        self.generation = generation
        self.slots: list[Slot] = []
        #: slots that are no more, whose workers wind up once the others have taken over their sockets
        self.surplus: list[Slot] = []
        #: workers that have no slot any more, and end
        self.ending: list[WorkerProcess] = []
        self._sockets = sockets
        self._selector = selector
        self._listen = listen

    def workers(self) -> Iterator[WorkerProcess]:
        """Everybody who has not been waited for yet."""
        for slot in (*self.slots, *self.surplus):
            yield from slot.workers()
        yield from tuple(self.ending)

    def is_empty(self) -> bool:
        """Whether nobody is left."""
        return next(self.workers(), None) is None

    def tell(self, message: str) -> None:
        """Send `message` to everybody."""
        for worker in self.workers():
            worker.channel.send(message)

    def due_at(self) -> list[float]:
        """When something has to be done that nobody will tell us about (seconds of the monotonic clock)."""
        times = [at for slot in self.slots for at in (slot.start_at, slot.replace_at)]
        for worker in self.workers():
            times += worker.deadlines()
        return [at for at in times if at is not None]

    # -- starting

    def resize(self, count: int) -> list[Slot]:
        """Have `count` slots; those beyond become surplus. Returns slots whose workers lack a socket. Raises OSError."""
        sockets = self._sockets.for_workers(count)
        self.surplus += self.slots[count:]
        del self.slots[count:]
        # They have to accept on the socket of a slot that is no more, too.
        lacking = [slot for slot, taken in zip(self.slots, sockets, strict=False) if slot.take(taken)]
        for taken in sockets[len(self.slots) :]:
            slot = Slot(taken)
            self.slots.append(slot)
            self.fill(slot)
        return lacking

    def start(self, slot: Slot, generation: Generation) -> WorkerProcess | None:
        """Start a worker for `slot`; None if the system does not let us, for now."""
        try:
            worker = WorkerProcess(generation, slot.sockets, self._sockets.table)
        except OSError as error:
            logger.error("Cannot start a child process: %s", error)
            return None
        self._selector.register(worker.channel, selectors.EVENT_READ, functools.partial(self._listen, worker, slot))
        return worker

    def fill(self, slot: Slot) -> None:
        """Start the worker of an empty slot."""
        slot.start_at = None
        # That was about the one that is gone.
        slot.must_be_replaced = False
        slot.worker = self.start(slot, self.generation)
        if slot.worker is None:
            slot.start_at = time.monotonic() + slot.crashes.crashed(0) + MARGIN_SECONDS

    # -- ending

    def retire(self, worker: WorkerProcess) -> None:
        """Have a worker wind up that has no slot any more, because others accept in its place."""
        self.ending.append(worker)
        log_process("Terminated child process [%d]", worker.pid)
        worker.retire()
        worker.kill_at = kill_at(worker)
        log_process("Waiting for child process [%d]", worker.pid)

    def retire_surplus(self) -> None:
        """Have the workers wind up whose slots are no more."""
        for slot in self.surplus:
            for worker in slot.workers():
                self.retire(worker)
        self.surplus.clear()

    def let_go(self, worker: WorkerProcess) -> None:
        """Take note that a worker, which has left its slot, winds up on its own."""
        worker.is_ending = True
        worker.kill_at = kill_at(worker)
        self.ending.append(worker)

    def end_all(self, tell: Callable[[WorkerProcess], None] | None) -> None:
        """Give everybody the time that they have to end, once they are told by `tell`; None: the caller tells them."""
        for slot in self.slots:
            slot.start_at = slot.replace_at = None
        workers = list(self.workers())
        for worker in workers:
            if tell is not None:
                tell(worker)
            worker.kill_at = kill_at(worker)
            log_process("Terminated child process [%d]", worker.pid)
        for worker in workers:
            log_process("Waiting for child process [%d]", worker.pid)

    def hurry(self, number: int, seconds: float) -> None:
        """Have workers end at once, by a signal to those that know it, and kill those that do not in `seconds`."""
        for worker in self.workers():
            if worker.is_ready:
                worker.is_ending = True
                worker.send_signal(number)
                worker.kill_at = time.monotonic() + seconds
            else:
                worker.kill()

    def kill_all(self) -> None:
        """End everybody now."""
        for worker in self.workers():
            worker.kill()

    # -- who has ended

    def ended_in_slots(self) -> Iterator[tuple[WorkerProcess, Slot]]:
        """Workers that have ended where they stood. Whoever asks has to see to the slot, and to `close` the worker."""
        for slot in (*self.slots, *self.surplus):
            for worker in slot.workers():
                if worker.exit_code is not None:
                    yield worker, slot

    def reap_ending(self) -> Iterator[WorkerProcess]:
        """Close workers that were on their way out and have ended; tells which."""
        for worker in tuple(self.ending):
            if worker.exit_code is not None:
                self.close(worker)
                self.ending.remove(worker)
                yield worker

    def close(self, worker: WorkerProcess) -> None:
        """Let go of a worker that has ended."""
        worker.channel.is_closed = True
        self.stop_listening(worker)
        worker.close()

    def stop_listening(self, worker: WorkerProcess) -> None:
        """Nothing more comes from this one."""
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(worker.channel)

    # -- how they are

    def forgive(self, now: float) -> None:
        """Take everybody's silence so far for none: see Heart."""
        for worker in self.workers():
            worker.heart.forgive(now)

    def look_after(self, now: float) -> None:
        """Kill whose time is up, and tell of those that are stuck."""
        for worker in self.workers():
            self._look_after(worker, now)

    def _look_after(self, worker: WorkerProcess, now: float) -> None:
        if worker.kill_at is None and worker.speak_at is not None and now >= worker.speak_at:
            worker.speak()
        if worker.kill_at is not None and now >= worker.kill_at:
            worker.kill_at = None
            if not worker.is_hung:
                logger.error("Child process [%d] did not end in time. Killing it.", worker.pid)
            worker.speak()
            worker.kill()
        if worker.is_ending or worker.is_hung:
            return
        pulse = worker.heart.feel(now)
        silent = worker.heart.silent_seconds(now)
        if pulse is Pulse.SILENT:
            logger.warning("Child process [%d] has not answered for %.1f seconds: its event loop is blocked.", worker.pid, silent)
        elif pulse is Pulse.HUNG:
            logger.error("Child process [%d] has not answered for %.1f seconds. Replacing it.", worker.pid, silent)
            worker.is_hung = True
            worker.kill_at = now + STACK_SECONDS if worker.ask_for_stack() else now


def kill_at(worker: WorkerProcess) -> float | None:
    """When a worker that begins to wind up now has had all its time; None for never."""
    timeout = worker.generation.config.timeout_graceful_shutdown
    return time.monotonic() + timeout + LAST_STEPS_SECONDS + MARGIN_SECONDS if timeout else None


def signal_name(number: int) -> str:
    """Of a signal, for people."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def log_process(text: str, process_id: int, bold: bool = False) -> None:
    """A line about a process, its id in colour."""
    shown = style("%d", "cyan", bold=bold)
    logger.info(text, process_id, extra={"color_message": text.replace("%d", shown)})
