"""The ASGI state of one request: receive and send. Named after the ids of the specification."""

from __future__ import annotations

import asyncio
import collections
import enum
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from asgi.cycles import DISCONNECT, END, START, body, now, run, run_application, sent
from asgi.waiting import outside, turns
from picocorn.base.errors import LocalProtocolError

# -- receive: E1, E2, E10 -----------------------------------------------------------------------------------------------


def test_e1_request_without_content(make: Any) -> None:
    cycle = make()
    cycle.feed_end()
    assert now(cycle.receive()) == {"type": "http.request", "body": b"", "more_body": False}


def test_e1_small_content_is_one_message(make: Any) -> None:
    cycle = make("POST")
    cycle.feed_data(b"ab")
    cycle.feed_data(b"cd")
    cycle.feed_end()
    assert now(cycle.receive()) == {"type": "http.request", "body": b"abcd", "more_body": False}
    assert cycle.wire.calls == [("consume", 4)]


def test_one_piece_is_handed_on_uncopied(make: Any) -> None:
    cycle = make("POST")
    data = b"x" * 1000
    cycle.feed_data(data)
    assert now(cycle.receive())["body"] is data


def test_e2_content_is_streamed(make: Any) -> None:
    cycle = make("POST")
    cycle.feed_data(b"ab")
    assert now(cycle.receive()) == {"type": "http.request", "body": b"ab", "more_body": True}
    assert cycle.body_bytes == 0
    cycle.feed_data(b"cd")
    assert now(cycle.receive()) == {"type": "http.request", "body": b"cd", "more_body": True}
    cycle.feed_end()
    assert now(cycle.receive()) == {"type": "http.request", "body": b"", "more_body": False}


def test_receive_waits_for_content(make: Any) -> None:
    async def main() -> None:
        cycle = make("POST")
        task = asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        assert cycle.wire.calls == [("request_body",)]
        cycle.feed_data(b"ab")
        await asyncio.sleep(0)
        # Not before the connection has used up its input: a small POST is one message.
        assert not task.done()
        cycle.feed_end()
        cycle.wake()
        assert await task == {"type": "http.request", "body": b"ab", "more_body": False}

    run(main())


def test_several_may_wait(make: Any) -> None:
    async def main() -> None:
        cycle = make("POST")
        first, second = asyncio.create_task(cycle.receive()), asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        cycle.feed_data(b"ab")
        cycle.wake()
        assert (await first)["body"] == b"ab"
        assert not second.done()
        cycle.disconnect()
        assert await second == DISCONNECT

    run(main())


def test_cancelled_receive_loses_nothing(make: Any) -> None:
    async def main() -> None:
        cycle = make("POST")
        task = asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        cycle.feed_data(b"ab")
        cycle.wake()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now(cycle.receive())["body"] == b"ab"

    run(main())


def test_a_receive_that_is_cancelled_before_its_first_step_loses_nothing(make: Any) -> None:
    async def main() -> None:
        cycle = make("POST")
        cycle.feed_data(b"ab")
        task = asyncio.create_task(cycle.receive())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert now(cycle.receive())["body"] == b"ab"

    run(main())


def test_cancelled_receives_leave_nothing_behind(make: Any) -> None:
    # Starlette's `request.is_disconnected()` is one, asked again and again for as long as a stream lasts.
    async def main() -> None:
        cycle = make()
        cycle.feed_end()
        await cycle.receive()
        patient = asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        references = sys.getrefcount(cycle)
        for _ in range(100):
            task = asyncio.create_task(cycle.receive())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            del task
        assert sys.getrefcount(cycle) == references
        cycle.disconnect()
        assert await patient == DISCONNECT

    run(main())


def test_the_application_goes_on_inside_the_wake(make: Any) -> None:
    async def app() -> None:
        while (event := await cycle.receive())["type"] == "http.request":
            events.append(event["body"])
            if not event["more_body"]:
                await cycle.send(START)
                await cycle.send(END)

    def connection() -> None:
        for piece in (b"a", b"b"):
            cycle.feed_data(piece)
            cycle.wake()
            assert events[-1] == piece
        cycle.feed_end()
        cycle.wake()
        assert cycle.wire.calls[-1] == ("data", b"", True)

    async def main() -> None:
        task = asyncio.create_task(app())
        await turns()
        await outside(connection)
        assert task.done()
        await task

    cycle = make("POST")
    events: list[bytes] = []
    run(main())
    assert events == [b"a", b"b", b""]


def test_e10_disconnect_wakes_who_waits(make: Any) -> None:
    async def main() -> None:
        cycle = make()
        cycle.feed_end()
        now(cycle.receive())
        task = asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        cycle.disconnect()
        assert await task == DISCONNECT
        assert now(cycle.receive()) == DISCONNECT
        cycle.disconnect()

    run(main())


def test_e10_response_complete_wakes_who_waits(make: Any) -> None:
    async def main() -> None:
        cycle = make()
        cycle.feed_end()
        now(cycle.receive())
        task = asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        sent(cycle, START, END)
        assert await task == DISCONNECT

    run(main())


def test_e10_after_the_response_at_once_and_for_ever(make: Any) -> None:
    cycle = make()
    sent(cycle, START, END)
    for _ in range(3):
        assert now(cycle.receive()) == DISCONNECT


def test_e10_with_unread_content(make: Any) -> None:
    cycle = make("POST")
    cycle.feed_data(b"ab")
    sent(cycle, START, END)
    assert now(cycle.receive()) == DISCONNECT


def test_disconnect_within_the_content_hides_the_rest(make: Any) -> None:
    # What has come of it is no request, and must not be taken for one.
    cycle = make("POST")
    cycle.feed_data(b"ab")
    cycle.disconnect()
    assert now(cycle.receive()) == DISCONNECT


def test_content_within_which_the_client_leaves_is_let_go(make: Any) -> None:
    # The application's task may go on for hours.
    cycle = make("POST")
    content = bytes(1000)
    references = sys.getrefcount(content)
    cycle.feed_data(content)
    cycle.disconnect()
    assert sys.getrefcount(content) == references
    assert cycle.body_bytes == 0
    # The connection may go on reading what nobody will be given: it does not make a request of the rest.
    cycle.feed_end()
    assert now(cycle.receive()) == DISCONNECT


def test_content_that_is_not_read_before_the_answer_can_be_let_go(make: Any) -> None:
    cycle = make("POST")
    content = bytes(1000)
    references = sys.getrefcount(content)
    cycle.feed_data(content)
    cycle.feed_end()
    assert not cycle.discard_content()
    sent(cycle, START, END)
    assert cycle.discard_content()
    assert sys.getrefcount(content) == references
    assert now(cycle.receive()) == DISCONNECT


def test_complete_content_outlives_the_client(make: Any) -> None:
    cycle = make("POST")
    cycle.feed_data(b"ab")
    cycle.feed_end()
    cycle.disconnect()
    assert now(cycle.receive())["body"] == b"ab"
    assert now(cycle.receive()) == DISCONNECT


def test_half_close_is_told_by_receive_and_does_not_stop_send(make: Any) -> None:
    async def main() -> None:
        cycle = make()
        cycle.feed_end()
        assert now(cycle.receive())["type"] == "http.request"
        task = asyncio.create_task(cycle.receive())
        await asyncio.sleep(0)
        cycle.feed_eof()
        assert await task == DISCONNECT
        assert sent(cycle, START, body(b"a"))[-1] == ("data", b"a", True)

    run(main())


def test_c3_every_event_is_of_plain_types(make: Any) -> None:
    cycle = make("POST")
    cycle.feed_data(b"ab")
    cycle.feed_data(b"cd")
    for event in (now(cycle.receive()), (cycle.feed_end(), now(cycle.receive()))[1], (cycle.disconnect(), DISCONNECT)[1]):
        assert type(event) is dict
        for key, value in event.items():
            assert type(key) is str
            assert type(value) in (str, bytes, bool)


# -- send: E3 to E8 -----------------------------------------------------------------------------------------------------


def test_e3_fields_reach_the_wire_in_order(make: Any) -> None:
    headers = ((name, b"v") for name in (b"b", b"a", b"b"))
    calls = sent(make(), {**START, "status": 404, "headers": headers})
    assert calls == [("head", 404, [(b"b", b"v"), (b"a", b"v"), (b"b", b"v")], False)]


@pytest.mark.parametrize("message", [{"type": "http.response.start", "status": 200}, {**START, "headers": None}])
def test_e3_headers_are_optional(make: Any, message: Any) -> None:
    assert sent(make(), message) == [("head", 200, [], False)]


def test_status_may_be_an_enum(make: Any) -> None:
    assert sent(make(), {**START, "status": HTTPStatus.CREATED})[0][1] == 201


def test_e4_start_only_holds(make: Any) -> None:
    calls = sent(make(), START)
    assert [call[0] for call in calls] == ["head"]


def test_e6_defaults_of_a_body_message(make: Any) -> None:
    assert sent(make(), START, END)[1:] == [("data", b"", True)]


def test_e6_content_is_streamed(make: Any) -> None:
    calls = sent(make(), START, body(b"a", True), body(b"", True), body(b"b"))
    assert calls[1:] == [("data", b"a", False), ("data", b"", False), ("data", b"b", True)]


class Bytes(bytes):
    """A subclass."""


@pytest.mark.parametrize("data", [bytearray(b"ab"), memoryview(b"ab"), memoryview(b"xaxbx")[1::2], Bytes(b"ab")])
def test_e6_other_buffers(make: Any, data: Any) -> None:
    assert sent(make(), START, body(data))[1:] == [("data", b"ab", True)]


def test_e6_a_buffer_may_be_reused(make: Any) -> None:
    cycle = make()
    data = bytearray(b"ab")
    sent(cycle, START, body(data, True))
    data[:] = b"xx"
    assert cycle.wire.calls[1] == ("data", b"ab", False)


@pytest.mark.parametrize("last", [body(b"a", True), body(b"a")])
def test_e6_send_waits_for_the_wire(make: Any, last: dict[str, Any]) -> None:
    async def main() -> None:
        cycle = make()
        cycle.wire.full = True
        cycle.wire.drained = asyncio.Event()
        await cycle.send(START)
        task = asyncio.create_task(cycle.send(last))
        await asyncio.sleep(0)
        assert not task.done()
        # In the send buffer before send() returns, whether or not it waits (ASGI E6).
        assert cycle.wire.calls[1][0] == "data"
        cycle.wire.drained.set()
        await task

    run(main())


@pytest.mark.parametrize("last", [body(b"a", True), body(b"a")])
def test_e6_cancelled_sends_queue_nothing(make: Any, last: dict[str, Any]) -> None:
    async def main() -> None:
        cycle = make()
        cycle.wire.blocked = True
        cycle.wire.drained = asyncio.Event()
        await cycle.send(START)
        for _ in range(3):
            task = asyncio.create_task(cycle.send(last))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert [call[0] for call in cycle.wire.calls] == ["head", "drain", "drain", "drain"]
        cycle.wire.blocked = False
        await cycle.send(last)
        assert cycle.wire.calls[-1] == ("data", b"a", not last.get("more_body", False))

    run(main())


def test_e7_messages_after_the_end_are_ignored(make: Any) -> None:
    cycle = make()
    calls = list(sent(cycle, START, END))
    kinds = ["start", "body", "trailers", "early_hint", "pathsend", "zerocopysend"]
    assert sent(cycle, *({"type": f"http.response.{kind}"} for kind in kinds)) == calls


def test_e8_trailers_come_last(make: Any) -> None:
    trailers = {"type": "http.response.trailers", "headers": [(b"x", b"1")], "more_trailers": True}
    cycle = make()
    calls = sent(cycle, {**START, "trailers": True}, body(b"a"), trailers, {**trailers, "more_trailers": False})
    assert calls == [("head", 200, [], True), ("data", b"a", False), ("trailers", [(b"x", b"1"), (b"x", b"1")])]
    assert now(cycle.receive()) == DISCONNECT


def test_e8_response_is_not_complete_before_its_trailers(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "trailers": True})
        await send(body(b"a"))

    cycle = make()
    run(run_application(cycle, app))
    assert cycle.wire.calls[-1] == ("fail",)
    assert "without completing response" in caplog.text


def test_wrong_trailers_can_be_put_right(make: Any) -> None:
    cycle = make()
    sent(cycle, {**START, "trailers": True}, END)
    cycle.wire.refusal = LocalProtocolError("no")
    with pytest.raises(LocalProtocolError):
        cycle.send({"type": "http.response.trailers", "headers": [(b"x", b"\n")]})
    cycle.wire.refusal = None
    assert sent(cycle, {"type": "http.response.trailers"})[-1] == ("trailers", [])


def test_trailers_that_raise_leave_the_response_open(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({**START, "trailers": True})
        await send(body(b"a"))
        await send({"type": "http.response.trailers", "headers": [(1 // number for number in [0])]})

    cycle = make()
    run(run_application(cycle, app))
    assert cycle.wire.calls[-1] == ("fail",)
    assert "ZeroDivisionError" in caplog.text


def test_types_may_be_members_of_an_enumeration(make: Any, tmp_path: Path) -> None:
    class Kind(str, enum.Enum):  # noqa: UP042  # as applications of all ages write it
        START = "http.response.start"
        BODY = "http.response.body"
        PATH = "http.response.pathsend"

    path = tmp_path / "file"
    path.write_bytes(b"a")

    for message in ({"type": Kind.BODY, "body": b"a"}, {"type": Kind.PATH, "path": str(path)}):

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": Kind.START, "status": HTTPStatus.OK})
            await send(message)  # noqa: B023

        cycle = make()
        run(run_application(cycle, app))
        assert cycle.wire.calls == [("head", 200, [], False), ("data", b"a", True)]


def test_x5_early_hint_before_and_after_start(make: Any) -> None:
    hint = {"type": "http.response.early_hint", "links": (link for link in [b"</a>", b"</b>"])}
    links = [(b"link", b"</a>"), (b"link", b"</b>")]
    assert sent(make(), hint) == [("informational", 103, links)]
    assert sent(make(), START, {**hint, "links": [b"</a>", b"</b>"]})[1:] == [("informational", 103, links)]


@pytest.mark.parametrize("message", [{}, {"links": None}, {"links": ["</a>"]}, {"links": 3}])
def test_x5_wrong_links(make: Any, message: Any) -> None:
    with pytest.raises(LocalProtocolError, match="links"):
        make().send({"type": "http.response.early_hint", **message})


# -- wrong messages: C5, C6 ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        {"type": "nope"},
        {"type": None},
        {"type": []},
        {},
        None,
        b"",
        [],
        END,
        {"type": "http.response.start"},
        {"type": "http.response.start", "status": "200"},
        {"type": "http.response.start", "status": 200.0},
        {"type": "http.response.start", "status": None},
        {"type": "http.response.start", "status": 10**30},
        {"type": "http.response.trailers"},
        {"type": "http.response.pathsend", "path": "x"},
        {"type": "http.response.push", "path": "/", "headers": []},
        {"type": "http.response.debug", "info": {}},
        {"type": "websocket.accept"},
    ],
    ids=repr,
)
def test_c5_wrong_first_message(make: Any, message: Any) -> None:
    cycle = make()
    with pytest.raises(LocalProtocolError):
        cycle.send(message)
    # Nothing has happened: a right one is taken.
    assert sent(cycle, START, END)[-1] == ("data", b"", True)


@pytest.mark.parametrize(
    "message", [START, {"type": "http.response.body", "body": "text"}, body(None), body([1]), {"type": "http.response.trailers"}]
)
def test_c5_wrong_second_message(make: Any, message: Any) -> None:
    cycle = make()
    sent(cycle, START)
    with pytest.raises(LocalProtocolError):
        cycle.send(message)
    assert sent(cycle, END)[-1] == ("data", b"", True)


def test_c5_wrong_message_after_the_end(make: Any) -> None:
    cycle = make()
    sent(cycle, START, END)
    for message in ({"type": "nope"}, {"type": []}, None):
        with pytest.raises(LocalProtocolError):
            cycle.send(message)


def test_c5_refused_head_is_no_start(make: Any) -> None:
    cycle = make()
    cycle.wire.refusal = LocalProtocolError("no")
    with pytest.raises(LocalProtocolError):
        cycle.send(START)
    cycle.wire.refusal = None
    assert [call[0] for call in sent(cycle, START)] == ["head"]


@pytest.mark.parametrize("more", [True, False])
def test_c5_refused_content_can_be_put_right(make: Any, more: bool) -> None:
    cycle = make()
    sent(cycle, START)
    cycle.wire.refusal = LocalProtocolError("no")
    with pytest.raises(LocalProtocolError):
        cycle.send(body(b"abc", more))
    cycle.wire.refusal = None
    assert sent(cycle, body(b"a"))[-1] == ("data", b"a", True)


def test_c6_extra_keys(make: Any) -> None:
    cycle = make()
    messages = [{**START, "trailers": True}, END, {"type": "http.response.trailers"}]
    assert len(sent(cycle, *({**message, "x-unknown": 1} for message in messages))) == 3


def test_messages_may_be_subclasses_of_dict(make: Any) -> None:
    messages = [{**START, "trailers": True}, body(b"a"), {"type": "http.response.trailers"}]
    early = {"type": "http.response.early_hint", "links": []}
    assert len(sent(make(), *map(collections.OrderedDict, [early, *messages]))) == 4
