"""The state table: every move in it, every move that is not, and when a connection may be used again."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from types import ModuleType

import pytest

from picocorn.base.errors import LocalProtocolError, ProtocolError, RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import DATA, END, HEAD
from picocorn.http1.states import TRANSITIONS, Event, Role, State, next_state, settle

IDLE, SEND_BODY, DONE, MUST_CLOSE = State.IDLE, State.SEND_BODY, State.DONE, State.MUST_CLOSE
CLOSED, ERROR, SWITCHED_PROTOCOL = State.CLOSED, State.ERROR, State.SWITCHED_PROTOCOL


def test_every_state_has_its_row() -> None:
    assert {role: set(rows) for role, rows in TRANSITIONS.items()} == {role: set(State) for role in Role}


@pytest.mark.parametrize(("role", "state", "event"), list(product(Role, State, Event)))
def test_every_move(role: Role, state: State, event: Event) -> None:
    if event is Event.ERROR:
        assert next_state(role, state, event) is ERROR
    elif event in TRANSITIONS[role][state]:
        assert next_state(role, state, event) is TRANSITIONS[role][state][event]
    else:
        with pytest.raises(ProtocolError, match=f"{role.value} cannot {event.value} in state {state.value}"):
            next_state(role, state, event)


def test_who_broke_the_rule() -> None:
    with pytest.raises(RemoteProtocolError):
        next_state(Role.CLIENT, IDLE, Event.DATA)
    with pytest.raises(LocalProtocolError):
        next_state(Role.SERVER, IDLE, Event.DATA)


def walk(*moves: tuple[Role, Event], keep_alive: bool = True) -> tuple[State, State]:
    client, server = IDLE, IDLE
    for role, event in moves:
        if role is Role.CLIENT:
            client = next_state(role, client, event)
        else:
            server = next_state(role, server, event)
        client, server = settle(client, server, keep_alive)
    return client, server


REQUEST = ((Role.CLIENT, Event.REQUEST), (Role.CLIENT, Event.DATA), (Role.CLIENT, Event.END))
RESPONSE = ((Role.SERVER, Event.RESPONSE), (Role.SERVER, Event.DATA), (Role.SERVER, Event.END))


def test_a_message_exchange_leads_back_to_the_start() -> None:
    assert walk(*REQUEST, *RESPONSE) == (IDLE, IDLE)
    assert walk(*RESPONSE, *REQUEST) == (IDLE, IDLE), "an early response, and then the rest of the request"
    assert walk(*(REQUEST + RESPONSE) * 3) == (IDLE, IDLE)


def test_informational_responses_come_before_the_final_one() -> None:
    early = (Role.SERVER, Event.INFORMATIONAL)
    assert walk(REQUEST[0], early, early, *REQUEST[1:], *RESPONSE) == (IDLE, IDLE)
    with pytest.raises(LocalProtocolError):
        walk(*REQUEST, RESPONSE[0], early)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        (REQUEST, (DONE, IDLE)),
        (RESPONSE, (IDLE, DONE)),
        (REQUEST[:2] + RESPONSE, (SEND_BODY, DONE)),
        (REQUEST + RESPONSE[:2], (DONE, SEND_BODY)),
    ],
)
def test_one_side_alone_starts_nothing_new(moves: tuple[tuple[Role, Event], ...], expected: tuple[State, State]) -> None:
    assert walk(*moves) == expected


def test_close_was_said() -> None:
    assert walk(*REQUEST, *RESPONSE, keep_alive=False) == (MUST_CLOSE, MUST_CLOSE)
    assert walk(*REQUEST, keep_alive=False) == (MUST_CLOSE, IDLE), "no second request, but still a response"
    with pytest.raises(RemoteProtocolError):
        walk(*REQUEST, *RESPONSE, REQUEST[0], keep_alive=False)


def test_no_second_request_before_the_response() -> None:
    with pytest.raises(RemoteProtocolError, match="client cannot request in state done"):
        walk(*REQUEST, REQUEST[0])


def test_a_broken_request_is_answered_and_that_is_the_last() -> None:
    assert walk(REQUEST[0], (Role.CLIENT, Event.ERROR), *RESPONSE) == (ERROR, MUST_CLOSE)


def test_a_client_that_closes_early_still_gets_its_response() -> None:
    assert walk(*REQUEST, (Role.CLIENT, Event.CLOSE), *RESPONSE) == (CLOSED, MUST_CLOSE)


def test_closing_in_the_middle_of_a_message_is_an_error() -> None:
    with pytest.raises(RemoteProtocolError):
        walk(*REQUEST[:2], (Role.CLIENT, Event.CLOSE))
    with pytest.raises(LocalProtocolError):
        walk(*REQUEST, *RESPONSE[:2], (Role.SERVER, Event.CLOSE))


def test_closing_twice_is_no_mistake() -> None:
    close = (Role.CLIENT, Event.CLOSE)
    assert walk(close, close, (Role.SERVER, Event.CLOSE)) == (CLOSED, CLOSED)


def test_switching_protocols_takes_both_along_and_ends_the_table() -> None:
    assert walk(*REQUEST, (Role.SERVER, Event.SWITCH)) == (SWITCHED_PROTOCOL, SWITCHED_PROTOCOL)
    with pytest.raises(RemoteProtocolError):
        walk(*REQUEST, (Role.SERVER, Event.SWITCH), REQUEST[0])


# -- the connection's flags against the table --------------------------------------------------------------------------

CLIENT_EVENTS = {HEAD: Event.REQUEST, DATA: Event.DATA, END: Event.END}


@pytest.mark.parametrize("early", [False, True], ids=["in-turn", "early"])
@pytest.mark.parametrize("server_closes", [False, True])
@pytest.mark.parametrize("client_closes", [False, True])
@pytest.mark.parametrize("pieces", [1, 2])
def test_the_connection_keeps_to_the_table(
    room: Callable[[str], ModuleType], early: bool, server_closes: bool, client_closes: bool, pieces: int
) -> None:
    connection = room("http1.connection").HTTP1Connection(HTTP1Limits())
    client, server = IDLE, IDLE

    def both(role: Role, event: Event) -> None:
        nonlocal client, server
        if role is Role.CLIENT:
            client = next_state(role, client, event)
        else:
            server = next_state(role, server, event)
        client, server = settle(client, server, connection.keep_alive)
        # Complete on both sides and nobody said close: only then may the next request be read.
        ready = connection.request_complete and connection.response_complete and connection.keep_alive
        assert ready == ((client, server) == (IDLE, IDLE)), (role, event)

    def read(count: int) -> None:
        for _ in range(count):
            both(Role.CLIENT, CLIENT_EVENTS[connection.next_event()])

    connection.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n")
    connection.feed(b"Connection: close\r\n\r\nhello" if client_closes else b"\r\nhello")
    read(1 if early else 3)
    connection.write_head(200, [(b"connection", b"close")] if server_closes else [], b"")
    for number in range(pieces):
        last = number == pieces - 1
        connection.write_data(b"x", last)
        if number == 0:
            server = next_state(Role.SERVER, server, Event.RESPONSE)
        server = next_state(Role.SERVER, server, Event.DATA)
    both(Role.SERVER, Event.END)
    if early:
        read(2)
    assert (client, server) == ((MUST_CLOSE, MUST_CLOSE) if client_closes or server_closes else (IDLE, IDLE))
