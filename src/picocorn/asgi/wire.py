"""Chooses the body of the wire interface: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .wire_py import Wire
else:
    try:
        from .wire_c import Wire
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["Wire"]
