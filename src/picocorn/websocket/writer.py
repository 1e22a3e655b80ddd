"""Chooses the body of the WebSocket writer (see `base/native.py`). Callers above import from here.

Knows no rule of WebSocket: `writer_py.py` and `writer_c.pyx` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .writer_py import encode_close, encode_frame, encode_text
else:
    try:
        from .writer_c import encode_close, encode_frame, encode_text
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["encode_close", "encode_frame", "encode_text"]
