"""Chooses the body of the sans-IO HTTP/1.1 connection: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .connection_py import HTTP1Connection
else:
    try:
        from .connection_c import HTTP1Connection
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["HTTP1Connection"]
