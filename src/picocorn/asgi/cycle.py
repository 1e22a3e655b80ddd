"""Chooses the body of the cycle interface: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .cycle_py import Cycle
else:
    try:
        from .cycle_c import Cycle
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["Cycle"]
