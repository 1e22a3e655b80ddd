"""Runs the application for one cycle, in a task of its own. Pure body; knows asyncio's tasks and the `Cycle`, no protocol.

Tasks start eagerly where Python can (3.12): most requests then never meet the loop's queue. They are real tasks all the same,
because `asyncio.current_task()`, timeouts and task groups in the application need one.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import sys
from collections.abc import Coroutine
from typing import Any

from .cycle_py import Cycle

__all__ = ["TaskStarter", "run_application"]

EAGER = sys.version_info >= (3, 12)

# Any: the type checker looks with the eyes of the oldest Python, which has no `eager_start`.
Task: Any = asyncio.Task


async def _run(cycle: Cycle, app: Any) -> None:
    try:
        result = await app(cycle.scope, cycle.receive, cycle.send)
    except BaseException as error:
        if cycle.application_raised(error):
            raise
    else:
        cycle.application_returned(result)


def run_application(cycle: Cycle, app: Any) -> Coroutine[Any, Any, None]:
    """Return what runs `app` for `cycle` when it is awaited, and tells the cycle how that ended.

    Only what `cycle.application_raised` wants to go on comes out of it.
    """
    return _run(cycle, app)


class TaskStarter:
    """Starts the tasks of one server.

    `tasks` is the set in which those that did not finish at once stand until they do. Each gets a copy of `base_context`, never
    of the current context: a pipelined request may be started from within the previous one's task, whose variables it must
    not see.
    """

    __slots__ = ("_app", "_base_context", "_loop", "_tasks")

    def __init__(
        self, app: Any, loop: asyncio.AbstractEventLoop, base_context: contextvars.Context, tasks: set[asyncio.Task[None]]
    ) -> None:
        self._app = app
        self._base_context = base_context
        self._loop = loop
        self._tasks = tasks

    def start(self, cycle: Cycle, is_plain: bool) -> None:
        """Run the application for `cycle`. `is_plain`: no task factory stands in the loop, so the task may be made here.

        The application runs inside this call. A task factory (a debugger's, say) is respected at the price of the eager start.
        """
        coroutine = _run(cycle, self._app)
        context = self._base_context.copy()
        if is_plain and EAGER:
            task = Task(coroutine, loop=self._loop, context=context, eager_start=True)
            if task.done():
                return
        else:
            task = self._loop.create_task(coroutine, context=context)
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, cycle))

    def _ended(self, cycle: Cycle, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            # Before its first step, maybe: then nobody has told the cycle. Repeats are harmless.
            cycle.application_raised(asyncio.CancelledError())
