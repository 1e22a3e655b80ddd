"""Chooses the body of the WebSocket protocol on HTTP/1.1 connections: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .websocket_http1_py import WebSocketProtocol
else:
    try:
        from .websocket_http1_c import WebSocketProtocol
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["WebSocketProtocol"]
