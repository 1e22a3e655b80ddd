"""Chooses the body of the engine over h2: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .engine_h2_py import H2Engine
else:
    try:
        from .engine_h2_c import H2Engine
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["H2Engine"]
