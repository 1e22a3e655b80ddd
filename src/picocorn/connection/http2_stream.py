"""Chooses the body of a stream of HTTP/2: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .http2_stream_py import HTTP2Stream, new_stream
else:
    try:
        from .http2_stream_c import HTTP2Stream, new_stream
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["HTTP2Stream", "new_stream"]
