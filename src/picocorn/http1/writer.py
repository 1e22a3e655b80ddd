"""Chooses the body of the HTTP/1 response writer (see `base/native.py`). Callers above import from here.

Knows no rule of HTTP: `writer_py.py` and `writer_c.pyx` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .writer_py import CONNECTION_CLOSE, LAST_CHUNK, chunk, content_length_line, encode_fields, encode_head, join_message
else:
    try:
        from .writer_c import CONNECTION_CLOSE, LAST_CHUNK, chunk, content_length_line, encode_fields, encode_head, join_message
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["CONNECTION_CLOSE", "LAST_CHUNK", "chunk", "content_length_line", "encode_fields", "encode_head", "join_message"]
