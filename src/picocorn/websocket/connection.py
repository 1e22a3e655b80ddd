"""Chooses the body of the sans-IO WebSocket connection: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .connection_py import WebSocketConnection
else:
    try:
        from .connection_c import WebSocketConnection
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["WebSocketConnection"]
