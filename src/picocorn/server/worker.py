"""What runs in a worker process: takes over the sockets, serves, shows that it lives, and winds up when it is told to.

Started by the supervisor, by spawn, with all it needs as arguments; knows the supervisor only as the other end of a channel.
"""

from __future__ import annotations

import asyncio
import contextvars
import faulthandler
import logging
import os
import signal
import socket
import sys
import time
from types import FrameType

from ..base.errors import ConfigError
from ..transport.sharing import Share
from .balance import files_of
from .config import STARTUP_FAILURE, Config
from .drain import LATE_SECONDS, wind_down
from .health import heartbeat_seconds
from .log_files import reopen_log_files
from .recycling import RecyclingLimits
from .run import serve_here
from .server import Server
from .service import Service
from .worker_channel import BEAT, DRAIN, ENDING_APPLICATION, LEAVING, READY, RECYCLE, REOPEN_LOGS, RETIRE, WorkerEnd

__all__ = ["STACK_SIGNAL", "WorkerServer", "work"]

logger = logging.getLogger("picocorn.error")

#: Has a worker write its main thread's stack to the supervisor, whatever it is doing.
STACK_SIGNAL = getattr(signal, "SIGUSR2", None)
#: Signals that are for the supervisor, and would end a worker that gets them as a member of the same process group.
_FOR_THE_SUPERVISOR = ("SIGHUP", "SIGTTIN", "SIGTTOU", "SIGUSR1", "SIGWINCH")
#: For what still runs when the supervisor is gone, unless there is a timeout: nobody is left who could end it the hard way.
ABANDONED_SECONDS = 30


class WorkerServer(Server):
    """A server whose limits ask for a replacement rather than end it."""

    def __init__(self, config: Config, channel: WorkerEnd) -> None:
        super().__init__(config)
        # It is the supervisor's process that others are told about.
        self.service = Service()
        self._channel = channel
        self._beat_seconds = heartbeat_seconds(config.timeout_worker_healthcheck, config.timeout_worker_hung)
        self._limits = RecyclingLimits(self.limit_max_requests, config.limit_worker_lifetime, int(config.limit_worker_rss or 0))
        self._is_exhausted = False
        self._is_retired = False
        self._is_abandoned = False
        self._serving_loop: asyncio.AbstractEventLoop | None = None

    # -- asked by the supervisor

    def told(self, message: str) -> None:
        """Do what the supervisor says. Called in a thread of the channel's."""
        if message == REOPEN_LOGS:
            reopen_log_files()
        elif self._serving_loop is None:
            # Not ready yet. The supervisor says it again when it is.
            return
        elif message == RETIRE:
            self._serving_loop.call_soon_threadsafe(self._retire)
        elif message == DRAIN:
            self._serving_loop.call_soon_threadsafe(self._drain)

    def abandoned(self) -> None:
        """The supervisor is gone: wind up as for a SIGTERM, but not for ever. Called in a thread of the channel's."""
        self._is_abandoned = True
        self.config.timeout_graceful_shutdown = self.config.timeout_graceful_shutdown or ABANDONED_SECONDS
        os.kill(os.getpid(), signal.SIGTERM)

    def quit(self, number: int, frame: FrameType | None) -> None:
        """End at once: the handler of SIGQUIT."""
        self.force_exit = True
        self.should_exit = True

    def _retire(self) -> None:
        self._is_retired = True
        # The way of signals, which libraries watch and which has a watchdog.
        self._signalled(signal.SIGTERM, None)

    def _drain(self) -> None:
        self.server_state.winding_down = self.server_state.draining = True

    # -- what differs from a server alone

    def has_drain_delay(self) -> bool:
        """It is the supervisor who waits, and tells us when it begins to."""
        return False

    def leaves_service(self) -> bool:
        """Not if another worker has taken our place: load balancers shall stay."""
        return not self._is_retired

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As for any server; then the supervisor is told, and the heartbeats begin."""
        await super().startup(sockets=sockets)
        if self.started:
            self._serving_loop = asyncio.get_running_loop()
            self._channel.send(READY)
            # In an empty context: the one of the lifespan is none of its business.
            contextvars.Context().run(self._beat)

    def _beat(self) -> None:
        self._channel.send(BEAT)
        asyncio.get_running_loop().call_later(self._beat_seconds, self._beat)

    def has_reached_its_limit(self) -> bool:
        """Ask for a replacement, once, and serve on: it is the supervisor who ends this one."""
        if not self._is_exhausted:
            exceeded = self._limits.exceeded(self.server_state.total_requests)
            if exceeded:
                self._is_exhausted = True
                logger.warning("%s Terminating process.", exceeded)
                self._channel.send(RECYCLE)
        return False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As for any server; one that was replaced lets its idle connections ask once more before it closes them."""
        self._channel.send(LEAVING)
        files = files_of(self.config, sockets or ())
        await super().shutdown(sockets=sockets)
        if self._is_abandoned:
            # It cannot do that any more: whoever is the last of us does.
            for file in files:
                file.remove_if_dead()

    async def shutdown_lifespan(self, timeout_seconds: float | None) -> None:
        """See Server."""
        # It has as much time as the requests had.
        self._channel.send(ENDING_APPLICATION)
        await super().shutdown_lifespan(timeout_seconds)

    async def let_clients_know(self, timeout_seconds: float | None) -> float | None:
        """See Server."""
        if not self._is_retired:
            return await super().let_clients_know(timeout_seconds)
        # As long as they could have stayed idle anyway. They get an answer that announces the close, or idle out: nobody's
        # request meets a closed connection that would not have met one without the replacement.
        seconds = self.config.timeout_keep_alive + LATE_SECONDS
        if timeout_seconds:
            seconds = min(seconds, timeout_seconds)
        began = time.monotonic()
        await wind_down(self.server_state, seconds, lambda: self.force_exit)
        return max(timeout_seconds - (time.monotonic() - began), LATE_SECONDS) if timeout_seconds else timeout_seconds


def work(config: Config, sockets: list[socket.socket], line: socket.socket, share: Share | None) -> None:
    """Serve on `sockets` until told to stop, over `line` or by a signal. Exits as `run()` does. `share` is that of the sockets.

    To be called in the main thread of a spawned process, with SIGINT blocked.
    """
    for sock in (*sockets, line):
        # They came by inheritance; programs that the application runs shall not get them too.
        sock.set_inheritable(False)
    channel = WorkerEnd(line)
    try:
        config.configure_logging()
        server = WorkerServer(config, channel)
        server.share = share
        _take_signals(server)
        if sys.stderr is not None:
            faulthandler.enable()
        if STACK_SIGNAL is not None:
            faulthandler.register(STACK_SIGNAL, file=channel, all_threads=False, chain=False)
        channel.listen(server.told, server.abandoned)
        # A Ctrl+C that came meanwhile is delivered here.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        serve_here(server, sockets)
    except KeyboardInterrupt:
        pass
    except ConfigError as error:
        logger.error("%s", error)
        sys.exit(STARTUP_FAILURE)


def _take_signals(server: WorkerServer) -> None:
    # Handlers rather than SIG_IGN, which programs run by the application would inherit.
    for name in _FOR_THE_SUPERVISOR:
        signal.signal(getattr(signal, name), _ignore)
    signal.signal(signal.SIGQUIT, server.quit)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Nothing to do: the supervisor gets this signal too."""
