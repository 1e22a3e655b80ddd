"""The states of the two sides of an HTTP/1.1 connection, as a table with its rules.

The words are h11's. Each side moves by the events it sends (`next_state`); then the two sides are looked at together
(`settle`), because a connection is used again only when both are through with the message and neither said close (RFC 9112
9.3, 9.6). Knows no bytes and no event objects. `connection_py` keeps the same facts as plain flags, because they are read on
every request; the tests walk both side by side, so the flags cannot leave the table.

    client   IDLE -request-> SEND_BODY -data-> SEND_BODY -end-> DONE
    server   IDLE -informational-> IDLE -response-> SEND_BODY -data-> SEND_BODY -end-> DONE
             IDLE -switch-> SWITCHED_PROTOCOL          (101; the client follows in `settle`)
    both     -close-> CLOSED from IDLE, DONE, MUST_CLOSE, CLOSED;  -error-> ERROR from anywhere
"""

from __future__ import annotations

from enum import Enum

from picocorn.base.errors import LocalProtocolError, RemoteProtocolError

__all__ = ["TRANSITIONS", "Event", "Role", "State", "next_state", "settle"]


class Role(Enum):
    """Which side of the connection."""

    CLIENT = "client"
    SERVER = "server"


class State(Enum):
    """Where a side is in the message it sends."""

    IDLE = "idle"
    SEND_BODY = "send-body"
    DONE = "done"
    MUST_CLOSE = "must-close"
    CLOSED = "closed"
    ERROR = "error"
    SWITCHED_PROTOCOL = "switched-protocol"


class Event(Enum):
    """What a side does."""

    REQUEST = "request"
    INFORMATIONAL = "informational"
    RESPONSE = "response"
    DATA = "data"
    END = "end"
    SWITCH = "switch"
    CLOSE = "close"
    ERROR = "error"


_BOTH: dict[State, dict[Event, State]] = {
    State.SEND_BODY: {Event.DATA: State.SEND_BODY, Event.END: State.DONE},
    State.DONE: {Event.CLOSE: State.CLOSED},
    State.MUST_CLOSE: {Event.CLOSE: State.CLOSED},
    # Closing twice is no mistake: the transport and the policy may both notice the end.
    State.CLOSED: {Event.CLOSE: State.CLOSED},
    State.ERROR: {},
    State.SWITCHED_PROTOCOL: {},
}

#: What each side may do where, and where that leads. What is not listed is an error; ERROR itself leads to ERROR anywhere.
TRANSITIONS: dict[Role, dict[State, dict[Event, State]]] = {
    Role.CLIENT: {State.IDLE: {Event.REQUEST: State.SEND_BODY, Event.CLOSE: State.CLOSED}, **_BOTH},
    Role.SERVER: {
        State.IDLE: {
            Event.INFORMATIONAL: State.IDLE,
            # A request that could not be read is answered, too: the response needs no request in SEND_BODY.
            Event.RESPONSE: State.SEND_BODY,
            Event.SWITCH: State.SWITCHED_PROTOCOL,
            Event.CLOSE: State.CLOSED,
        },
        **_BOTH,
    },
}


def next_state(role: Role, state: State, event: Event) -> State:
    """The state after `role` does `event` in `state`.

    Raises RemoteProtocolError (the client) or LocalProtocolError (the server) when the table has no such move.
    """
    if event is Event.ERROR:
        return State.ERROR
    try:
        return TRANSITIONS[role][state][event]
    except KeyError:
        message = f"{role.value} cannot {event.value} in state {state.value}"
        raise (RemoteProtocolError if role is Role.CLIENT else LocalProtocolError)(message) from None


def settle(client: State, server: State, keep_alive: bool) -> tuple[State, State]:
    """Client and server state after looking at both. `keep_alive` is False once either side said close (RFC 9112 9.6).

    Apply after each `next_state`. Both DONE is the only way to another request.
    """
    if server is State.SWITCHED_PROTOCOL:
        # The bytes behind a 101 belong to the other protocol (RFC 9110 7.8).
        return State.SWITCHED_PROTOCOL, server
    if client is State.DONE and server is State.DONE and keep_alive:
        return State.IDLE, State.IDLE
    if client is State.DONE and not keep_alive:
        client = State.MUST_CLOSE
    if server is State.DONE and (not keep_alive or client in (State.ERROR, State.CLOSED)):
        # Nothing more will be asked, or nothing more can be understood: the response was the last (RFC 9112 9.3).
        server = State.MUST_CLOSE
    return client, server
