"""Chooses the body of the HTTP request cycle: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .http_cycle_py import HTTPCycle
else:
    try:
        from .http_cycle_c import HTTPCycle
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["HTTPCycle"]
