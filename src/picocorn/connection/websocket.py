"""Chooses the body of the WebSocket session: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .websocket_py import WebSocketSession
else:
    try:
        from .websocket_c import WebSocketSession
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["WebSocketSession"]
