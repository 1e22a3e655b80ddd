"""What --log-level trace shows of ASGI messages."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from ids import shown
from picocorn.server.message_logger import MessageLoggerMiddleware


def test_messages_without_their_contents(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(5, "picocorn.asgi")
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(await receive())
        await send({"type": "websocket.send", "text": "hello", "bytes": None})
        if scope["type"] == "broken":
            raise RuntimeError

    async def receive() -> Any:
        return {"type": "http.request", "body": b"abc", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    wrapped = MessageLoggerMiddleware(app)
    scope = {"type": "http", "headers": [(b"cookie", b"secret")], "client": ("1.2.3.4", 5)}
    asyncio.run(wrapped(scope, receive, send))
    with pytest.raises(RuntimeError):
        asyncio.run(wrapped({"type": "broken"}, receive, send))
    assert sent[0]["body"] == b"abc", "the messages themselves are whole"
    assert caplog.messages == [
        "1.2.3.4:5 - ASGI [1] Started scope={'type': 'http', 'headers': '<...>', 'client': ('1.2.3.4', 5)}",
        "1.2.3.4:5 - ASGI [1] Receive {'type': 'http.request', 'body': '<3 bytes>', 'more_body': False}",
        "1.2.3.4:5 - ASGI [1] Send {'type': 'http.request', 'body': '<3 bytes>', 'more_body': False}",
        "1.2.3.4:5 - ASGI [1] Send {'type': 'websocket.send', 'text': '<5 chars>', 'bytes': None}",
        "1.2.3.4:5 - ASGI [1] Completed",
        "ASGI [2] Started scope={'type': 'broken'}",
        "ASGI [2] Receive {'type': 'http.request', 'body': '<3 bytes>', 'more_body': False}",
        "ASGI [2] Send {'type': 'http.request', 'body': '<3 bytes>', 'more_body': False}",
        "ASGI [2] Send {'type': 'websocket.send', 'text': '<5 chars>', 'bytes': None}",
        "ASGI [2] Raised exception",
    ]
    assert {record.levelno for record in caplog.records} == {5}
    assert logging.getLogger("picocorn.asgi").isEnabledFor(5)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"type": "websocket.send", "bytes": b"secret"}, "{'type': 'websocket.send', 'bytes': '<6 bytes>'}"),
        ({"type": "websocket.send", "bytes": bytearray(b"secret")}, "{'type': 'websocket.send', 'bytes': '<6 bytes>'}"),
        (
            {"type": "websocket.send", "bytes": memoryview(b"secret").cast("H")},
            "{'type': 'websocket.send', 'bytes': '<6 bytes>'}",
        ),
        ({"type": "websocket.receive", "text": "sécret"}, "{'type': 'websocket.receive', 'text': '<6 chars>'}"),
        (
            {"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"set-cookie", b"secret")]},
            "{'type': 'websocket.accept', 'subprotocol': 'chat', 'headers': '<...>'}",
        ),
        (
            {"type": "websocket.http.response.body", "body": b"secret", "more_body": False},
            "{'type': 'websocket.http.response.body', 'body': '<6 bytes>', 'more_body': False}",
        ),
        (
            {"type": "websocket.close", "code": 4001, "reason": "why"},
            "{'type': 'websocket.close', 'code': 4001, 'reason': 'why'}",
        ),
        # What is no message at all is for the server to refuse, not for the log to fail on.
        (
            {"type": "websocket.send", "text": 5, "bytes": ["secret"]},
            "{'type': 'websocket.send', 'text': '<int>', 'bytes': '<list>'}",
        ),
        (None, "<NoneType>"),
        ("secret", "<str>"),
    ],
    ids=shown,
)
def test_each_kind_of_message(caplog: pytest.LogCaptureFixture, message: Any, shown: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(await receive())

    async def receive() -> Any:
        return message

    async def send(message: Any) -> None:
        sent.append(message)

    caplog.set_level(5, "picocorn.asgi")
    sent: list[Any] = []
    asyncio.run(MessageLoggerMiddleware(app)({"type": "websocket"}, receive, send))
    assert sent[0] is message
    assert caplog.messages[1:3] == [f"ASGI [1] Receive {shown}", f"ASGI [1] Send {shown}"]
