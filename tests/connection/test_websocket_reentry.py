"""Applications that send from within a call of `send`: while the fields of their own handshake or denial are looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connection.websockets import Peer
from e2e.websocket_frames import handshake

ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
START = {"type": "websocket.http.response.start", "status": 404}
PART = {"type": "websocket.http.response.body", "body": b"part", "more_body": True}
BODY = {"type": "websocket.http.response.body", "body": b"gone"}


class Fields:
    """Fields that send `events` when they are looked at."""

    def __init__(self, send: Callable[[Any], Any], events: list[Any]) -> None:
        self._send = send
        self._events = events

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        for event in self._events:
            self._send(event)
        return iter([(b"x-outer", b"1")])


@pytest.mark.parametrize(
    ("outer", "inner", "status"),
    [
        (ACCEPT, [CLOSE], 403),
        (START, [CLOSE], 403),
        (START, [ACCEPT, CLOSE], 101),
        (START, [START, BODY], 404),
        (START, [START, PART, BODY], 404),
    ],
    ids=["accept-close", "start-close", "start-accept", "start-response", "start-response-in-parts"],
)
def test_first_answer_counts(bench: Any, outer: dict[str, Any], inner: list[Any], status: int) -> None:
    @bench
    async def _(bench: Any) -> None:
        raised: list[str] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            try:
                await send({**outer, "headers": Fields(send, inner)})
            except OSError as error:
                raised.append(type(error).__name__)

        peer = Peer(bench.connect(app, websocket=True))
        peer.send(handshake(b"/"))
        head = await peer.head()
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"x-outer" not in head
        assert b"HTTP/1.1" not in await peer.rest()
        assert raised == ["ClientDisconnected"]
        peer.transport.reading = True
        await bench.advance(300)
        assert peer.transport.lost


def test_response_under_way_is_not_begun_again(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            try:
                await send({**START, "headers": Fields(send, [START, PART])})
            except OSError:
                await send(BODY)

        peer = Peer(bench.connect(app, websocket=True))
        peer.send(handshake(b"/"))
        answer = await peer.rest()
        assert answer.count(b"HTTP/1.1") == 1
        assert b"part" in answer
        assert b"gone" in answer
