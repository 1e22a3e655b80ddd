"""The table of states as a model: hypothesis drives a connection and the table side by side, and they must agree."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from http1_states import TRANSITIONS, Event, Role, State, next_state, settle
from picocorn.base.errors import LocalProtocolError, RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.base.native import NO_EXTENSIONS_VARIABLE
from picocorn.http1 import events

SUFFIXES = ["_py"] if os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0") else ["_c", "_py"]

# -- the table itself ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_every_move_is_in_the_table_or_refused(role: Role, state: State, event: Event) -> None:
    if event is Event.ERROR:
        assert next_state(role, state, event) is State.ERROR
    elif event in TRANSITIONS[role].get(state, {}):
        assert next_state(role, state, event) is TRANSITIONS[role][state][event]
    else:
        with pytest.raises(RemoteProtocolError if role is Role.CLIENT else LocalProtocolError):
            next_state(role, state, event)


@pytest.mark.parametrize("client", State)
@pytest.mark.parametrize("server", State)
@pytest.mark.parametrize("keep_alive", [True, False])
def test_settling_twice_changes_nothing(client: State, server: State, keep_alive: bool) -> None:
    once = settle(client, server, keep_alive)
    assert settle(*once, keep_alive) == once


@pytest.mark.parametrize("client", State)
@pytest.mark.parametrize("server", State)
@pytest.mark.parametrize("keep_alive", [True, False])
def test_only_both_done_lead_to_another_request(client: State, server: State, keep_alive: bool) -> None:
    both_idle = settle(client, server, keep_alive) == (State.IDLE, State.IDLE)
    assert both_idle == ((client, server) == (State.IDLE, State.IDLE) or (client is server is State.DONE and keep_alive))


# -- the connection against it ------------------------------------------------------------------------------------------

REQUEST = st.tuples(
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.sampled_from([b"1.0", b"1.1"]),
    st.sampled_from(["none", "length", "chunked"]),
    st.booleans(),  # Connection: close
)
RESPONSE = st.tuples(
    st.sampled_from([200, 204, 205, 304, 404]),
    st.lists(st.sampled_from([b"", b"a", b"bc" * 20000]), min_size=1, max_size=3),
    st.booleans(),  # with a length
    st.booleans(),  # Connection: close
)
#: How far the request has come when the response begins, and when it ends.
PROGRESS = st.tuples(st.integers(0, 3), st.integers(0, 3)).map(sorted)


def pieces_of(request: Any) -> list[bytes]:
    """Head, and content in three pieces (empty where there is none)."""
    method, version, framing, close = request
    lines = [method + b" / HTTP/" + version, b"Host: a"]
    content = [b"", b"", b""]
    if framing == "chunked" and version == b"1.1":
        lines.append(b"Transfer-Encoding: chunked")
        content = [b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"]
    elif framing == "length":
        lines.append(b"Content-Length: 6")
        content = [b"ab", b"cd", b"ef"]
    if close:
        lines.append(b"Connection: close")
    return [b"\r\n".join([*lines, b"", b""]), *content]


class Model:
    """Both sides by the table, with the connection's output read as a client would."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.client = self.server = State.IDLE

    def do(self, role: Role, event: Event) -> None:
        if role is Role.CLIENT:
            self.client = next_state(role, self.client, event)
        else:
            self.server = next_state(role, self.server, event)
        both = self.client, self.server = settle(self.client, self.server, self.connection.keep_alive)
        connection = self.connection
        if both != (State.IDLE, State.IDLE):
            assert connection.request_complete == (self.client in (State.DONE, State.MUST_CLOSE))
            assert connection.response_complete == (self.server in (State.DONE, State.MUST_CLOSE))
            assert connection.response_started == (self.server is not State.IDLE)
        else:
            assert connection.request_complete
            assert connection.response_complete
            assert connection.keep_alive

    def read(self, data: bytes) -> None:
        if data:
            self.connection.feed(data)
        while (event := self.connection.next_event()) != events.NEED_DATA:
            self.do(Role.CLIENT, {events.HEAD: Event.REQUEST, events.DATA: Event.DATA, events.END: Event.END}[event])
            if event == events.END:
                return


@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=300, deadline=None)
@given(exchanges=st.lists(st.tuples(REQUEST, RESPONSE, PROGRESS), min_size=1, max_size=4))
def test_the_connection_follows_the_table(suffix: str, exchanges: Any) -> None:
    connection = importlib.import_module(f"picocorn.http1.connection{suffix}").HTTP1Connection(HTTP1Limits())
    model = Model(connection)
    for request, (status, content, with_length, close), (begin, end) in exchanges:
        pieces = pieces_of(request)
        for piece in pieces[: begin + 1]:
            if not connection.request_complete or model.client is State.IDLE:
                model.read(piece)
        headers = [(b"connection", b"close")] if close else []
        if with_length:
            headers.append((b"content-length", b"%d" % sum(map(len, content))))
        connection.write_head(status, headers, b"")
        output = b""
        for index, data in enumerate(content):
            last = index == len(content) - 1
            if last:
                for piece in pieces[begin + 1 : end + 1]:
                    if not connection.request_complete:
                        model.read(piece)
            first = not connection.response_started
            output += b"".join(connection.write_data(data, last))
            if first:
                # The first output is head and content; the table has a move for each.
                assert output.startswith(b"HTTP/1.1 %d " % status)
                model.server = next_state(Role.SERVER, model.server, Event.RESPONSE)
            model.do(Role.SERVER, Event.END if last else Event.DATA)
        told = b"\r\nconnection: close\r\n" in output
        # Who keeps a connection has not said close; who has not said it may still close when content never ended.
        assert not (told and connection.keep_alive)
        assert told or connection.keep_alive or not connection.request_complete
        for piece in pieces[end + 1 :]:
            if not connection.request_complete and connection.keep_alive:
                model.read(piece)
        if (model.client, model.server) != (State.IDLE, State.IDLE):
            assert not connection.keep_alive
            assert State.MUST_CLOSE in (model.client, model.server)
            return
