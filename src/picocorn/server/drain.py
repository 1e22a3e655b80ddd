"""How a server comes to its end: connections wind up, tasks finish, and what does not is ended. Knows connections, no sockets.

0. for a while, answers announce that their connections close, and idle connections may ask once more (`wind_down`)
1. every connection is told to shut down: idle ones close, busy ones close after their response
2. wait for connections, then for tasks
3. at the timeout: disconnect what is left, so that applications which wait for their client can end by themselves
4. a moment later: cancel their tasks
5. a moment later: give up on tasks that swallow their cancellation
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..connection.context import ServerState

__all__ = ["LAST_STEPS_SECONDS", "LATE_SECONDS", "drain", "end_what_is_left", "log_drain_delay", "wind_down"]

logger = logging.getLogger("picocorn.error")

POLL_SECONDS = 0.1
#: While clients are let known that the server ends.
WIND_DOWN_POLL_SECONDS = 0.01
#: For applications that were told that their client has gone.
DISCONNECT_SECONDS = 0.5
#: For tasks that were cancelled.
CANCEL_SECONDS = 1.0
#: How long steps 3 to 5 may take together, with room for a busy machine.
LAST_STEPS_SECONDS = DISCONNECT_SECONDS + CANCEL_SECONDS + 2.5
#: What the idle timeout of a connection may be late.
LATE_SECONDS = 1.0

CANCEL_MESSAGE = "Task cancelled, timeout graceful shutdown exceeded"


async def wind_down(state: ServerState, seconds: float, forced: Callable[[], bool]) -> None:
    """Have every answer announce that its connection closes (RFC 9112 9.6), and wait until all have closed; `seconds` at most.

    A client cannot tell a connection that was closed while its request was on the way from one that has lost its request. So
    connections are not closed here: they end with an answer, or by their own idle timeout.
    """
    state.winding_down = True
    for connection in list(state.connections):
        # WebSockets have no next answer to announce anything with.
        begin = getattr(connection, "wind_down", None)
        if begin is not None:
            begin()
    times = int(seconds / WIND_DOWN_POLL_SECONDS)
    if times:
        await _until(lambda: not state.connections or forced(), times, WIND_DOWN_POLL_SECONDS)


def log_drain_delay(seconds: float) -> None:
    """Say that the server serves on for `seconds` before it ends."""
    logger.info("Serving on for %g seconds, for load balancers to look elsewhere. (CTRL+C to end now)", seconds)


async def drain(state: ServerState, timeout_seconds: float | None, forced: Callable[[], bool]) -> None:
    """Wait until connections and tasks of `state` have ended; end them after `timeout_seconds` (None or 0: never).

    `forced()` True ends the waiting, and the rest, at once.
    """
    for connection in list(state.connections):
        connection.shutdown()
    try:
        await asyncio.wait_for(_ended(state, forced), timeout_seconds or None)
    except TimeoutError:
        await end_what_is_left(state)
    else:
        if forced():
            await end_what_is_left(state, quiet=True)


async def _ended(state: ServerState, forced: Callable[[], bool]) -> None:
    # Closing takes a turn of the loop or two: nothing to tell anybody about.
    await _until(lambda: not state.connections or forced(), times=5, seconds=0.01)
    if state.connections and not forced():
        logger.info("Waiting for connections to close. (CTRL+C to force quit)")
        await _until(lambda: not state.connections or forced())
    if state.tasks and not forced():
        logger.info("Waiting for background tasks to complete. (CTRL+C to force quit)")
        await _until(lambda: not state.tasks or forced())


async def _until(condition: Callable[[], bool], times: int = 0, seconds: float = POLL_SECONDS) -> None:
    count = 0
    while not condition() and (not times or count < times):
        count += 1
        await asyncio.sleep(seconds)


async def end_what_is_left(state: ServerState, quiet: bool = False) -> None:
    """Disconnect every connection, cancel every task. Returns after a bounded time, whatever they do."""
    for connection in list(state.connections):
        _disconnect(connection)
    await _wait(set(state.tasks), DISCONNECT_SECONDS)
    left = set(state.tasks)
    if not left:
        # Connections close in the next turns of the loop.
        await _until(lambda: not state.connections, times=10, seconds=0.01)
        return
    if not quiet:
        logger.error("Cancel %s running task(s), timeout graceful shutdown exceeded", len(left))
    for task in left:
        task.cancel(msg=CANCEL_MESSAGE)
    stubborn = await _wait(left, CANCEL_SECONDS)
    if stubborn:
        logger.error("%s task(s) did not end when they were cancelled", len(stubborn))


def _disconnect(connection: Any) -> None:
    """End a connection: ours by its own method, one of a foreign protocol class by its transport."""
    disconnect = getattr(connection, "disconnect", None)
    if disconnect is not None:
        disconnect()
    elif getattr(connection, "transport", None) is not None:
        connection.transport.abort()


async def _wait(tasks: set[asyncio.Task[None]], seconds: float) -> set[asyncio.Task[None]]:
    """Wait for `tasks`; return those that still run."""
    if not tasks:
        return tasks
    _done, pending = await asyncio.wait(tasks, timeout=seconds)
    return pending
