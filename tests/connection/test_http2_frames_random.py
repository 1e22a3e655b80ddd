"""Frames of any kind in any order, some of them damaged: whatever they do to a connection, each application hears of its end."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from connection.applications import body, start
from connection.http2_peer import context_of
from e2e.http2_frames import frame, request, settings, uint32
from picocorn.base.limits import HTTP1Limits, HTTP2Limits
from picocorn.http2.codes import (
    ACK,
    CONNECTION_PREFACE,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)

SEEDS = 20
CONNECTIONS = 30
#: :method CONNECT, :protocol websocket, :scheme http, :path, :authority, and the version.
SOCKET = (
    b"\x00\x07:method\x07CONNECT\x00\x09:protocol\x09websocket\x86\x00\x05:path\x07/socket\x00\x0a:authority\x01a"
    b"\x00\x15sec-websocket-version\x0213"
)
OTHERS = (HEADERS, CONTINUATION, PRIORITY, GOAWAY, PUSH_PROMISE, PRIORITY_UPDATE, *range(16, 20))


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": "x"})
        return
    does = len(scope["path"]) % 6
    event = {"type": "http.request", "more_body": does < 3}
    while event.get("more_body") or (does == 4 and event["type"] == "http.request"):
        event = await receive()
    if does == 1:
        raise ValueError("as asked")
    await send(start(200, trailers=does == 2))
    for _ in range(does):
        await send(body(b"x" * 10_000, True))
        await asyncio.sleep(0)
    await send(body(b"last"))
    if does == 2:
        await send({"type": "http.response.trailers", "headers": [(b"a", b"b")]})


def any_frame(dice: random.Random) -> bytes:
    stream_id = dice.choice((0, 1, 3, 5, 7, 9, 11, 2, dice.randrange(40)))
    new_id = dice.randrange(60) | 1
    payload = dice.randbytes(dice.randrange(20))
    kind = dice.randrange(12)
    if kind < 4:
        fields = [(b"te", b"trailers")] * (dice.random() < 0.3) + [(b"content-length", b"9")] * (dice.random() < 0.2)
        method = dice.choice((b"GET", b"POST", b"HEAD"))
        return request(new_id, b"/" * dice.randrange(9), *fields, end=dice.random() < 0.6, method=method)
    if kind == 4:
        return frame(DATA, dice.choice((0, 1, 8, 9)), stream_id, payload)
    if kind == 5:
        return frame(RST_STREAM, 0, stream_id, uint32(dice.randrange(14)))
    if kind == 6:
        return frame(WINDOW_UPDATE, 0, stream_id, uint32(dice.choice((0, 1, 1000, 2**31 - 1))))
    if kind == 7:
        return settings(**{f"_{dice.randrange(1, 10)}": dice.choice((0, 1, 100, 65535, 2**31 - 1))})
    if kind == 8:
        return frame(PING, dice.choice((0, ACK)), 0, bytes(8))
    if kind == 9:
        return frame(HEADERS, END_HEADERS | END_STREAM * (dice.random() < 0.3), new_id, SOCKET)
    return frame(dice.choice(OTHERS), dice.randrange(256), stream_id, payload)


def damaged(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([dice.randrange(256)]) + data[at + 1 :]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_frames(bench: Any, seed: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        dice = random.Random(seed)
        limits = HTTP2Limits(max_concurrent_streams=10)
        context = context_of(bench, app, websocket=True, http2_limits=limits, limits=HTTP1Limits(request_body_bytes=50))
        for _ in range(CONNECTIONS):
            connection = bench.connect(app, context=context)
            connection.send(
                CONNECTION_PREFACE + settings(_4=dice.choice((0, 10, 65535)), _2=dice.randrange(2)) + frame(SETTINGS, ACK)
            )
            protocol = connection.protocol
            for _ in range(dice.randrange(30)):
                data = b"".join(any_frame(dice) for _ in range(dice.randrange(1, 4)))
                if dice.random() < 0.05:
                    data = damaged(data, dice)
                at = dice.randrange(len(data))
                connection.send(*(piece for piece in (data[:at], data[at:]) if piece))
                for _ in range(dice.randrange(4)):
                    await asyncio.sleep(0)
            ends = dice.randrange(4)
            if ends == 0:
                protocol.shutdown()
            elif ends == 1:
                protocol.disconnect()
            elif ends == 2 and not connection.transport.closing:
                connection.half_close()
            connection.transport.lose(ConnectionResetError())
            await bench.settle()
            assert not bench.state.tasks
            assert not bench.unhandled
            assert not protocol.streams
            assert not protocol.unheard
            assert not protocol.abandoned_tasks
