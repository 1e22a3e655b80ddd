"""The ASGI state of one WebSocket: the handshake and what is received. Named after the ids of the specification."""

from __future__ import annotations

import asyncio
import enum
import gc
import sys
from typing import Any

import pytest

from asgi.cycles import now, run
from asgi.waiting import outside, turns
from asgi.websockets import ACCEPT, CLOSE, CONNECT, closed, lost, opened, received, sent, start, text
from picocorn.base.errors import LocalProtocolError

# -- the handshake: W2, W3, W4 ------------------------------------------------------------------------------------------


def test_w2_connect_comes_first_and_once(make_websocket: Any) -> None:
    cycle = make_websocket()
    assert received(cycle, 1) == [CONNECT]
    assert not cycle.accepted
    assert not cycle.wire.calls
    cycle.feed_close(1001, "going")
    assert received(cycle, 1) == [closed(1001, "going")]


def test_w2_connect_comes_even_where_accept_was_quicker(make_websocket: Any) -> None:
    cycle = make_websocket()
    sent(cycle, ACCEPT)
    cycle.feed_message("a")
    assert received(cycle, 2) == [CONNECT, {"type": "websocket.receive", "text": "a"}]


@pytest.mark.parametrize("headers", [[(b"x-a", b"1"), [b"x-b", b"2"]], ((b"x-a", b"1"), (b"x-b", b"2")), None])
@pytest.mark.parametrize("subprotocol", [None, "chat"])
def test_w3_accept(make_websocket: Any, subprotocol: str | None, headers: Any) -> None:
    cycle = make_websocket()
    fields = [(b"x-a", b"1"), (b"x-b", b"2")] if headers is not None else []
    assert sent(cycle, {**ACCEPT, "subprotocol": subprotocol, "headers": headers}) == [("accept", subprotocol, fields)]
    assert cycle.accepted
    assert not cycle.closed


def test_w3_keys_are_optional_and_headers_any_iterable(make_websocket: Any) -> None:
    assert sent(make_websocket(), ACCEPT) == [("accept", None, [])]
    headers = (field for field in [(b"x", b"1")])
    assert sent(make_websocket(), {**ACCEPT, "headers": headers}) == [("accept", None, [(b"x", b"1")])]


@pytest.mark.parametrize("subprotocol", [b"chat", 5, ["chat"]])
def test_w3_subprotocol_of_another_type(make_websocket: Any, subprotocol: Any) -> None:
    cycle = make_websocket()
    with pytest.raises(LocalProtocolError, match="subprotocol"):
        cycle.send({**ACCEPT, "subprotocol": subprotocol})
    assert not cycle.accepted
    assert sent(cycle, ACCEPT) == [("accept", None, [])]


@pytest.mark.parametrize("error", [LocalProtocolError("no"), ZeroDivisionError()])
def test_w3_a_refused_accept_can_be_put_right(make_websocket: Any, error: Exception) -> None:
    cycle = make_websocket()
    cycle.wire.refusal = error
    with pytest.raises(type(error)):
        cycle.send(ACCEPT)
    assert not cycle.accepted
    with pytest.raises(LocalProtocolError, match=r"but got 'websocket\.send'"):
        cycle.send(text("a"))
    cycle.wire.refusal = None
    assert sent(cycle, CLOSE) == [("reject", 403)]


def test_w3_what_follows_the_handshake_at_once(make_websocket: Any) -> None:
    def frames_behind_the_request() -> None:
        cycle.wire.meanwhile = None
        cycle.feed_message("a")
        cycle.feed_close(1000, "done")

    cycle = make_websocket()
    cycle.wire.meanwhile = frames_behind_the_request
    sent(cycle, ACCEPT)
    assert cycle.accepted
    assert cycle.closed
    lost(cycle, text("b"))
    assert received(cycle, 3) == [CONNECT, {"type": "websocket.receive", "text": "a"}, closed(1000, "done")]


def test_w3_a_peer_that_is_lost_within_a_refused_accept(make_websocket: Any) -> None:
    def vanish() -> None:
        cycle.disconnect(1006)
        raise LocalProtocolError("no")

    cycle = make_websocket()
    cycle.wire.meanwhile = vanish
    with pytest.raises(LocalProtocolError, match="no"):
        cycle.send(ACCEPT)
    assert cycle.closed
    lost(cycle, ACCEPT)


@pytest.mark.parametrize("message", [CLOSE, {**CLOSE, "code": 4001, "reason": "no"}, {**CLOSE, "code": 403, "reason": [1]}])
def test_w4_close_before_accept_is_a_403(make_websocket: Any, message: Any) -> None:
    cycle = make_websocket()
    assert sent(cycle, message) == [("reject", 403)]
    assert cycle.closed
    assert not cycle.accepted
    # No close frame was ever sent.
    assert received(cycle, 3) == [CONNECT, closed(1006), closed(1006)]
    lost(cycle, ACCEPT, CLOSE, text("a"), start())


# -- receive: W5, W8 ----------------------------------------------------------------------------------------------------


def test_w5_exactly_one_of_bytes_and_text(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    for data in ("text", "", b"bytes", b""):
        cycle.feed_message(data)
    assert received(cycle, 4) == [
        {"type": "websocket.receive", "text": "text"},
        {"type": "websocket.receive", "text": ""},
        {"type": "websocket.receive", "bytes": b"bytes"},
        {"type": "websocket.receive", "bytes": b""},
    ]


def test_a_message_is_handed_on_uncopied(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    data = b"x" * 1000
    cycle.feed_message(data)
    assert received(cycle, 1)[0]["bytes"] is data


def test_messages_come_in_order_however_they_are_taken(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    taken = []
    for number in range(100):
        cycle.feed_message(str(number))
        if number % 3 == 2:
            taken += received(cycle, 2)
    taken += received(cycle, cycle.queued_messages)
    assert [message["text"] for message in taken] == [str(number) for number in range(100)]


def test_what_is_queued_is_counted(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    assert (cycle.queued_messages, cycle.queued_bytes) == (0, 0)
    cycle.feed_message("abc")
    cycle.feed_message(b"de")
    assert (cycle.queued_messages, cycle.queued_bytes) == (2, 5)
    received(cycle, 1)
    assert (cycle.queued_messages, cycle.queued_bytes) == (1, 2)
    received(cycle, 1)
    assert (cycle.queued_messages, cycle.queued_bytes) == (0, 0)


def test_the_session_hears_of_each_message_that_is_taken(make_websocket: Any) -> None:
    def look() -> None:
        assert (cycle.queued_messages, cycle.queued_bytes) == (0, 0)
        cycle.feed_message("read on")

    cycle = opened(make_websocket())
    consumed = cycle.wire.consumed
    cycle.feed_message("a")
    cycle.wire.consume = look
    assert received(cycle, 2) == [
        {"type": "websocket.receive", "text": "a"},
        {"type": "websocket.receive", "text": "read on"},
    ]
    del cycle.wire.consume
    cycle.feed_close(1000, "")
    received(cycle, 2)
    assert cycle.wire.consumed == consumed, "after the end there is nothing to read on for"


def test_receive_waits(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        task = asyncio.create_task(cycle.receive())
        await turns()
        cycle.feed_message("a")
        await turns()
        # Not before the session has used up its input.
        assert not task.done()
        cycle.wake()
        assert await task == {"type": "websocket.receive", "text": "a"}

    run(main())


def test_the_application_goes_on_inside_the_wake(make_websocket: Any) -> None:
    async def app(cycle: Any) -> None:
        while (message := await cycle.receive())["type"] != "websocket.disconnect":
            await cycle.send(text(message["text"] + "!"))
        told.append(message)

    def session(cycle: Any) -> None:
        for data in ("a", "b"):
            cycle.feed_message(data)
        cycle.wake()
        assert cycle.wire.calls == [("message", "a!"), ("message", "b!")]
        cycle.feed_close(1001, "bye")
        assert told == [closed(1001, "bye")]

    async def main() -> None:
        cycle = opened(make_websocket())
        task = asyncio.create_task(app(cycle))
        await turns()
        await outside(session, cycle)
        await task

    told: list[Any] = []
    run(main())


def test_several_may_wait_and_several_may_send(make_websocket: Any) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        tasks = [asyncio.create_task(cycle.receive()) for _ in range(3)]
        await turns()
        cycle.feed_message("a")
        cycle.feed_message(b"b")
        cycle.wake()
        await asyncio.gather(*(asyncio.create_task(cycle.send(text(str(number)))) for number in range(3)))
        assert (await tasks[0], await tasks[1]) == (
            {"type": "websocket.receive", "text": "a"},
            {"type": "websocket.receive", "bytes": b"b"},
        )
        assert not tasks[2].done()
        cycle.feed_close(1000, "")
        assert await tasks[2] == closed(1000)
        assert cycle.wire.calls == [("message", str(number)) for number in range(3)]

    run(main())


@pytest.mark.parametrize("before", ["its first step", "the message", "its turn"])
def test_a_cancelled_receive_loses_nothing(make_websocket: Any, before: str) -> None:
    async def main() -> None:
        cycle = opened(make_websocket())
        if before == "its first step":
            cycle.feed_message("a")
        task = asyncio.create_task(cycle.receive())
        if before != "its first step":
            await turns()
        if before == "its turn":
            cycle.feed_message("a")
            cycle.wake()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if before == "the message":
            cycle.feed_message("a")
            cycle.wake()
        assert received(cycle, 1) == [{"type": "websocket.receive", "text": "a"}]

    run(main())


def test_w8_what_came_before_the_close_is_received_first(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.feed_message("a")
    cycle.feed_message("b")
    cycle.feed_close(4001, "why")
    messages = received(cycle, 5)
    assert [message.get("text") for message in messages[:2]] == ["a", "b"]
    assert messages[2:] == [closed(4001, "why")] * 3
    assert len({id(message) for message in messages}) == 5, "each dict its own"


def test_w8_only_the_first_end_is_told(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.feed_close(1012, "")
    cycle.disconnect(1006)
    cycle.feed_close(1000, "")
    assert received(cycle, 2) == [closed(1012)] * 2


def test_w8_a_loss_has_no_reason(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.feed_message("a")
    cycle.disconnect(1006)
    assert received(cycle, 2) == [{"type": "websocket.receive", "text": "a"}, closed(1006)]


def test_nothing_is_queued_after_the_end(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.feed_close(1000, "")
    cycle.feed_message("late")
    assert cycle.queued_messages == 0
    assert received(cycle, 1) == [closed(1000)]


def test_c3_every_event_is_of_plain_types(make_websocket: Any) -> None:
    class Code(enum.IntEnum):
        MINE = 4001

    class Reason(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    cycle = make_websocket()
    events = received(cycle, 1)
    sent(cycle, ACCEPT)
    cycle.feed_message("a")
    cycle.feed_message(b"a")
    sent(cycle, {**CLOSE, "code": Code.MINE, "reason": Reason("why")})
    events += received(cycle, 3)
    assert events[-1] == closed(4001, "why")
    for event in events:
        assert type(event) is dict
        for key, value in event.items():
            assert type(key) is str
            assert type(value) in (str, bytes, int)


def test_an_idle_websocket_keeps_no_queue(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    gc.collect()
    before = len(gc.get_referents(cycle))
    for _ in range(3):
        cycle.feed_message("a")
    received(cycle, 3)
    assert len(gc.get_referents(cycle)) == before


def test_nothing_needs_a_loop_that_need_not_wait(make_websocket: Any) -> None:
    cycle = opened(make_websocket())
    cycle.feed_message("a")
    assert now(cycle.receive())["text"] == "a"
    references = sys.getrefcount(cycle)
    for _ in range(10):
        cycle.receive()
    assert sys.getrefcount(cycle) == references
