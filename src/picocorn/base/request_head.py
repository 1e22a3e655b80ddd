"""Chooses the body of RequestHead (see `native.py`). Callers above import from here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .request_head_py import RequestHead
else:
    try:
        from .request_head_c import RequestHead
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["RequestHead"]
