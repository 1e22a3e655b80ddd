"""Chooses the body of the flood counters: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .floods_py import Floods
else:
    try:
        from .floods_c import Floods
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["Floods"]
