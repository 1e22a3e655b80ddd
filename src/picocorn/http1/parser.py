"""Chooses the body of the HTTP/1 request parser (see `base/native.py`). Callers above import from here.

Knows no rule of HTTP: `parser_py.py` and `parser_c.pyx` do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .parser_py import CLOSED, DATA, END, HEAD, NEED_DATA, RequestParser
else:
    try:
        from .parser_c import CLOSED, DATA, END, HEAD, NEED_DATA, RequestParser
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["CLOSED", "DATA", "END", "HEAD", "NEED_DATA", "RequestParser"]
