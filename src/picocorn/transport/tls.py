"""The chosen body of `TLSConnection`: compiled where the transports are, as there it pays. Chooses, and does nothing else."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE or sys.platform != "linux":
    from .tls_py import TLSConnection
else:
    try:
        from .tls_c import TLSConnection
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["TLSConnection"]
