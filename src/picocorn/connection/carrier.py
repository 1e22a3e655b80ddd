"""Chooses the body of the carrier interface: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .carrier_py import Carrier
else:
    try:
        from .carrier_c import Carrier
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["Carrier"]
