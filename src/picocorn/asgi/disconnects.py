"""Tells what `send` has raised, whatever frameworks have wrapped it in, from errors of the application. Knows exceptions only."""

from __future__ import annotations

import asyncio

from ..base.errors import ClientDisconnected

__all__ = ["says_abandoned", "says_disconnected"]


def says_abandoned(error: BaseException) -> bool:
    """Whether `error` is the end of an application whose event loop was dropped with it: there is nobody left to tell."""
    return isinstance(error, GeneratorExit) and asyncio._get_running_loop() is None


def says_disconnected(error: BaseException) -> bool:
    """Whether `error` says no more than that the client has gone.

    That is our ClientDisconnected, an error raised from it, what a framework raises in its place (Starlette's streaming
    response turns every OSError of `send` into its own ClientDisconnect), or a group of nothing but these. A mistake made
    while the disconnect was being handled stays a mistake.
    """
    if isinstance(error, ClientDisconnected):
        return True
    if isinstance(error, BaseExceptionGroup):
        return all(says_disconnected(one) for one in error.exceptions)
    if error.__cause__ is not None:
        return says_disconnected(error.__cause__)
    handled = error.__context__
    return handled is not None and "Disconnect" in type(error).__name__ and says_disconnected(handled)
