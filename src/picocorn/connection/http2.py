"""Chooses the body of the HTTP/2 protocol: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .http2_py import HTTP2Protocol
else:
    try:
        from .http2_c import HTTP2Protocol
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["HTTP2Protocol"]
