"""The supervisor: binds the sockets once, keeps them, and sees to it that the workers which accept on them are there and well.

It never imports the application. One turn of its loop: what signals and workers say, who has ended, whose time is up, who is
next to be replaced. Replacing is always the same: a new worker gets ready, then the old one winds up.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import selectors
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator, Sequence

from ..base.errors import ConfigError
from .balance import Sockets
from .binding import log_listening
from .config import STARTUP_FAILURE
from .drain import LAST_STEPS_SECONDS, log_drain_delay
from .formatters import style
from .generation import Generation
from .health import Pulse, ready_timeout_seconds
from .log_files import reopen_log_files
from .server import FORCED_SECONDS
from .service import Service
from .slots import Slot
from .supervisor_signals import SignalQueue
from .systemd import NOTIFY_VARIABLES, Notifier
from .upgrade import VARIABLE, Successor, inherited_sockets
from .worker_channel import BEAT, DRAIN, ENDING_APPLICATION, LEAVING, READY, RECYCLE, REOPEN_LOGS
from .worker_process import WorkerProcess

__all__ = ["Supervisor"]

logger = logging.getLogger("picocorn.error")

#: What a worker may take beyond the times that it keeps itself, before it is killed.
MARGIN_SECONDS = 1.0
#: For workers to end that were told to end at once.
QUIT_SECONDS = 2.0
#: For a stuck worker to write its stack, and for the lines of a stack to come in.
STACK_SECONDS = 0.5
#: How much later than planned the loop goes on when this process has been stopped, and the workers most likely with it.
STOPPED_SECONDS = 1.0
#: Before the next try to replace a worker that has reached a limit, at least.
RETRY_SECONDS = 5.0


class Supervisor:
    """Serves with the workers of a generation until told to stop: `run()` returns an exit code.

    `sockets` are bound already, by a caller who has said so; without, the options say.
    """

    def __init__(self, generation: Generation, sockets: Sequence[socket.socket] = ()) -> None:
        self._given = [list(sockets)] if sockets else []
        #: what workers are started with
        self._generation = generation
        #: what a SIGHUP has read: takes the other's place when a worker has got ready with it
        self._next_generation: Generation | None = None
        self._slots: list[Slot] = []
        #: slots that are no more, whose workers wind up once the others have taken over their sockets
        self._surplus: list[Slot] = []
        #: workers that have no slot any more, and end
        self._ending: list[WorkerProcess] = []
        #: slots whose workers are to be replaced, one after the other
        self._queue: deque[Slot] = deque()
        #: the worker that was replaced last, while it winds up: the next one waits for it
        self._leaver: WorkerProcess | None = None
        self._longest_start_seconds = 0.0
        #: a worker was ready in every slot: who ends from now on has crashed, and has not failed to start
        self._was_up = False
        self._is_stopping = False
        #: when the delay between being told to end and ending is over, None before it has begun
        self._stop_at: float | None = None
        self._exit_code = 0
        self._service = Service(generation.config.pidfile, Notifier(os.environ))
        self._sockets: Sockets
        self._signals: SignalQueue
        self._selector: selectors.BaseSelector
        self._successor: Successor | None = None
        #: the server that has started this one on its sockets
        self._predecessor = 0

    def run(self) -> int:
        """Serve. Raises ConfigError for a configuration that needs what this platform has not."""
        config = self._generation.config
        with SignalQueue() as self._signals, selectors.DefaultSelector() as self._selector:
            inherited = self._given or inherited_sockets()
            for name in (VARIABLE, *NOTIFY_VARIABLES):
                self._generation.forget(name)
            self._predecessor = os.getppid() if inherited and not self._given else 0
            try:
                self._service.check()
                self._sockets = Sockets(config, inherited)
            except OSError as error:
                logger.error("%s", error)
                return STARTUP_FAILURE
            if not self._given:
                log_listening(config, self._sockets.all, bool(inherited))
            _log_process("Started parent process [%d]", os.getpid(), bold=True)
            self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
            try:
                self._resize(config.workers or 1)
                while not self._is_stopping or self._has_workers():
                    self._turn()
            finally:
                self._leave_nothing()
        _log_process("Stopping parent process [%d]", os.getpid(), bold=True)
        return self._exit_code

    def _leave_nothing(self) -> None:
        """Whatever has ended the loop: no worker is left, and no socket."""
        for worker in self._workers():
            worker.kill()
        self._release_sockets()
        self._service.end()

    # -- one turn

    def _turn(self) -> None:
        began = time.monotonic()
        pause = self._pause_seconds(began)
        ready = self._selector.select(pause)
        now = time.monotonic()
        if pause is not None and now - began > pause + STOPPED_SECONDS:
            for worker in self._workers():
                worker.heart.forgive(now)
        for key, _events in ready:
            key.data()
        self._reap()
        self._look_after_all(time.monotonic())
        self._replace_next()
        self._service.beat(now)

    def _workers(self) -> Iterator[WorkerProcess]:
        for slot in (*self._slots, *self._surplus):
            yield from slot.workers()
        yield from tuple(self._ending)

    def _has_workers(self) -> bool:
        return any(True for _ in self._workers())

    def _pause_seconds(self, now: float) -> float | None:
        """Until the next thing has to be done that nobody will tell us about; None: somebody will."""
        due = [at for slot in self._slots for at in (slot.start_at, slot.replace_at) if at is not None]
        due += [at for at in (self._service.beat_at, None if self._is_stopping else self._stop_at) if at is not None]
        for worker in self._workers():
            due += [at for at in worker.deadlines() if at is not None]
        return max(min(due) - now, 0.0) if due else None

    # -- starting

    def _start(self, slot: Slot, generation: Generation) -> WorkerProcess | None:
        """Start a worker for `slot`; None if the system does not let us, for now."""
        try:
            worker = WorkerProcess(generation, slot.sockets, self._sockets.table)
        except OSError as error:
            logger.error("Cannot start a child process: %s", error)
            return None
        self._selector.register(worker.channel, selectors.EVENT_READ, functools.partial(self._listen, worker, slot))
        return worker

    def _fill(self, slot: Slot) -> None:
        """Start the worker of an empty slot."""
        slot.start_at = None
        slot.worker = self._start(slot, self._generation)
        if slot.worker is None:
            slot.start_at = time.monotonic() + slot.crashes.crashed(0) + MARGIN_SECONDS

    def _resize(self, count: int) -> None:
        """Have `count` slots. Workers of slots that are no more wind up."""
        try:
            sockets = self._sockets.for_workers(count)
        except OSError as error:
            logger.error("%s", error)
            return
        self._surplus += self._slots[count:]
        del self._slots[count:]
        for slot, taken in zip(self._slots, sockets, strict=False):
            if slot.take(taken) and slot not in self._queue:
                # It has to accept on the socket of a slot that is no more, too.
                self._queue.append(slot)
        for taken in sockets[len(self._slots) :]:
            slot = Slot(taken)
            self._slots.append(slot)
            self._fill(slot)

    # -- what workers say

    def _listen(self, worker: WorkerProcess, slot: Slot) -> None:
        messages, text = worker.channel.receive()
        now = time.monotonic()
        if text:
            worker.hear(text, now + STACK_SECONDS)
        for message in messages:
            if message == BEAT:
                silent = worker.heart.beat(now)
                if silent:
                    logger.info("Child process [%d] answers again, after %.1f seconds.", worker.pid, silent)
            elif message == READY:
                self._became_ready(worker, slot, now)
            elif message == RECYCLE:
                self._enqueue(slot, worker)
            elif message == LEAVING:
                self._is_leaving(worker, slot)
            elif message == ENDING_APPLICATION:
                worker.kill_at = _kill_at(worker)
        if worker.channel.is_closed:
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.channel)

    def _became_ready(self, worker: WorkerProcess, slot: Slot, now: float) -> None:
        worker.ready_at = now
        worker.ready_by = None
        worker.heart.beat(now)
        self._longest_start_seconds = max(self._longest_start_seconds, now - worker.started_at)
        if worker.generation is self._next_generation:
            self._generation, self._next_generation = worker.generation, None
        if worker is slot.replacement:
            old, slot.worker, slot.replacement = slot.worker, worker, None
            slot.is_restarting = False
            if old is not None:
                self._leaver = old
                self._retire(old)
        if self._stop_at is not None:
            worker.channel.send(DRAIN)
        slot.was_up = True
        if not self._was_up and all(slot.was_up for slot in self._slots):
            self._was_up = True
            self._is_up()

    def _is_up(self) -> None:
        """All workers are ready for the first time."""
        try:
            self._service.listening()
        except OSError as error:
            logger.error("%s", error)
            self._exit_code = STARTUP_FAILURE
            self._stop()
            return
        self._service.ready("Serving")

    def _is_leaving(self, worker: WorkerProcess, slot: Slot) -> None:
        """It winds up on its own, most likely because somebody has sent it a signal: its place is free now."""
        if worker.is_ending or self._is_stopping or worker is not slot.worker:
            return
        worker.is_ending = True
        worker.kill_at = _kill_at(worker)
        slot.worker = None
        self._ending.append(worker)
        if slot.replacement is None and slot in self._slots:
            self._fill(slot)

    # -- replacing

    def _enqueue(self, slot: Slot, worker: WorkerProcess | None) -> None:
        """Have the worker of `slot` replaced when it is its turn, if it still is `worker`."""
        if worker is slot.worker and slot in self._slots and slot not in self._queue and slot.replacement is None:
            self._queue.append(slot)

    def _replace_next(self) -> None:
        if self._is_stopping or self._leaver is not None or any(slot.replacement for slot in self._slots):
            return
        while self._queue:
            slot = self._queue.popleft()
            if slot in self._slots:
                self._replace(slot)
                return
        for slot in self._surplus:
            for worker in slot.workers():
                self._retire(worker)
        self._surplus.clear()

    def _replace(self, slot: Slot) -> None:
        generation = self._next_generation or self._generation
        slot.start_at = slot.replace_at = None
        slot.replacement = self._start(slot, generation)
        if slot.replacement is None:
            self._keep(slot, None, "could not be started")
            return
        config = generation.config
        seconds = ready_timeout_seconds(config.timeout_worker_healthcheck, self._longest_start_seconds)
        slot.replacement.ready_by = slot.replacement.started_at + seconds if seconds else None

    def _keep(self, slot: Slot, failed: WorkerProcess | None, why: str) -> None:
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
        elif not slot.is_restarting:
            # This one has reached a limit, and still has.
            slot.replace_at = now + max(wait, RETRY_SECONDS)
        if slot.is_restarting:
            self._abort_restart()

    def _abort_restart(self) -> None:
        self._next_generation = None
        for slot in self._slots:
            if slot.is_restarting:
                slot.is_restarting = False
                if slot in self._queue:
                    self._queue.remove(slot)

    def _retire(self, worker: WorkerProcess) -> None:
        self._ending.append(worker)
        _log_process("Terminated child process [%d]", worker.pid)
        worker.retire()
        worker.kill_at = _kill_at(worker)
        _log_process("Waiting for child process [%d]", worker.pid)

    # -- who has ended

    def _reap(self) -> None:
        for slot in (*self._slots, *self._surplus):
            for worker in slot.workers():
                if worker.exit_code is not None:
                    self._ended(worker, slot)
        for worker in tuple(self._ending):
            if worker.exit_code is not None:
                self._close(worker)
                self._ending.remove(worker)
                if worker is self._leaver:
                    self._leaver = None
        if self._successor is not None and self._successor.exit_code is not None and not self._is_stopping:
            logger.error("New parent process [%d] has ended, with exit code %d.", self._successor.pid, self._successor.exit_code)
            self._successor = None
            self._service.take_back()
        _reap_strangers({worker.pid for worker in self._workers()} | ({self._successor.pid} if self._successor else set()))

    def _close(self, worker: WorkerProcess) -> None:
        worker.channel.is_closed = True
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(worker.channel)
        worker.close()

    def _ended(self, worker: WorkerProcess, slot: Slot) -> None:
        code = worker.exit_code
        assert code is not None
        # What it has said last: that it was ready, perhaps.
        self._listen(worker, slot)
        worker.speak()
        self._close(worker)
        if slot in self._surplus or self._is_stopping:
            slot.forget(worker)
            return
        if worker is slot.replacement:
            self._keep(slot, worker, "failed to start")
            return
        slot.worker = None
        if not self._was_up and not slot.was_up and code > 0:
            logger.error("Child process [%d] failed to start, stopping the parent process.", worker.pid)
            self._exit_code = STARTUP_FAILURE
            self._stop()
            return
        self._crashed(worker, slot, code)

    def _crashed(self, worker: WorkerProcess, slot: Slot, code: int) -> None:
        if code < 0 and not worker.is_ending:
            logger.warning("Child process [%d] was ended by %s.", worker.pid, _signal_name(-code))
        _log_process("Child process [%d] died", worker.pid)
        now = time.monotonic()
        wait = slot.crashes.crashed(now - worker.ready_at if worker.ready_at is not None else 0)
        if slot.replacement is not None:
            return
        if wait:
            logger.warning("Child processes end soon after they have started. Starting the next one in %g seconds.", wait)
            slot.start_at = now + wait
        else:
            self._fill(slot)

    # -- whose time is up

    def _look_after_all(self, now: float) -> None:
        for slot in self._slots:
            if slot.start_at is not None and now >= slot.start_at and not self._is_stopping:
                self._fill(slot)
            if slot.replace_at is not None and now >= slot.replace_at:
                slot.replace_at = None
                self._enqueue(slot, slot.worker)
            replacement = slot.replacement
            if replacement is not None and replacement.ready_by is not None and now >= replacement.ready_by:
                replacement.kill()
                self._ending.append(replacement)
                self._keep(slot, replacement, "was not ready in time")
        for worker in self._workers():
            self._look_after(worker, now)
        ends = self._is_stopping or self._stop_at is not None
        if self._service.is_reloading and not ends and not any(slot.is_restarting for slot in self._slots):
            self._service.ready("Serving")
        if self._stop_at is not None and now >= self._stop_at:
            self._stop()

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

    # -- signals

    def _take_signals(self) -> None:
        for name in self._signals.take():
            handler = getattr(self, f"_on_{name.lower()}", None)
            ends = self._is_stopping or (self._stop_at is not None and name != "SIGTERM")
            if handler is not None and (not ends or name in ("SIGINT", "SIGQUIT")):
                handler()

    def _on_sigterm(self) -> None:
        logger.info("Received SIGTERM, exiting.")
        self._stop_after_delay()

    def _on_sigint(self) -> None:
        if self._is_stopping:
            self._hurry(signal.SIGINT, FORCED_SECONDS + MARGIN_SECONDS)
            return
        logger.info("Received SIGINT, exiting.")
        self._stop_after_delay()

    def _on_sigquit(self) -> None:
        logger.info("Received SIGQUIT, exiting at once.")
        self._stop(told=False)
        self._hurry(signal.SIGQUIT, QUIT_SECONDS)

    def _on_sighup(self) -> None:
        logger.info("Received SIGHUP, restarting processes.")
        self._service.reloading()
        try:
            generation = self._generation.renewed()
        except ConfigError as error:
            # The next turn tells the service manager that this is over.
            logger.error("%s", error)
            logger.error("Keeping the running processes.")
            return
        for name in generation.fixed_differences(self._generation):
            logger.warning("A new value of '%s' takes effect when the server is started anew.", name)
        self._abort_restart()
        self._next_generation = generation
        for slot in self._slots:
            if slot.replacement is not None:
                # Started with what was read before.
                slot.replacement.kill()
                self._ending.append(slot.replacement)
                slot.replacement = None
            slot.is_restarting = True
            if slot not in self._queue:
                self._queue.append(slot)
        if generation.config.workers != self._generation.config.workers:
            self._resize(generation.config.workers or 1)

    def _on_sigttin(self) -> None:
        logger.info("Received SIGTTIN, increasing the number of processes.")
        self._resize(len(self._slots) + 1)

    def _on_sigttou(self) -> None:
        logger.info("Received SIGTTOU, decreasing number of processes.")
        if len(self._slots) <= 1:
            logger.info("Already reached one process, cannot decrease the number of processes anymore.")
            return
        self._resize(len(self._slots) - 1)

    def _on_sigusr1(self) -> None:
        logger.info("Received SIGUSR1, reopening log files.")
        reopen_log_files()
        for worker in self._workers():
            worker.channel.send(REOPEN_LOGS)

    def _on_sigusr2(self) -> None:
        if self._successor is not None:
            logger.warning("Received SIGUSR2, but the new parent process [%d] runs already.", self._successor.pid)
            return
        logger.info("Received SIGUSR2, starting a new server on the same sockets.")
        environment = {**self._generation.base_environment, **self._service.for_successor()}
        self._service.make_room()
        try:
            self._successor = Successor(self._sockets.groups, environment)
        except OSError as error:
            logger.error("Cannot start a new server: %s", error)
            self._service.take_back()
            return
        _log_process("Started new parent process [%d]", self._successor.pid, bold=True)

    # -- the end

    def _stop_after_delay(self) -> None:
        """As `_stop`, after the `drain_delay`: unless it has begun, or others go on serving on the same sockets."""
        seconds = self._generation.config.drain_delay
        serves = any(worker.is_ready for worker in self._workers())
        if not seconds or self._stop_at is not None or not serves or self._successor is not None:
            self._stop()
            return
        log_drain_delay(seconds)
        self._service.stopping("Draining")
        self._abort_restart()
        self._queue.clear()
        self._stop_at = time.monotonic() + seconds
        for worker in self._workers():
            worker.channel.send(DRAIN)

    def _stop(self, told: bool = True) -> None:
        """Have all workers wind up. `told` False: the caller tells them."""
        if self._is_stopping:
            return
        self._is_stopping = True
        if self._successor is not None:
            self._service.hand_over(self._successor.pid)
        self._service.stopping("Stopping")
        self._queue.clear()
        for slot in self._slots:
            slot.start_at = slot.replace_at = None
        # Ours first: when the last worker closes its own, nobody waits in a queue that nobody will take.
        self._release_sockets()
        workers = list(self._workers())
        for worker in workers:
            if told:
                worker.terminate()
            worker.kill_at = _kill_at(worker)
            _log_process("Terminated child process [%d]", worker.pid)
        for worker in workers:
            _log_process("Waiting for child process [%d]", worker.pid)

    def _hurry(self, number: int, seconds: float) -> None:
        """Have workers end at once, and kill those that do not in `seconds`."""
        for worker in self._workers():
            if worker.is_ready:
                worker.is_ending = True
                worker.send_signal(number)
                worker.kill_at = time.monotonic() + seconds
            else:
                worker.kill()

    def _release_sockets(self) -> None:
        # Whoever took them over, or handed them over, still listens on the Unix socket of that name.
        self._sockets.close(keep_file=self._successor is not None or self._predecessor == os.getppid())
        if self._successor is not None:
            self._successor.leave()


def _kill_at(worker: WorkerProcess) -> float | None:
    """When a worker that begins to wind up now has had all its time; None for never."""
    timeout = worker.generation.config.timeout_graceful_shutdown
    return time.monotonic() + timeout + LAST_STEPS_SECONDS + MARGIN_SECONDS if timeout else None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _reap_strangers(known: set[int]) -> None:
    """As process 1 of a container: orphans of the application's are ours, and stay zombies until somebody asks for them."""
    if os.getpid() != 1:
        return
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is not None:
            if found.si_pid in known:
                # Ended a moment ago: the next turn's. It stands in front of the others.
                return
            os.waitpid(found.si_pid, 0)


def _log_process(text: str, process_id: int, bold: bool = False) -> None:
    shown = style("%d", "cyan", bold=bold)
    logger.info(text, process_id, extra={"color_message": text.replace("%d", shown)})
