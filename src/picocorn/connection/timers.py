"""Chooses the body of the deadlines: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .timers_py import Deadline, Timers
else:
    try:
        from .timers_c import Deadline, Timers
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["Deadline", "Timers"]
