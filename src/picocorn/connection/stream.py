"""Chooses the body of the stream connection: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .stream_py import StreamConnection
else:
    try:
        from .stream_c import StreamConnection
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["StreamConnection"]
