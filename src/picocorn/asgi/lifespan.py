"""The lifespan protocol (ASGI lifespan 2.0): start-up before the first connection, shutdown after the last.

Knows the application and nothing of servers: what it needs of a configuration is `LifespanSettings`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from ..base.errors import LifespanError

__all__ = ["LifespanOff", "LifespanOn", "LifespanSettings"]

WRONG_ORDER = "Got invalid state transition on lifespan protocol."


class LifespanSettings(Protocol):
    """What a lifespan reads from its configuration."""

    #: the application, an ASGI 3 callable
    loaded_app: Any
    #: "on": the application must support it; "auto": it may
    lifespan: str

    @property
    def asgi_version(self) -> str:
        """`scope["asgi"]["version"]`."""


class LifespanOff:
    """No lifespan: the application never sees the scope."""

    def __init__(self, config: LifespanSettings) -> None:
        self.should_exit = False
        self.state: dict[str, Any] = {}

    async def startup(self) -> None:
        """Nothing to start."""

    async def shutdown(self) -> None:
        """Nothing to end."""


class LifespanOn:
    """One run of the lifespan protocol, in a task of its own on the loop of the requests (L1).

    `should_exit` is True when the application failed; `state` is what it left in the scope's state.
    """

    def __init__(self, config: LifespanSettings) -> None:
        self.config = config
        self.logger = logging.getLogger("picocorn.error")
        self.should_exit = False
        self.state: dict[str, Any] = {}
        self._task: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._startup_done = asyncio.Event()
        self._shutdown_done = asyncio.Event()
        self._started = False
        self._startup_failed = False
        self._shutdown_failed = False
        #: the application's callable has returned or raised: nobody is there to take an event
        self._ended = False
        self._crashed = False

    async def startup(self) -> None:
        """Run the application's start-up. Afterwards `should_exit` says whether the server may go on (L3, L5)."""
        self.logger.info("Waiting for application startup.")
        self._events.put_nowait({"type": "lifespan.startup"})
        self._task = asyncio.get_running_loop().create_task(self._run(), name="lifespan")
        await self._answered(self._startup_done)
        if self._startup_failed or (self._crashed and self.config.lifespan == "on"):
            self.logger.error("Application startup failed. Exiting.")
            self.should_exit = True
        else:
            self.logger.info("Application startup complete.")

    async def shutdown(self) -> None:
        """Run the application's shutdown, unless its start-up has failed or it does not take part (L4, L6)."""
        if self._crashed or self._startup_failed or self._task is None:
            return
        self.logger.info("Waiting for application shutdown.")
        if not self._ended:
            self._events.put_nowait({"type": "lifespan.shutdown"})
            await self._answered(self._shutdown_done)
        if self._shutdown_failed or self._crashed:
            self.logger.error("Application shutdown failed. Exiting.")
            self.should_exit = True
        else:
            self.logger.info("Application shutdown complete.")

    async def _answered(self, done: asyncio.Event) -> None:
        try:
            await done.wait()
        finally:
            exited = self._exited()
        if exited:
            # The loop is ending: whoever waits for this must not go on as if nothing had happened.
            raise asyncio.CancelledError

    def _exited(self) -> bool:
        """Whether SystemExit or the like has ended the task, and the loop with it. Asked in time, asyncio does not complain."""
        task = self._task
        return task is not None and task.done() and not task.cancelled() and task.exception() is not None

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": self.config.asgi_version, "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self.config.loaded_app(scope, self._receive, self._send)
        except (Exception, asyncio.CancelledError) as error:
            # Not SystemExit and KeyboardInterrupt: who asks for the end of the process in start-up gets it.
            self._crashed = True
            if isinstance(error, asyncio.CancelledError) and self._task is not None and self._task.cancelling():
                # A forced exit: nothing the application did.
                raise
            self._application_raised(error)
        finally:
            self._ended = True
            self._startup_done.set()
            self._shutdown_done.set()

    def _application_raised(self, error: BaseException) -> None:
        if self._startup_failed or self._shutdown_failed:
            # It has said so already, in its own words.
            self.logger.debug("Exception in 'lifespan' protocol\n", exc_info=error)
        elif self.config.lifespan == "auto" and not self._started:
            self.logger.info("ASGI 'lifespan' protocol appears unsupported.")
            self.logger.debug("Exception in 'lifespan' protocol\n", exc_info=error)
        else:
            self.logger.error("Exception in 'lifespan' protocol\n", exc_info=error)

    async def _receive(self) -> dict[str, Any]:
        return await self._events.get()

    async def _send(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind in ("lifespan.startup.complete", "lifespan.startup.failed"):
            if self._startup_done.is_set():
                raise _WrongOrderError(WRONG_ORDER)
            self._started = kind == "lifespan.startup.complete"
            self._startup_failed = not self._started
            self._startup_done.set()
        elif kind in ("lifespan.shutdown.complete", "lifespan.shutdown.failed"):
            if not self._started or self._shutdown_done.is_set():
                raise _WrongOrderError(WRONG_ORDER)
            self._shutdown_failed = kind == "lifespan.shutdown.failed"
            self._shutdown_done.set()
        else:
            raise LifespanError(f"Expected a lifespan message to send, but got {kind!r}.")
        if kind.endswith(".failed") and message.get("message"):
            self.logger.error(message["message"])


class _WrongOrderError(LifespanError, AssertionError):
    """A lifespan message at the wrong time. An AssertionError too, because uvicorn raises that here."""
