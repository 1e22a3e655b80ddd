"""A Litestar application of WebSockets: listeners, streams, plain handlers, guards, channels with their history."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any

from litestar import Litestar, WebSocket, get, websocket, websocket_listener
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.connection import ASGIConnection
from litestar.dto import DataclassDTO
from litestar.exceptions import NotAuthorizedException, WebSocketDisconnect, WebSocketException
from litestar.handlers import BaseRouteHandler, websocket_stream
from probe import Probe

#: Codes of the disconnects that handlers have seen.
disconnects: list[list[Any]] = []


@dataclass
class Point:
    x: int
    y: int


@websocket_listener("/points", dto=DataclassDTO[Point])
async def points(data: Point) -> Point:
    return Point(x=data.y, y=data.x)


@websocket_listener("/threaded", sync_to_thread=True)
def threaded(data: str) -> str:
    return data.upper()


@websocket("/echo")
async def echo(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept(subprotocols="chosen" if "chosen" in socket.scope["subprotocols"] else None)
    try:
        while True:
            await socket.send_data(await socket.receive_data(mode="text"))
    except WebSocketDisconnect as disconnect:
        disconnects.append(["/echo", disconnect.code])


@websocket_stream("/count")
async def count() -> AsyncGenerator[int, None]:
    for number in range(5):
        yield number


@websocket("/late")
async def late(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    raise WebSocketException(detail="changed my mind", code=4001)


@websocket("/bug")
async def bug(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    raise ZeroDivisionError("on purpose")


def only_with_a_token(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    if connection.headers.get("authorization") != "Bearer right":
        raise NotAuthorizedException("who are you?")


@websocket("/guarded", guards=[only_with_a_token])
async def guarded(socket: WebSocket[Any, Any, Any]) -> None:
    await socket.accept()
    await socket.send_text("welcome")
    await socket.close(code=4000, reason="that was all")


@get("/publish")
async def publish(channels: ChannelsPlugin, text: str) -> str:
    channels.publish({"text": text}, "news")
    return "published"


@get("/told")
async def told() -> list[list[Any]]:
    return disconnects


@get("/")
async def index() -> str:
    return "hello"


channels = ChannelsPlugin(
    backend=MemoryChannelsBackend(history=10),
    channels=["news"],
    create_ws_route_handlers=True,
    ws_handler_base_path="/channels",
    ws_handler_send_history=10,
)
app = Probe(
    Litestar(
        route_handlers=[points, threaded, echo, count, late, bug, guarded, publish, told, index],
        plugins=[channels],
        openapi_config=None,
    )
)
