"""Chooses the body of the done awaitables: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .awaitables_py import DONE, Ready, ready
else:
    try:
        from .awaitables_c import DONE, Ready, ready
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["DONE", "Ready", "ready"]
