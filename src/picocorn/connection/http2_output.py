"""Chooses the body of the output of a stream of HTTP/2: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .http2_output_py import StreamOutput
else:
    try:
        from .http2_output_c import StreamOutput
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["StreamOutput"]
