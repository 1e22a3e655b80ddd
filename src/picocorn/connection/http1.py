"""Chooses the body of the HTTP/1.1 protocol: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .http1_py import HTTP1Protocol
else:
    try:
        from .http1_c import HTTP1Protocol
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["HTTP1Protocol"]
