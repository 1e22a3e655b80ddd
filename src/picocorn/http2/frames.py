"""Chooses the body of the frame reader: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .frames_py import FrameReader, frame
else:
    try:
        from .frames_c import FrameReader, frame
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["FrameReader", "frame"]
