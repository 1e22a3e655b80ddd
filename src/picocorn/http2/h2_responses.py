"""Chooses the body of the responses over h2: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .h2_responses_py import H2Responses
else:
    try:
        from .h2_responses_c import H2Responses
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["H2Responses"]
