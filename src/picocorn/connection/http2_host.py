"""Chooses the body of the host of HTTP/2 streams: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .http2_host_py import StreamHost
else:
    try:
        from .http2_host_c import StreamHost
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["StreamHost"]
