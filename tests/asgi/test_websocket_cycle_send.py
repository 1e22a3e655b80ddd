"""The ASGI state of one WebSocket: what may be sent, and when. Named after the ids of the specification."""

from __future__ import annotations

import asyncio
import collections
import enum
from typing import Any

import pytest

from asgi.cycles import run
from asgi.waiting import turns
from asgi.websockets import ACCEPT, CLOSE, CONNECT, body, closed, lost, opened, received, sent, start, text
from ids import shown
from picocorn.base.errors import ClientDisconnected, LocalProtocolError

# -- send: W6, W9, W10 --------------------------------------------------------------------------------------------------


class Bytes(bytes):
    """A subclass."""


class Text(str):
    """A subclass that is printed as something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return "something else"


@pytest.mark.parametrize(
    ("message", "data"),
    [
        ({"text": "a"}, "a"),
        ({"text": ""}, ""),
        ({"text": "a", "bytes": None}, "a"),
        ({"text": Text("a")}, "a"),
        ({"bytes": b"a"}, b"a"),
        ({"bytes": b""}, b""),
        ({"bytes": b"a", "text": None}, b"a"),
        ({"bytes": bytearray(b"ab")}, b"ab"),
        ({"bytes": memoryview(b"ab")}, b"ab"),
        ({"bytes": memoryview(b"xaxbx")[1::2]}, b"ab"),
        ({"bytes": Bytes(b"ab")}, b"ab"),
    ],
    ids=shown,
)
def test_w6_a_message(make_websocket: Any, message: dict[str, Any], data: Any) -> None:
    assert sent(opened(make_websocket()), {"type": "websocket.send", **message}) == [("message", data)]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({}, "either 'bytes' or 'text'"),
        ({"text": None}, "either 'bytes' or 'text'"),
        ({"text": None, "bytes": None}, "either 'bytes' or 'text'"),
        ({"text": "a", "bytes": b"a"}, "not both"),
        ({"text": "", "bytes": b""}, "not both"),
        ({"text": b"a"}, "a str in 'text', not bytes"),
        ({"text": 5}, "a str in 'text', not int"),
        ({"bytes": "a"}, "bytes in 'bytes', not str"),
        ({"bytes": [1]}, "bytes in 'bytes', not list"),
        ({"bytes": 5}, "bytes in 'bytes', not int"),
    ],
    ids=shown,
)
def test_w6_anything_else_raises(make_websocket: Any, message: dict[str, Any], words: str) -> None:
    cycle = opened(make_websocket())
    with pytest.raises(LocalProtocolError, match=words):
        cycle.send({"type": "websocket.send", **message})
    assert sent(cycle, text("right")) == [("message", "right")]


def test_w6_a_buffer_may_be_reused(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.wire.blocked = True
    data = bytearray(b"ab")
    waiting = cycle.send({"type": "websocket.send", "bytes": data})
    data[:] = b"xx"
    cycle.wire.blocked = False
    run(waiting)
    assert cycle.wire.calls == [("message", b"ab")]


def test_w6_text_that_cannot_be_sent(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.wire.refusal = LocalProtocolError("surrogates")
    with pytest.raises(LocalProtocolError, match="surrogates"):
        cycle.send(text("\ud800"))
    cycle.wire.refusal = None
    assert sent(cycle, text("a")) == [("message", "a")]


def test_send_waits_for_the_wire(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        cycle.wire.full = True
        cycle.wire.drained = asyncio.Event()
        task = asyncio.create_task(cycle.send(text("a")))
        await turns()
        assert not task.done()
        # With the session before send() returns, whether or not it waits.
        assert cycle.wire.calls == [("message", "a"), ("drain",)]
        cycle.wire.drained.set()
        await task

    run(main())


def test_cancelled_sends_queue_nothing(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        cycle.wire.blocked = True
        cycle.wire.drained = asyncio.Event()
        for _ in range(3):
            task = asyncio.create_task(cycle.send(text("a")))
            await turns()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert cycle.wire.calls == [("drain",)] * 3
        cycle.wire.blocked = False
        await cycle.send(text("b"))
        assert cycle.wire.calls[3:] == [("message", "b")]

    run(main())


def test_a_blocked_send_is_sent_once_there_is_room(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        cycle.wire.blocked = True
        cycle.wire.drained = asyncio.Event()
        task = asyncio.create_task(cycle.send(text("a")))
        await turns()
        cycle.wire.blocked = False
        cycle.wire.full = True
        cycle.wire.drained.set()
        await task
        assert cycle.wire.calls == [("drain",), ("message", "a"), ("drain",)]

    run(main())


@pytest.mark.parametrize("end", ["close", "lost", "own close"])
def test_w10_a_send_that_waits_while_the_websocket_ends(make_websocket: Any, end: str) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        cycle.wire.blocked = True
        cycle.wire.drained = asyncio.Event()
        task = asyncio.create_task(cycle.send(text("a")))
        await turns()
        if end == "close":
            cycle.feed_close(1000, "")
        elif end == "lost":
            cycle.disconnect(1006)
        else:
            await cycle.send(CLOSE)
        cycle.wire.drained.set()
        with pytest.raises(ClientDisconnected):
            await task
        assert ("message", "a") not in cycle.wire.calls

    run(main())


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ({}, 1000, ""),
        ({"code": None, "reason": None}, 1000, ""),
        ({"code": 1001}, 1001, ""),
        ({"code": 4999, "reason": "why"}, 4999, "why"),
        ({"code": 3000, "reason": "ü" * 200}, 3000, "ü" * 200),
    ],
    ids=shown,
)
def test_w9_close(make_websocket: Any, message: dict[str, Any], code: int, reason: str) -> None:
    cycle = opened(make_websocket())
    assert sent(cycle, {**CLOSE, **message}) == [("close", code, reason)]
    assert cycle.closed
    assert received(cycle, 2) == [closed(code, reason)] * 2


@pytest.mark.parametrize(
    "message",
    [
        *({"code": code} for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, -1, 10**30, True, "1000", 1000.0)),
        {"reason": b"why"},
        {"reason": 5},
        {"reason": "\ud800"},
    ],
    ids=shown,
)
def test_w9_what_may_not_be_sent_changes_nothing(make_websocket: Any, message: dict[str, Any]) -> None:
    cycle = opened(make_websocket())
    with pytest.raises(LocalProtocolError, match=next(iter(message))):
        cycle.send({**CLOSE, **message})
    assert not cycle.closed
    assert sent(cycle, text("a"), CLOSE) == [("message", "a"), ("close", 1000, "")]


def test_w9_close_wakes_who_waits(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        task = asyncio.create_task(cycle.receive())
        await turns()
        await cycle.send({**CLOSE, "code": 4000, "reason": "why"})
        assert await task == closed(4000, "why")

    run(main())


def test_w9_what_was_queued_is_received_after_the_own_close_too(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.feed_message("a")
    sent(cycle, CLOSE)
    assert received(cycle, 2) == [{"type": "websocket.receive", "text": "a"}, closed(1000)]


@pytest.mark.parametrize("end", ["close", "lost", "own close", "rejected"])
def test_w10_send_after_the_end_raises_oserror(make_websocket: Any, end: str) -> None:
    cycle = make_websocket()
    if end == "rejected":
        sent(cycle, CLOSE)
    else:
        opened(cycle)
    if end == "close":
        cycle.feed_close(1000, "")
    elif end == "lost":
        cycle.disconnect(1006)
    elif end == "own close":
        sent(cycle, CLOSE)
    lost(cycle, text("a"), CLOSE, ACCEPT, {"type": "websocket.send"}, start(), body())
    for wrong in ({"type": "websocket.nope"}, {}, {"type": []}):
        with pytest.raises(LocalProtocolError, match="after the WebSocket has been closed"):
            cycle.send(wrong)


def test_w10_a_peer_that_is_lost_before_the_answer(make_websocket: Any) -> None:
    cycle = make_websocket()
    cycle.disconnect(1006)
    lost(cycle, ACCEPT, CLOSE, start())
    assert received(cycle, 2) == [CONNECT, closed(1006)]


# -- the denial response: X1 --------------------------------------------------------------------------------------------


def test_x1_denial_in_pieces(make_websocket: Any) -> None:
    cycle = make_websocket()
    headers = ((name, b"v") for name in (b"a", b"b"))
    calls = sent(cycle, start(401, headers), body(b"a", True), body(b"", True), body(bytearray(b"b")))
    assert calls == [
        ("head", 401, [(b"a", b"v"), (b"b", b"v")]),
        ("body", b"a", False),
        ("body", b"", False),
        ("body", b"b", True),
    ]
    assert cycle.closed
    assert not cycle.accepted
    assert received(cycle, 3) == [CONNECT, closed(1006), closed(1006)]
    for message in (ACCEPT, CLOSE, start(), body(), text("a")):
        with pytest.raises(LocalProtocolError, match="after response already completed"):
            cycle.send(message)
    assert len(cycle.wire.calls) == 4


def test_x1_keys_are_optional(make_websocket: Any) -> None:
    messages = [{"type": "websocket.http.response.start", "status": 404}, {"type": "websocket.http.response.body"}]
    assert sent(make_websocket(), *messages) == [("head", 404, []), ("body", b"", True)]
    messages[0]["headers"] = None
    assert sent(make_websocket(), *messages) == [("head", 404, []), ("body", b"", True)]


def test_x1_once_begun_nothing_but_its_body_follows(make_websocket: Any) -> None:
    cycle = make_websocket()
    sent(cycle, start())
    for message in (ACCEPT, CLOSE, start(), text("a"), {"type": "nope"}, {}):
        with pytest.raises(LocalProtocolError, match=r"Expected ASGI message 'websocket\.http\.response\.body' but got"):
            cycle.send(message)
    assert sent(cycle, body(b"a"))[1:] == [("body", b"a", True)]


@pytest.mark.parametrize("status", [None, "401", 401.0, -1, 1000, 10**30])
def test_x1_wrong_status(make_websocket: Any, status: Any) -> None:
    cycle = make_websocket()
    with pytest.raises(LocalProtocolError, match="integer 'status'"):
        cycle.send(start(status))
    assert sent(cycle, ACCEPT) == [("accept", None, [])]


@pytest.mark.parametrize("data", ["text", None, 5, [1]])
def test_x1_wrong_body(make_websocket: Any, data: Any) -> None:
    cycle = make_websocket()
    sent(cycle, start())
    with pytest.raises(LocalProtocolError, match="bytes in 'body'"):
        cycle.send(body(data))
    assert sent(cycle, body(b"a"))[1:] == [("body", b"a", True)]


def test_x1_what_the_writer_refuses_can_be_put_right(make_websocket: Any) -> None:
    cycle = make_websocket()
    cycle.wire.refusal = LocalProtocolError("no")
    with pytest.raises(LocalProtocolError):
        cycle.send(start())
    cycle.wire.refusal = None
    sent(cycle, start())
    cycle.wire.refusal = LocalProtocolError("longer than Content-Length")
    with pytest.raises(LocalProtocolError, match="longer"):
        cycle.send(body(b"a"))
    assert not cycle.closed
    cycle.wire.refusal = None
    assert sent(cycle, body(b""))[1:] == [("body", b"", True)]


def test_x1_send_waits_for_the_wire(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = make_websocket()
        sent(cycle, start())
        cycle.wire.full = True
        await cycle.send(body(b"a", True))
        cycle.wire.full = False
        cycle.wire.blocked = True
        cycle.wire.drained = asyncio.Event()
        task = asyncio.create_task(cycle.send(body(b"b")))
        await turns()
        assert not cycle.closed
        cycle.wire.blocked = False
        cycle.wire.drained.set()
        await task
        assert cycle.wire.calls[1:] == [("body", b"a", False), ("drain",), ("drain",), ("body", b"b", True)]
        assert cycle.closed

    run(main())


@pytest.mark.parametrize("waiting", [False, True])
def test_x1_a_peer_that_is_lost_on_the_way(make_websocket: Any, waiting: bool) -> None:
    async def main() -> None:
        cycle = make_websocket()
        sent(cycle, start())
        if waiting:
            cycle.wire.blocked = True
            cycle.wire.drained = asyncio.Event()
            task = asyncio.create_task(cycle.send(body(b"a")))
            await turns()
            cycle.disconnect(1006)
            cycle.wire.drained.set()
            with pytest.raises(ClientDisconnected):
                await task
        else:
            cycle.disconnect(1006)
            lost(cycle, body(b"a"))
        assert received(cycle, 2) == [CONNECT, closed(1006)]

    run(main())


# -- wrong messages: C5, C6 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [None, b"", [], "websocket.accept", 5], ids=shown)
def test_c5_what_is_no_dict(make_websocket: Any, message: Any) -> None:
    with pytest.raises(LocalProtocolError, match="An ASGI message is a dict"):
        make_websocket().send(message)


@pytest.mark.parametrize(
    "message", [{}, {"type": None}, {"type": []}, {"type": "nope"}, {"type": "http.response.start"}, text("a"), body()], ids=shown
)
def test_c5_wrong_first_message(make_websocket: Any, message: Any) -> None:
    cycle = make_websocket()
    words = r"Expected ASGI message 'websocket\.accept', 'websocket\.close' or 'websocket\.http\.response\.start' but got"
    with pytest.raises(LocalProtocolError, match=words):
        cycle.send(message)
    assert sent(cycle, ACCEPT) == [("accept", None, [])]


@pytest.mark.parametrize("message", [{}, {"type": ()}, ACCEPT, start(), body(), {"type": "http.response.body"}], ids=shown)
def test_c5_wrong_message_once_open(make_websocket: Any, message: Any) -> None:
    cycle = opened(make_websocket())
    with pytest.raises(LocalProtocolError, match=r"Expected ASGI message 'websocket\.send' or 'websocket\.close', but got"):
        cycle.send(message)
    assert sent(cycle, text("a")) == [("message", "a")]


def test_c6_extra_keys_are_ignored(make_websocket: Any) -> None:
    extra = {"x-unknown": object()}
    assert [call[0] for call in sent(make_websocket(), {**ACCEPT, **extra}, {**text("a"), **extra}, {**CLOSE, **extra})] == [
        "accept",
        "message",
        "close",
    ]
    assert [call[0] for call in sent(make_websocket(), {**start(), **extra}, {**body(), **extra})] == ["head", "body"]


def test_messages_may_be_of_a_subclass_of_dict(make_websocket: Any) -> None:
    class Kind(str, enum.Enum):  # noqa: UP042  # as applications of all ages write it
        ACCEPT = "websocket.accept"

    cycle = make_websocket()
    sent(cycle, collections.OrderedDict(type=Kind.ACCEPT), collections.OrderedDict(text("a")))
    assert cycle.wire.calls == [("accept", None, []), ("message", "a")]
