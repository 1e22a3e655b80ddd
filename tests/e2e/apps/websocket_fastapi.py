"""A FastAPI application of WebSockets: dependencies, validation, a chat whose members come and go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import Cookie, Depends, FastAPI, Query, WebSocket, WebSocketDisconnect, WebSocketException, status
from probe import Probe

api = FastAPI()
#: What has happened, in order.
events: list[Any] = []


class Rooms:
    """The connection manager of every tutorial, with rooms."""

    def __init__(self) -> None:
        self.members: dict[str, list[WebSocket]] = {}

    async def join(self, room: str, websocket: WebSocket) -> None:
        await websocket.accept()
        self.members.setdefault(room, []).append(websocket)

    async def broadcast(self, room: str, text: str) -> None:
        for member in list(self.members.get(room, [])):
            await member.send_text(text)


rooms = Rooms()


async def session() -> AsyncIterator[str]:
    """A dependency with an exit, like a database session."""
    events.append("enter")
    try:
        yield "session"
    finally:
        events.append("exit")


def user(token: Annotated[str | None, Query()] = None, who: Annotated[str | None, Cookie()] = None) -> str:
    """A sync dependency: runs in a thread."""
    if token is None and who is None:
        raise WebSocketException(code=status.WS_1008_POLICY_VIOLATION, reason="who are you?")
    return token or who or ""


@api.websocket("/rooms/{room}")
async def talk(websocket: WebSocket, room: str, name: Annotated[str, Depends(user)]) -> None:
    await rooms.join(room, websocket)
    await rooms.broadcast(room, f"{name} is here")
    try:
        while True:
            await rooms.broadcast(room, f"{name}: {await websocket.receive_text()}")
    except WebSocketDisconnect as disconnect:
        rooms.members[room].remove(websocket)
        await rooms.broadcast(room, f"{name} has left: {disconnect.code} {disconnect.reason}")


@api.websocket("/items/{number}")
async def item(websocket: WebSocket, number: int, lent: Annotated[str, Depends(session)], q: int = 0) -> None:
    await websocket.accept()
    await websocket.send_json({"number": number, "q": q, "lent": lent})
    while (data := await websocket.receive_json()) != "stop":
        await websocket.send_json({"echo": data})
    await websocket.close(code=4000, reason="as you say")


@api.websocket("/late")
async def late(websocket: WebSocket) -> None:
    await websocket.accept()
    raise WebSocketException(code=4003, reason="changed my mind")


@api.websocket("/bug")
async def bug(websocket: WebSocket, lent: Annotated[str, Depends(session)]) -> None:
    await websocket.accept()
    raise ZeroDivisionError("on purpose")


@api.websocket("/undisturbed")
async def undisturbed(websocket: WebSocket) -> None:
    """Does not catch the disconnect: most people do not."""
    await websocket.accept()
    while True:
        await websocket.send_text(await websocket.receive_text())


@api.get("/events")
async def told() -> list[Any]:
    return events


@api.get("/")
async def index() -> str:
    return "hello"


app = Probe(api)
