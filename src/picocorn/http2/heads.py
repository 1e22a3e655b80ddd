"""Chooses the body of the builder of heads: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .heads_py import HeadBuilder, judge_field
else:
    try:
        from .heads_c import HeadBuilder, judge_field
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["HeadBuilder", "judge_field"]
