"""A Socket.IO server: events, acknowledgements, rooms, namespaces, binary data, refused connections."""

from __future__ import annotations

from typing import Any

import socketio
from probe import Probe

# The task that pings a client notices the end of it only then.
server = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*", ping_interval=0.5)
#: Who has left, and why.
left: list[list[Any]] = []


@server.event
async def connect(sid: str, environ: dict[str, Any], auth: Any = None) -> None:
    if auth == {"token": "wrong"}:
        raise socketio.exceptions.ConnectionRefusedError("who are you?")
    await server.save_session(sid, {"name": (auth or {}).get("name", "nobody")})


@server.event
async def disconnect(sid: str, reason: str) -> None:
    session = await server.get_session(sid)
    left.append([session["name"], reason])


@server.event
async def add(sid: str, *numbers: int) -> int:
    return sum(numbers)


@server.event
async def turn(sid: str, data: bytes) -> bytes:
    return data[::-1]


@server.event
async def enter(sid: str, room: str) -> None:
    await server.enter_room(sid, room)


@server.event
async def say(sid: str, room: str, text: str) -> None:
    session = await server.get_session(sid)
    await server.emit("said", f"{session['name']}: {text}", room=room)


@server.event
async def kick(sid: str) -> None:
    await server.disconnect(sid)


@server.on("ping-pong", namespace="/game")
async def play(sid: str, data: Any) -> Any:
    return {"back": data}


@server.event
async def told(sid: str) -> list[list[Any]]:
    return left


app = Probe(socketio.ASGIApp(server))
