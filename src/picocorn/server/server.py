"""The server: started, ticking while there is something to do, ended. Its methods are uvicorn's, and are meant to be overridden.

Knows the configuration, the listeners and signals; what a connection does is the connection's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Iterator
from email.utils import formatdate
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..asgi.lifespan import LifespanOff, LifespanOn
from ..base.errors import ImportFromStringError
from .binding import Listening, log_listening, own_sockets
from .config import STARTUP_FAILURE, Config
from .drain import LAST_STEPS_SECONDS, drain, log_drain_delay, wind_down
from .formatters import style
from .listeners import ServerState, close_listeners, open_listeners
from .log_shortcut import LineShortcut
from .service import Service
from .signals import HANDLED_SIGNALS, Watchdog, flush_output, handlers, on_hangup

if TYPE_CHECKING:
    from ..transport.sharing import Share

__all__ = ["HANDLED_SIGNALS", "STARTUP_FAILURE", "Server", "ServerState"]

logger = logging.getLogger("picocorn.error")

TICK_SECONDS = 0.1
TICKS_PER_SECOND = 10
#: Between being told to end and ending.
SETTLE_SECONDS = 0.05
#: The counter of ticks starts anew once a day.
TICKS_PER_DAY = 864000
#: For a listener to close once its connections have.
CLOSE_SECONDS = 0.5
#: For a second Ctrl+C to do without the watchdog.
FORCED_SECONDS = 5.0


class Server:
    """One server. `run()` serves until told to stop; `await serve()` does on a loop that runs already.

    `should_exit = True` from any thread ends it gracefully, `force_exit = True` at once; `started` says that it listens.
    """

    #: the loop that it serves on, while it does
    _loop: asyncio.AbstractEventLoop | None = None
    _should_exit = False
    _woken: asyncio.Event
    #: its place among processes that accept on the same sockets
    share: Share | None = None

    def __init__(self, config: Config) -> None:
        self.config = config
        self.server_state = ServerState()
        self.started = False
        self.should_exit = False
        self.force_exit = False
        self.last_notified = 0.0
        #: objects like asyncio.Server, one for each listening socket
        self.servers: list[Any] = []
        self.lifespan: LifespanOn | LifespanOff
        self._captured_signals: list[int] = []
        self._watchdog = Watchdog()
        #: sockets of our own, if we have bound them
        self._listening = Listening()
        #: what is told of this process; `run()` has the service manager told as well
        self.service = Service(config.pidfile)
        #: there is a delay between being told to end and ending, and nobody has cut it short
        self._may_delay = False
        self._log_shortcut: LineShortcut | None = None

    def __getstate__(self) -> dict[str, Any]:
        """One that has not run yet can be handed to another process, as programs do that start their own anew at changes."""
        return {name: value for name, value in vars(self).items() if name != "server_state"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.server_state = ServerState()

    @property
    def should_exit(self) -> bool:
        """Whether the server is to end."""
        return self._should_exit

    @should_exit.setter
    def should_exit(self, value: bool) -> None:
        self._should_exit = value
        if value and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to wake
                self._loop.call_soon_threadsafe(self._wake_soon)

    @functools.cached_property
    def limit_max_requests(self) -> int | None:
        """Requests after which the server ends: the option and a random part of its jitter, drawn once."""
        limit = self.config.limit_max_requests
        return None if limit is None else limit + random.randint(0, self.config.limit_max_requests_jitter)

    # -- from start to end

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on an event loop of its own until told to stop. `sockets` are bound already; without, the options say."""
        loop_factory = self.config.get_loop_factory()
        runner = asyncio.Runner(loop_factory=loop_factory)
        try:
            runner.run(self.serve(sockets=sockets))
        finally:
            timeout = self.config.timeout_graceful_shutdown
            if self._captured_signals and timeout:
                # Closing waits for threads, and for tasks that swallow their cancellation.
                self._watchdog.arm(timeout + LAST_STEPS_SECONDS, self._captured_signals[0], "Closing the event loop")
            runner.close()
            self._watchdog.disarm()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve on the running loop. In the main thread, signals end it; they are raised anew once it has ended."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.capture_signals())
            if self.config.is_ssl:
                loop = asyncio.get_running_loop()
                stack.enter_context(on_hangup(lambda: loop.call_soon_threadsafe(self._reload_certificates)))
            try:
                await self._serve(sockets)
            finally:
                # However it ends: cancelled by what an application has raised through the loop, too.
                self._close_access_log()
                self.service.end()

    async def _serve(self, sockets: list[socket.socket] | None = None) -> None:
        process_id = os.getpid()
        if not self.config.loaded:
            self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        _log_process("Started server process [%d]", process_id)
        await self.startup(sockets=sockets)
        if not self.should_exit:
            await self.main_loop()
            await self.shutdown(sockets=sockets)
        elif self.started:
            await self.shutdown(sockets=sockets)
        else:
            return
        _log_process("Finished server process [%d]", process_id)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Run the application's start-up, then listen. Exits (3) if it cannot listen, after the application's shutdown."""
        self.server_state.winding_down = self.server_state.draining = False
        try:
            self.service.check()
        except OSError as error:
            logger.error("%s", error)
            sys.exit(STARTUP_FAILURE)
        await self.lifespan.startup()
        if self.lifespan.should_exit:
            self.should_exit = True
            return
        self._refresh_default_headers()
        try:
            await self._listen(sockets)
        except (OSError, ImportFromStringError) as error:
            logger.error("%s", error)
            self._listening.remove_files()
            for opened in (*self.servers, *(sockets or ())):
                opened.close()
            self._listening.close()
            await self.lifespan.shutdown()
            sys.exit(STARTUP_FAILURE)
        self.started = True
        # One that was told to end while it started has served nobody.
        self._may_delay = self.has_drain_delay() and not self.should_exit
        self.service.ready("Serving")
        self.service.beat_on(asyncio.get_running_loop())

    async def _listen(self, sockets: list[socket.socket] | None) -> None:
        if sockets is None:
            self._listening = own_sockets(self.config)
        listening = self._listening.sockets if sockets is None else sockets
        self._log_shortcut = LineShortcut(asyncio.get_running_loop())
        self.servers = await open_listeners(
            self.config, self.server_state, self.lifespan.state, listening, self._log_shortcut, self.share
        )
        self.service.listening()
        if sockets is None:
            # Who brings sockets along has said so when they were bound.
            log_listening(self.config, listening)

    async def main_loop(self) -> None:
        """Tick until `on_tick` says that it is time to end."""
        # Before the loop, which says that it is there. A new one each time: a server may serve again, on another loop.
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        counter = 0
        requests = -1
        should_exit = await self.on_tick(counter)
        while not should_exit:
            is_idle = requests == self.server_state.total_requests and self.limit_max_requests is None
            requests = self.server_state.total_requests
            # A server that does nothing costs nothing: it looks up once a second, for the date, and when told to end.
            ticks = TICKS_PER_SECOND - counter % TICKS_PER_SECOND if is_idle else 1
            counter = (counter + ticks) % TICKS_PER_DAY
            await self._pause(ticks * TICK_SECONDS)
            should_exit = await self.on_tick(counter)

    def _announce_end(self) -> None:
        # Every answer from now on announces that its connection closes: who has read that does not ask here again.
        self.server_state.winding_down = True
        if self.leaves_service():
            self.server_state.draining = True

    def _wake_soon(self) -> None:
        self._announce_end()
        # What has arrived by now is accepted and read first: a request that was sent before the signal is answered.
        asyncio.get_running_loop().call_later(SETTLE_SECONDS, self._woken.set)

    async def _pause(self, seconds: float) -> None:
        self._woken.clear()
        if self.should_exit:
            return
        # Not wait_for(), which is a task on Python 3.11: people count the tasks of their process.
        timeout = asyncio.get_running_loop().call_later(seconds, self._woken.set)
        try:
            await self._woken.wait()
        finally:
            timeout.cancel()

    async def on_tick(self, counter: int) -> bool:
        """What happens ten times a second while requests come, else once; `counter` is the tenths of seconds since the start.

        Returns whether the server shall end.
        """
        if counter % TICKS_PER_SECOND == 0:
            await self._each_second()
        return self.should_exit or self.has_reached_its_limit()

    async def _each_second(self) -> None:
        self._refresh_default_headers()
        if self.config.callback_notify is not None:
            now = time.time()
            if now - self.last_notified > self.config.timeout_notify:
                self.last_notified = now
                await self.config.callback_notify()

    def has_reached_its_limit(self) -> bool:
        """Whether the server has done all that `limit_max_requests` lets it do."""
        limit = self.limit_max_requests
        if limit is None or self.server_state.total_requests < limit:
            return False
        logger.warning("Maximum request limit of %d exceeded. Terminating process.", limit)
        return True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, let what runs finish, end what does not, then run the application's shutdown.

        Before all that, serve on for the `drain_delay`.
        """
        self.service.stopping("Draining" if self._may_delay else "Stopping")
        await self._let_load_balancers_know()
        logger.info("Shutting down")
        self._listening.remove_files()
        await close_listeners(self.servers)
        for sock in sockets or ():
            sock.close()
        self._listening.close()
        timeout = await self.let_clients_know(self.config.timeout_graceful_shutdown)
        await drain(self.server_state, timeout, lambda: self.force_exit)
        for server in self.servers:
            with contextlib.suppress(TimeoutError):
                # asyncio's own servers wait for their connections too, from Python 3.12 on; these have been waited for.
                await asyncio.wait_for(server.wait_closed(), CLOSE_SECONDS)
        if not self.force_exit:
            await self.shutdown_lifespan(self.config.timeout_graceful_shutdown)
        self._close_access_log()
        self.service.end()

    async def _let_load_balancers_know(self) -> None:
        """Serve on for the `drain_delay`, with health checks failing and closes announced. A second signal cuts it short."""
        self._announce_end()
        if self._may_delay:
            log_drain_delay(self.config.drain_delay)
        ends_at = time.monotonic() + self.config.drain_delay
        tenths = 0
        while self._may_delay and not self.force_exit and time.monotonic() < ends_at:
            await asyncio.sleep(TICK_SECONDS)
            tenths += 1
            if tenths % TICKS_PER_SECOND == 0:
                await self._each_second()
        self._may_delay = False

    def has_drain_delay(self) -> bool:
        """Whether it is for this server to wait for the `drain_delay`."""
        return self.config.drain_delay > 0

    def leaves_service(self) -> bool:
        """Whether nobody takes the place of this server when it ends."""
        return True

    async def let_clients_know(self, timeout_seconds: float | None) -> float | None:
        """Have answers announce the end for a moment, before connections are closed. Returns what is left of the timeout."""
        await wind_down(self.server_state, SETTLE_SECONDS, lambda: self.force_exit)
        return timeout_seconds

    async def shutdown_lifespan(self, timeout_seconds: float | None) -> None:
        """Run the application's shutdown. If signals have asked for the end, the process ends when it does not."""
        if self._watchdog.armed and timeout_seconds:
            # It gets as much time as the requests had.
            self._watchdog.disarm()
            self._watchdog.arm(timeout_seconds + LAST_STEPS_SECONDS, self._captured_signals[0], "The application's shutdown")
        await self.lifespan.shutdown()

    # -- signals

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Have `handle_exit` called for signals until the block ends, then raise them for whoever handled them before.

        So a process that SIGTERM has ended says so to its parent: exit code 143.
        """
        with handlers(self._signalled):
            try:
                yield
            finally:
                self._watchdog.disarm()
        # Last in, first out: for two signals the first decides how the process ends.
        for captured in reversed(self._captured_signals):
            flush_output()
            signal.raise_signal(captured)

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        # A method of its own, so that `handle_exit` is looked up when the signal comes: libraries replace it on the class.
        could_delay = self._may_delay
        self.handle_exit(number, frame)
        forced = self.force_exit
        timeout = self.config.timeout_graceful_shutdown
        if not self._captured_signals or not (timeout or forced):
            return
        if forced or could_delay or not self._watchdog.armed:
            delay = self.config.drain_delay if self._may_delay else 0
            seconds = FORCED_SECONDS if forced else delay + (timeout or 0) + LAST_STEPS_SECONDS
            self._watchdog.arm(seconds, self._captured_signals[0], "Graceful shutdown")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal: the first asks for a graceful end, a second SIGINT for an immediate one.

        During the `drain_delay`, the second one of either kind ends the delay, and no more.
        """
        self._captured_signals.append(sig)
        if self.should_exit and self._may_delay:
            self._may_delay = False
        elif self.should_exit and sig == signal.SIGINT:
            self.force_exit = True
        else:
            self.should_exit = True

    # -- smaller things

    def _reload_certificates(self) -> None:
        if self.started and not self.should_exit:
            self.service.reloading()
            self.config.ssl_certificates.reload()
            self.service.ready("Serving")

    def _refresh_default_headers(self) -> None:
        date = [(b"date", formatdate(usegmt=True).encode())] if self.config.date_header else []
        self.server_state.default_headers = date + self.config.encoded_headers

    def _close_access_log(self) -> None:
        if self._log_shortcut is not None:
            self._log_shortcut.close()


def _log_process(text: str, process_id: int) -> None:
    logger.info(text, process_id, extra={"color_message": text.replace("%d", style("%d", "cyan"))})
