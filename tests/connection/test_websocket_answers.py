"""What has come before a WebSocket's end is answered before it, however the bytes were split into reads."""

from __future__ import annotations

import pytest

from harness import running

HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
#: Frames of a client, masked with zeros.
FIRST = b"\x81\x85\0\0\0\0first"
SECOND = b"\x82\x86\0\0\0\0second"
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"
RESERVED_BIT = b"\xc1\x81\0\0\0\0x"
UNKNOWN_OPCODE = b"\x83\x80\0\0\0\0"
LONE_CONTINUATION = b"\x80\x81\0\0\0\0x"

ANSWERED = b"\x81\x05first" + b"\x82\x06second"


async def echo(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({**event, "type": "websocket.send"})


@pytest.mark.parametrize(
    ("end", "code"), [(CLOSE, 1000), (RESERVED_BIT, 1002), (UNKNOWN_OPCODE, 1002), (LONE_CONTINUATION, 1002)]
)
@pytest.mark.parametrize("early", [False, True], ids=["opened", "behind-the-handshake"])
def test_messages_before_the_end_are_answered(twin: str, end: bytes, code: int, early: bool) -> None:
    frames = FIRST + SECOND + end + FIRST
    with running(echo, http=twin) as server, server.connect() as client:
        client.send(HANDSHAKE + (frames if early else b""))
        assert client.head().status == 101
        if not early:
            client.send(frames)
        assert client.read_exactly(len(ANSWERED)) == ANSWERED
        opcode, size = client.read_exactly(2)
        assert opcode == 0x88
        assert int.from_bytes(client.read_exactly(size)[:2], "big") == code
        assert client.closed()


async def close_at_once(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close", "code": 4000, "reason": "enough"})


@pytest.mark.parametrize("end", [CLOSE, RESERVED_BIT])
def test_an_application_that_closes_meanwhile_has_closed(twin: str, end: bytes) -> None:
    with running(close_at_once, http=twin) as server, server.connect() as client:
        client.send(HANDSHAKE)
        assert client.head().status == 101
        client.send(FIRST + end)
        # One close frame, the application's, and then the end.
        assert client.read_to_end() == b"\x88\x08\x0f\xa0enough"
