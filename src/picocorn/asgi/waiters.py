"""Chooses the body of what `receive` waits with: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .waiters_py import MessageSource, Waiter
else:
    try:
        from .waiters_c import MessageSource, Waiter
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["MessageSource", "Waiter"]
