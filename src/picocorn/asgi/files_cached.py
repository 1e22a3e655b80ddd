"""Chooses the body of the reads that never wait: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .files_cached_py import open_cached, read_cached
else:
    try:
        from .files_cached_c import open_cached, read_cached
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["open_cached", "read_cached"]
