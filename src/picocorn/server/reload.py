"""The reloader: binds the sockets once, runs the application in a process of its own, and starts that anew when files change.

It never imports the application, so nothing that stands in its files can end the reloader. Whatever the application does, its
process is gone after a bounded time: somebody sits there and waits for what they have just saved.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..base.errors import ConfigError
from .binding import Listening, log_listening, own_sockets
from .config import STARTUP_FAILURE, Config
from .drain import CANCEL_SECONDS, DISCONNECT_SECONDS
from .formatters import style
from .generation import Generation
from .log_files import reopen_log_files
from .reload_child import run_target, work_at_terminal
from .reload_filter import FileFilter
from .reload_settings import read_files
from .reload_watch import Tree, Watch, choose_notifier
from .service import Service
from .signals import end_process, flush_output
from .supervisor_signals import SignalQueue
from .systemd import NOTIFY_VARIABLES, Notifier
from .worker_channel import ENDING_APPLICATION, LEAVING, READY, RECYCLE, REOPEN_LOGS
from .worker_process import WorkerProcess

__all__ = ["Reloader"]

logger = logging.getLogger("picocorn.error")

#: For running requests to end, at most: a stream ends when it is told to, and not before.
GRACE_SECONDS = 1.0
#: For the event loop to notice that it is told to end. One that does not is blocked.
NOTICE_SECONDS = 2.0
#: For a blocked process to write its stack.
STACK_SECONDS = 0.5
#: For the steps at the end of a server that have times of their own, and a busy machine.
MARGIN_SECONDS = 1.0
#: For the application's shutdown.
APPLICATION_SECONDS = 5.0
#: For a target of somebody else's to end. It does not tell us how far it is.
TARGET_SECONDS = 5.0
#: A terminal's CTRL+C comes twice where what has started us passes it on.
ECHO_SECONDS = 0.25
#: So many changed files are named in the log.
NAMED_FILES = 10


class Reloader:
    """Serves the application of a generation until told to stop: `run()` returns an exit code.

    `sockets` are bound already, by a caller who has said so; without, the options say. `target(sockets=...)` is called in the
    process of the application; without, that is a worker's. Raises ConfigError where there is no way to reload.
    """

    def __init__(
        self, generation: Generation, sockets: Sequence[socket.socket] = (), target: Callable[..., Any] | None = None
    ) -> None:
        if os.name != "posix":
            raise ConfigError("Invalid value for '--reload': it needs a POSIX system.")
        self._generation = generation
        self._in_child: Any = work_at_terminal if target is None else functools.partial(run_target, target)
        self._notice_seconds = NOTICE_SECONDS if target is None else TARGET_SECONDS
        self._given = list(sockets)
        self._listening = Listening()
        self._child: WorkerProcess | None = None
        #: the child winds up: it has said so
        self._is_leaving = False
        #: the child is asked for its stack, which is the last thing that it does
        self._was_asked = False
        #: when there is no child, one is to be started
        self._starts_next = True
        #: the signal that ends it all, 0 before that
        self._ended_by = 0
        self._ended_at = 0.0
        self._exit_code = 0
        self._service = Service(generation.config.pidfile, Notifier(os.environ))
        self._was_up = False
        self._watch: Watch
        self._signals: SignalQueue
        self._selector: selectors.BaseSelector

    def run(self) -> int:
        """Serve. A SIGHUP ends the process as without a handler, once all is cleared away."""
        config = self._generation.config
        for name in NOTIFY_VARIABLES:
            self._generation.forget(name)
        # nohup asks for that.
        ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        with SignalQueue() as self._signals, selectors.DefaultSelector() as self._selector:
            try:
                self._service.check()
                if not self._given:
                    self._listening = own_sockets(config)
                for sock in self._given or self._listening.sockets:
                    # Not the child: who comes before it is there, or when it cannot start, waits and is not refused.
                    sock.listen(config.backlog)
            except OSError as error:
                logger.error("%s", error)
                self._listening.close()
                return STARTUP_FAILURE
            if not self._given:
                log_listening(config, self._listening.sockets)
            self._watch = _watch_for(config)
            try:
                self._loop(ignores_hangup)
            finally:
                self._leave_nothing()
        _log_process("Stopping reloader process [%d]", os.getpid())
        if self._ended_by == signal.SIGHUP:
            flush_output()
            end_process(signal.SIGHUP)
        return self._exit_code

    def _loop(self, ignores_hangup: bool) -> None:
        _log_process("Started reloader process [%d] using %s", os.getpid(), self._watch.name)
        self._selector.register(self._signals, selectors.EVENT_READ, lambda: self._take_signals(ignores_hangup))
        self._selector.register(self._watch, selectors.EVENT_READ, self._take_changes)
        while not self._ended_by or self._child is not None:
            if self._child is None and self._starts_next:
                self._start()
            now = time.monotonic()
            due = [at for at in (self._service.beat_at, self._kill_at()) if at is not None]
            for key, _events in self._selector.select(max(min(due) - now, 0.0) if due else None):
                key.data()
            self._reap()
            self._look_after_child(time.monotonic())
            self._service.beat(time.monotonic())

    def _leave_nothing(self) -> None:
        """Whatever has ended the loop: no process is left, and no socket."""
        if self._child is not None:
            self._child.kill()
        self._watch.close()
        self._listening.close()
        for sock in self._given:
            sock.close()
        self._service.end()

    # -- changes

    def _take_changes(self) -> None:
        paths = self._watch.take()
        if not paths or self._ended_by:
            return
        if not self._starts_next:
            # Otherwise the next one has not been started yet, and will see these changes too.
            logger.warning("%s detected changes in %s. Reloading...", self._watch.name, _shown(paths))
        others = set(paths).difference(read_files(self._generation.config))
        if len(others) < len(paths) and not self._renew() and not others:
            return
        self._restart()

    def _renew(self) -> bool:
        """Read anew what the server itself reads. Returns whether it can be used."""
        try:
            generation = self._generation.renewed()
        except ConfigError as error:
            logger.error("%s", error)
            logger.error("Going on with what was read before.")
            return False
        for name in generation.fixed_differences(self._generation):
            logger.warning("A new value of '%s' takes effect when the server is started anew.", name)
        before, self._generation = self._generation, generation
        if _watched(generation.config) != _watched(before.config):
            self._selector.unregister(self._watch)
            self._watch.close()
            self._watch = _watch_for(generation.config)
            self._selector.register(self._watch, selectors.EVENT_READ, self._take_changes)
        return True

    def _restart(self) -> None:
        if self._was_up:
            self._service.reloading()
        self._starts_next = True
        self._end_child()

    # -- the child

    def _start(self) -> None:
        self._starts_next = False
        self._is_leaving = self._was_asked = False
        sockets = self._given or self._listening.sockets
        try:
            self._child = WorkerProcess(_hurried(self._generation), sockets, None, self._in_child)
        except OSError as error:
            logger.error("Cannot start a child process: %s", error)
            _log_waiting()
            return
        self._selector.register(self._child.channel, selectors.EVENT_READ, self._listen)

    def _listen(self) -> None:
        child = self._child
        if child is None:
            return
        messages, text = child.channel.receive()
        now = time.monotonic()
        if text:
            child.hear(text, now + STACK_SECONDS)
        for message in messages:
            if message == READY:
                child.ready_at = now
                self._became_ready()
            elif message == LEAVING:
                self._is_leaving = True
                # Also when somebody else has told it to end.
                child.is_ending = True
                timeout = _grace_seconds(self._generation.config)
                child.kill_at = now + timeout + DISCONNECT_SECONDS + CANCEL_SECONDS + MARGIN_SECONDS
            elif message == ENDING_APPLICATION:
                child.kill_at = now + APPLICATION_SECONDS
            elif message == RECYCLE:
                self._restart()
        if child.channel.is_closed:
            with contextlib.suppress(KeyError):
                self._selector.unregister(child.channel)

    def _became_ready(self) -> None:
        if not self._was_up:
            self._was_up = True
            try:
                self._service.listening()
            except OSError as error:
                logger.error("%s", error)
                self._exit_code = STARTUP_FAILURE
                self._end(signal.SIGTERM)
                return
        if not self._ended_by:
            self._service.ready("Serving")

    def _end_child(self) -> None:
        if self._child is not None and not self._child.is_ending:
            self._child.terminate()
            self._child.kill_at = time.monotonic() + self._notice_seconds

    def _kill_at(self) -> float | None:
        return None if self._child is None else self._child.kill_at

    def _look_after_child(self, now: float) -> None:
        child = self._child
        if child is None or child.kill_at is None or now < child.kill_at:
            return
        if child.is_ready and not self._is_leaving and not self._was_asked and child.ask_for_stack():
            self._was_asked = True
            child.kill_at = now + STACK_SECONDS
            return
        logger.error("Child process [%d] did not end in time. Killing it.", child.pid)
        child.speak()
        child.kill()

    def _reap(self) -> None:
        child = self._child
        if child is None or child.exit_code is None:
            return
        # What it has said last: that it was ready, perhaps, and has reached a limit.
        self._listen()
        child.speak()
        self._child = None
        with contextlib.suppress(KeyError):
            self._selector.unregister(child.channel)
        # Somebody else's target does not tell us.
        code, was_ready = child.exit_code, child.is_ready or self._in_child is not work_at_terminal
        child.close()
        if self._ended_by or self._starts_next:
            return
        logger.error("Child process [%d] %s.", child.pid, _how_it_ended(code, was_ready))
        _log_waiting()

    # -- signals

    def _take_signals(self, ignores_hangup: bool) -> None:
        for name in self._signals.take():
            if name in ("SIGINT", "SIGTERM", "SIGQUIT") or (name == "SIGHUP" and not ignores_hangup):
                self._end(signal.Signals[name])
            elif name == "SIGUSR1":
                logger.info("Received SIGUSR1, reopening log files.")
                reopen_log_files()
                if self._child is not None:
                    self._child.channel.send(REOPEN_LOGS)

    def _end(self, number: int) -> None:
        """End: gracefully, and at once when told a second time."""
        now = time.monotonic()
        told_again = self._ended_by and now > self._ended_at + ECHO_SECONDS
        if (told_again or number == signal.SIGQUIT) and self._child is not None:
            self._child.kill()
        if not self._ended_by:
            self._ended_by, self._ended_at = number, now
        self._service.stopping("Stopping")
        # Before the child's own: when that closes them, nobody waits in a queue that nobody will take.
        self._listening.close()
        self._end_child()


def _watched(config: Config) -> tuple[Any, ...]:
    """What decides on where to look, and for what."""
    return config.reload_dirs, config.reload_includes, config.reload_excludes, config.reload_delay, read_files(config)


def _watch_for(config: Config) -> Watch:
    roots = [os.path.realpath(path) for path in config.reload_dirs or [os.getcwd()]]
    wanted = FileFilter(config.reload_includes or (), config.reload_excludes or ())
    tree = Tree(roots, wanted, read_files(config))
    return Watch(tree, choose_notifier(config.reload_delay), config.reload_delay)


def _grace_seconds(config: Config) -> float:
    return min(config.timeout_graceful_shutdown or GRACE_SECONDS, GRACE_SECONDS)


def _hurried(generation: Generation) -> Generation:
    """The same, with little time for requests to end."""
    hurried = copy.copy(generation)
    hurried.config = copy.copy(generation.config)
    hurried.config.timeout_graceful_shutdown = _grace_seconds(generation.config)
    return hurried


def _shown(paths: Sequence[str]) -> str:
    here = os.getcwd() + os.sep
    shown = ", ".join(f"'{path.removeprefix(here)}'" for path in paths[:NAMED_FILES])
    more = len(paths) - NAMED_FILES
    return f"{shown} and {more} more" if more > 0 else shown


def _how_it_ended(code: int, was_ready: bool) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"was ended by {signal.Signals(-code).name}"
        return f"was ended by signal {-code}"
    return f"has ended, with exit code {code}" if was_ready else f"could not start: exit code {code}"


def _log_waiting() -> None:
    logger.info("Waiting for changes to start it again.")


def _log_process(text: str, process_id: int, *values: str) -> None:
    shown = text.replace("%d", style("%d", "cyan", bold=True)).replace("%s", style("%s", "cyan", bold=True))
    logger.info(text, process_id, *values, extra={"color_message": shown})
