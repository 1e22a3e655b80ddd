"""Chooses the body of the WebSocket cycle: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .websocket_cycle_py import WebSocketCycle, new_websocket_cycle
else:
    try:
        from .websocket_cycle_c import WebSocketCycle, new_websocket_cycle
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["WebSocketCycle", "new_websocket_cycle"]
