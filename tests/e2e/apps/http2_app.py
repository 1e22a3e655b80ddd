"""Tells requests and WebSockets by which version of HTTP they have come; trailers for gRPC's manner of saying how it went."""

from __future__ import annotations

import json
from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    elif scope["type"] == "http":
        await http(scope, receive, send)


async def websocket(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['http_version']} {scope['scheme']}"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": event.get("bytes"), "text": event.get("text")})


async def http(scope: Any, receive: Any, send: Any) -> None:
    content = b""
    while (event := await receive())["type"] == "http.request":
        content += event["body"]
        if not event["more_body"]:
            break
    told = {
        "http_version": scope["http_version"],
        "scheme": scope["scheme"],
        "extensions": sorted(scope["extensions"]),
        "content_bytes": len(content),
    }
    page = scope["path"] == "/page"
    kind = b"text/html; charset=utf-8" if page else b"application/json"
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload; as=style"]})
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", kind)], "trailers": not page})
    await send({"type": "http.response.body", "body": b"<title>page</title>" if page else json.dumps(told).encode()})
    if not page:
        await send({"type": "http.response.trailers", "headers": [(b"grpc-status", b"0"), (b"grpc-message", b"fine")]})
