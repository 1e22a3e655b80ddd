"""The supervisor: binds the sockets once, keeps them, and sees to it that the workers which accept on them are there and well.

It never imports the application. One turn of its loop: what signals and workers say, who has ended, whose time is up, who is
next to be replaced. What signals and events mean stands here; how workers are kept, and how replaced, in files of their own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Sequence

from ..base.errors import ConfigError
from .balance import Sockets
from .binding import log_listening
from .config import STARTUP_FAILURE
from .drain import log_drain_delay
from .generation import Generation
from .log_files import reopen_log_files
from .pool import MARGIN_SECONDS, STACK_SECONDS, WorkerPool, kill_at, log_process, signal_name
from .rolling_restart import RollingRestart
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

#: For workers to end that were told to end at once.
QUIT_SECONDS = 2.0
#: How much later than planned the loop goes on when this process has been stopped, and the workers most likely with it.
STOPPED_SECONDS = 1.0
#: The system does not wait for longer than 24 days, and says that it is asked for too much.
LONGEST_PAUSE_SECONDS = 86400.0


class Supervisor:
    """Serves with the workers of a generation until told to stop: `run()` returns an exit code.

    `sockets` are bound already, by a caller who has said so; without, the options say.
    """

    def __init__(self, generation: Generation, sockets: Sequence[socket.socket] = ()) -> None:
        self._given = [list(sockets)] if sockets else []
        self._first_generation = generation
        #: a worker was ready in every slot: who ends from now on has crashed, and has not failed to start
        self._was_up = False
        self._is_stopping = False
        #: when the delay between being told to end and ending is over, None before it has begun
        self._stop_at: float | None = None
        self._exit_code = 0
        self._service = Service(generation.config.pidfile, Notifier(os.environ))
        self._pool: WorkerPool
        self._restart: RollingRestart
        self._sockets: Sockets
        self._signals: SignalQueue
        self._selector: selectors.BaseSelector
        self._successor: Successor | None = None
        #: the server that has started this one on its sockets
        self._predecessor = 0

    def run(self) -> int:
        """Serve. Raises ConfigError for a configuration that needs what this platform has not."""
        generation, config = self._first_generation, self._first_generation.config
        with SignalQueue() as self._signals, selectors.DefaultSelector() as self._selector:
            inherited = self._given or inherited_sockets()
            for name in (VARIABLE, *NOTIFY_VARIABLES):
                generation.forget(name)
            self._predecessor = os.getppid() if inherited and not self._given else 0
            try:
                self._service.check()
                self._sockets = Sockets(config, inherited)
            except OSError as error:
                logger.error("%s", error)
                return STARTUP_FAILURE
            if not self._given:
                log_listening(config, self._sockets.all, bool(inherited))
            log_process("Started parent process [%d]", os.getpid(), bold=True)
            self._selector.register(self._signals, selectors.EVENT_READ, self._take_signals)
            self._pool = WorkerPool(generation, self._sockets, self._selector, self._listen)
            self._restart = RollingRestart(self._pool)
            try:
                self._resize(config.workers or 1)
                while not self._is_stopping or not self._pool.is_empty():
                    self._turn()
            finally:
                # Whatever has ended the loop: no worker is left, and no socket.
                self._pool.kill_all()
                self._release_sockets()
                self._sockets.remove_dead_files()
                self._service.end()
        log_process("Stopping parent process [%d]", os.getpid(), bold=True)
        return self._exit_code

    # -- one turn

    def _turn(self) -> None:
        began = time.monotonic()
        pause = self._pause_seconds(began)
        ready = self._selector.select(pause)
        now = time.monotonic()
        if pause is not None and now - began > pause + STOPPED_SECONDS:
            self._pool.forgive(now)
        for key, _events in ready:
            key.data()
        self._reap()
        self._look_after_all(time.monotonic())
        if not self._is_stopping:
            self._restart.go_on()
        self._service.beat(now)

    def _pause_seconds(self, now: float) -> float | None:
        """Until the next thing has to be done that nobody will tell us about; None: somebody will."""
        due = self._pool.due_at()
        due += [at for at in (self._service.beat_at, None if self._is_stopping else self._stop_at) if at is not None]
        return min(max(min(due) - now, 0.0), LONGEST_PAUSE_SECONDS) if due else None

    def _resize(self, count: int) -> None:
        """Have `count` slots. Workers of slots that are no more wind up."""
        try:
            self._restart.add(self._pool.resize(count))
        except OSError as error:
            logger.error("%s", error)

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
                self._restart.add_worker(slot, worker)
            elif message == LEAVING:
                self._is_leaving(worker, slot)
            elif message == ENDING_APPLICATION:
                worker.kill_at = kill_at(worker)
        if worker.channel.is_closed:
            self._pool.stop_listening(worker)

    def _became_ready(self, worker: WorkerProcess, slot: Slot, now: float) -> None:
        worker.ready_at = now
        worker.ready_by = None
        worker.heart.beat(now)
        count = self._pool.generation.config.workers
        self._restart.became_ready(worker, slot, now)
        if self._pool.generation.config.workers != count and not self._is_stopping:
            # Not at the SIGHUP: additional workers would have been started with what was read before it.
            self._resize(self._pool.generation.config.workers or 1)
        if self._stop_at is not None:
            worker.channel.send(DRAIN)
        slot.was_up = True
        if not self._was_up and all(slot.was_up for slot in self._pool.slots):
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
        slot.worker = None
        self._pool.let_go(worker)
        if slot in self._pool.slots:
            self._fill(slot, worker)

    # -- who has ended

    def _reap(self) -> None:
        for worker, slot in self._pool.ended_in_slots():
            self._ended(worker, slot)
        for worker in self._pool.reap_ending():
            self._restart.ended(worker)
        if self._successor is not None and self._successor.exit_code is not None and not self._is_stopping:
            logger.error("New parent process [%d] has ended, with exit code %d.", self._successor.pid, self._successor.exit_code)
            self._successor = None
            self._service.take_back()
        known = {worker.pid for worker in self._pool.workers()}
        _reap_strangers(known | ({self._successor.pid} if self._successor else set()))

    def _ended(self, worker: WorkerProcess, slot: Slot) -> None:
        code = worker.exit_code
        assert code is not None
        # What it has said last: that it was ready, perhaps.
        self._listen(worker, slot)
        worker.speak()
        self._pool.close(worker)
        if slot in self._pool.surplus or self._is_stopping:
            slot.forget(worker)
            return
        if worker is slot.replacement:
            self._restart.failed(slot, worker, "failed to start")
            return
        slot.worker = None
        if not self._was_up and not slot.was_up and code >= 0:
            if code == 0:
                # Nothing of ours does that.
                logger.error("Child process [%d] has ended by itself before it was ready, as what it imports can do.", worker.pid)
            logger.error("Child process [%d] failed to start, stopping the parent process.", worker.pid)
            self._exit_code = STARTUP_FAILURE
            self._stop()
            return
        self._crashed(worker, slot, code)

    def _crashed(self, worker: WorkerProcess, slot: Slot, code: int) -> None:
        if code < 0 and not worker.is_ending:
            logger.warning("Child process [%d] was ended by %s.", worker.pid, signal_name(-code))
        log_process("Child process [%d] died", worker.pid)
        self._fill(slot, worker)

    def _fill(self, slot: Slot, gone: WorkerProcess) -> None:
        """Start a worker in the place of one that is gone, at once or after a while; none where its replacement is on its way."""
        now = time.monotonic()
        wait = slot.crashes.crashed(now - gone.ready_at if gone.ready_at is not None else 0)
        if slot.replacement is not None:
            return
        if wait:
            logger.warning("Child processes end soon after they have started. Starting the next one in %g seconds.", wait)
            slot.start_at = now + wait
        else:
            self._pool.fill(slot)

    # -- whose time is up

    def _look_after_all(self, now: float) -> None:
        for slot in self._pool.slots:
            if slot.start_at is not None and now >= slot.start_at and not self._is_stopping:
                self._pool.fill(slot)
        self._restart.look_after(now)
        self._pool.look_after(now)
        ends = self._is_stopping or self._stop_at is not None
        if self._service.is_reloading and not ends and not self._restart.is_going_on:
            self._service.ready("Serving")
        if self._stop_at is not None and now >= self._stop_at:
            self._stop()

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
            self._pool.hurry(signal.SIGINT, FORCED_SECONDS + MARGIN_SECONDS)
            return
        logger.info("Received SIGINT, exiting.")
        self._stop_after_delay()

    def _on_sigquit(self) -> None:
        logger.info("Received SIGQUIT, exiting at once.")
        self._stop(is_told=True)
        self._pool.hurry(signal.SIGQUIT, QUIT_SECONDS)

    def _on_sighup(self) -> None:
        logger.info("Received SIGHUP, restarting processes.")
        self._service.reloading()
        try:
            generation = self._pool.generation.renewed()
        except ConfigError as error:
            # The next turn tells the service manager that this is over.
            logger.error("%s", error)
            logger.error("Keeping the running processes.")
            return
        for name in generation.fixed_differences(self._pool.generation):
            logger.warning("A new value of '%s' takes effect when the server is started anew.", name)
        self._restart.replace_all(generation)

    def _on_sigttin(self) -> None:
        logger.info("Received SIGTTIN, increasing the number of processes.")
        self._resize(len(self._pool.slots) + 1)

    def _on_sigttou(self) -> None:
        logger.info("Received SIGTTOU, decreasing number of processes.")
        if len(self._pool.slots) <= 1:
            logger.info("Already reached one process, cannot decrease the number of processes anymore.")
            return
        self._resize(len(self._pool.slots) - 1)

    def _on_sigusr1(self) -> None:
        logger.info("Received SIGUSR1, reopening log files.")
        reopen_log_files()
        self._pool.tell(REOPEN_LOGS)

    def _on_sigusr2(self) -> None:
        if self._successor is not None:
            logger.warning("Received SIGUSR2, but the new parent process [%d] runs already.", self._successor.pid)
            return
        logger.info("Received SIGUSR2, starting a new server on the same sockets.")
        environment = {**self._pool.generation.base_environment, **self._service.for_successor()}
        self._service.make_room()
        try:
            self._successor = Successor(self._sockets.groups, environment)
        except OSError as error:
            logger.error("Cannot start a new server: %s", error)
            self._service.take_back()
            return
        log_process("Started new parent process [%d]", self._successor.pid, bold=True)

    # -- the end

    def _stop_after_delay(self) -> None:
        """As `_stop`, after the `drain_delay`: unless it has begun, or others go on serving on the same sockets."""
        seconds = self._pool.generation.config.drain_delay
        serves = any(worker.is_ready for worker in self._pool.workers())
        if not seconds or self._stop_at is not None or not serves or self._others_serve():
            self._stop()
            return
        log_drain_delay(seconds)
        self._service.stopping("Draining")
        self._restart.abort()
        self._restart.clear()
        self._stop_at = time.monotonic() + seconds
        self._pool.tell(DRAIN)

    def _others_serve(self) -> bool:
        """Whether another server accepts on the same sockets: one that has taken them over, or one that has handed them over."""
        return self._successor is not None or self._has_predecessor()

    def _has_predecessor(self) -> bool:
        return self._predecessor != 0 and self._predecessor == os.getppid()

    def _stop(self, is_told: bool = False) -> None:
        """Have all workers wind up. `is_told`: the caller tells them."""
        if self._is_stopping:
            return
        self._is_stopping = True
        if self._successor is not None:
            self._service.hand_over(self._successor.pid)
        if not self._has_predecessor():
            # Else the service goes on: it would be ended if it were said to stop.
            self._service.stopping("Stopping")
        tell = WorkerProcess.retire if self._others_serve() else WorkerProcess.terminate
        self._restart.clear()
        # Ours first: when the last worker closes its own, nobody waits in a queue that nobody will take.
        self._release_sockets()
        self._pool.end_all(None if is_told else tell)

    def _release_sockets(self) -> None:
        # Whoever took them over, or handed them over, still listens on the Unix socket of that name.
        self._sockets.close(keep_file=self._others_serve())
        if self._successor is not None:
            self._successor.leave()


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
