"""A Starlette application of WebSockets: an endpoint class, plain routes, denial, middleware, rooms."""

from __future__ import annotations

import asyncio
from typing import Any

from probe import Probe
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.exceptions import WebSocketException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

#: Codes and reasons of the disconnects that routes have seen.
disconnects: list[list[Any]] = []


class Passing(BaseHTTPMiddleware):
    """Lets WebSockets through, as this kind of middleware must."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        return await call_next(request)


class Calculator(WebSocketEndpoint):
    encoding = "json"

    async def on_connect(self, websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="sum", headers=[(b"x-by", b"starlette")])

    async def on_receive(self, websocket: WebSocket, data: Any) -> None:
        await websocket.send_json({"sum": sum(data)})

    async def on_disconnect(self, websocket: WebSocket, close_code: int) -> None:
        disconnects.append(["/calculator", close_code, ""])


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    try:
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message.get("reason"))
            if message.get("text") is not None:
                await websocket.send_text(message["text"])
            else:
                await websocket.send_bytes(message["bytes"])
    except WebSocketDisconnect as disconnect:
        disconnects.append(["/echo", disconnect.code, disconnect.reason])


async def iterate(websocket: WebSocket) -> None:
    await websocket.accept()
    words = [word async for word in websocket.iter_text()]
    disconnects.append(["/iterate", 0, " ".join(words)])


async def ticker(websocket: WebSocket) -> None:
    """Sends on, whether anybody is there or not, and learns from `send` that nobody is."""
    await websocket.accept()
    number = 0
    try:
        while True:
            await websocket.send_text(f"tick {number}")
            number += 1
            await asyncio.sleep(0)
    except WebSocketDisconnect as disconnect:
        disconnects.append(["/ticker", disconnect.code, ""])


async def deny(websocket: WebSocket) -> None:
    await websocket.send_denial_response(JSONResponse({"detail": "pay first"}, status_code=402))


async def deny_in_pieces(websocket: WebSocket) -> None:
    async def pieces() -> Any:
        for piece in ("no, ", "no, ", "no"):
            yield piece

    await websocket.send_denial_response(StreamingResponse(pieces(), status_code=404, media_type="text/plain"))


async def policy(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    raise WebSocketException(code=1008, reason="against the policy")


async def bug(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.receive_text()
    raise ZeroDivisionError("on purpose")


async def told(request: Request) -> Response:
    return JSONResponse(disconnects)


async def index(request: Request) -> Response:
    return PlainTextResponse("hello")


app = Probe(
    Starlette(
        routes=[
            Route("/", index),
            Route("/told", told),
            WebSocketRoute("/calculator", Calculator),
            WebSocketRoute("/echo", echo),
            WebSocketRoute("/iterate", iterate),
            WebSocketRoute("/ticker", ticker),
            WebSocketRoute("/deny", deny),
            WebSocketRoute("/deny-in-pieces", deny_in_pieces),
            WebSocketRoute("/policy", policy),
            WebSocketRoute("/bug", bug),
            Mount("/below", routes=[WebSocketRoute("/echo", echo)]),
        ],
        middleware=[Middleware(Passing)],
    )
)
