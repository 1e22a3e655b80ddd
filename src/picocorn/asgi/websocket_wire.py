"""Chooses the body of the WebSocket wire interface: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .websocket_wire_py import WebSocketWire
else:
    try:
        from .websocket_wire_c import WebSocketWire
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["WebSocketWire"]
