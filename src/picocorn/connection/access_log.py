"""Chooses the body of the access log: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .access_log_py import AccessLog
else:
    try:
        from .access_log_c import AccessLog
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["AccessLog"]
