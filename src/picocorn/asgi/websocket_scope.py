"""Turns the `http` scope of a WebSocket handshake into a `websocket` scope (asgi W1, W12). Knows no handshake and no socket."""

from __future__ import annotations

from typing import Any

__all__ = ["websocket_scope"]

SCHEMES = {"http": "ws", "https": "wss"}


def websocket_scope(scope: dict[str, Any], subprotocols: list[str]) -> dict[str, Any]:
    """Change `scope`, a new `http` scope that nobody else has seen, into a `websocket` scope, and return it.

    `subprotocols` (list of str) are those the client has offered, in its order. A scheme that is "ws" or "wss" already stays.
    """
    scope["type"] = "websocket"
    scope["scheme"] = SCHEMES.get(scope["scheme"], scope["scheme"])
    del scope["method"]
    scope["subprotocols"] = subprotocols
    # A new dict, not the old one emptied: the scope builder gives its dicts out again, and knows them by their contents.
    extensions: dict[str, Any] = {"websocket.http.response": {}}
    tls = scope["extensions"].get("tls")
    if tls is not None:
        # It says what the connection is like, whatever it is used for.
        extensions["tls"] = tls
    scope["extensions"] = extensions
    return scope
