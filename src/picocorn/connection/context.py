"""Chooses the body of the connections' shared context: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .context_py import ConnectionContext, ServerState
else:
    try:
        from .context_c import ConnectionContext, ServerState
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["ConnectionContext", "ServerState"]
