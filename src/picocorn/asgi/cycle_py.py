"""What a task sees of one request, session or socket that an application is called for, whatever the protocol.

Knows no wire and no protocol. Compiled a second time as `cycle_c`, so that calls across it are calls of C functions.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from .waiters_py import MessageSource

__all__ = ["Cycle"]


class Cycle(MessageSource):
    """One call of the application: its three arguments, and what is to be done when it has ended."""

    __slots__ = ("scope",)

    def __init__(self, scope: dict[str, Any]) -> None:
        MessageSource.__init__(self)
        #: what the application is called with (dict of str to Any)
        self.scope = scope

    def receive(self) -> Awaitable[dict[str, Any]]:
        """ASGI `receive`."""
        raise NotImplementedError

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """ASGI `send`."""
        raise NotImplementedError

    def application_returned(self, result: Any) -> None:
        """The application is done. Must not raise."""
        raise NotImplementedError

    def application_raised(self, error: BaseException) -> bool:
        """The application has raised `error`. Return True when the task has to end with it too. Must not raise.

        A cancellation may be told twice.
        """
        raise NotImplementedError
