"""WebSocket applications: one that sends back what comes, and one that passes it on to everybody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def answer(message: Message) -> Message:
    """The message of a `websocket.receive` as one to be sent."""
    text = message.get("text")
    if text is not None:
        return {"type": "websocket.send", "text": text}
    return {"type": "websocket.send", "bytes": message["bytes"]}


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    """Send back every message, text as text and bytes as bytes."""
    if scope["type"] != "websocket":
        raise RuntimeError("only websocket")
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send(answer(message))


members: dict[int, Send] = {}


async def broadcast(scope: Message, receive: Receive, send: Send) -> None:
    """Send every message to all other sockets that are open, one after the other."""
    if scope["type"] != "websocket":
        raise RuntimeError("only websocket")
    await receive()
    me = id(send)
    # Before the handshake is answered: whoever has that answer is a member.
    members[me] = send
    try:
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            passed_on = answer(message)
            for member, send_to in list(members.items()):
                if member != me:
                    await send_to(passed_on)
    finally:
        del members[me]
