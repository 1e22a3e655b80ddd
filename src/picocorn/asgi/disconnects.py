"""Tells what `send` has raised, whatever frameworks have wrapped it in, from errors of the application. Knows exceptions only."""

from __future__ import annotations

from ..base.errors import ClientDisconnected

__all__ = ["says_disconnected"]


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
