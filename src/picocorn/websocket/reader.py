"""Chooses the body of the WebSocket reader (see `base/native.py`). Callers above import from here.

Knows no rule of WebSocket: `reader_py.py` and `reader_c.pyx` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .reader_py import MessageReader
else:
    try:
        from .reader_c import MessageReader
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["MessageReader"]
