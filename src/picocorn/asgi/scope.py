"""Chooses the body of the scope builder: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .scope_py import ScopeBuilder
else:
    try:
        from .scope_c import ScopeBuilder
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["ScopeBuilder"]
