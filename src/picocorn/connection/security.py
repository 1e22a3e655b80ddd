"""Chooses the body of `Security`: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .security_py import Security, security_of
else:
    try:
        from .security_c import Security, security_of
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["Security", "security_of"]
