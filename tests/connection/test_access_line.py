"""What makes a line without a log record, on both bodies: the line itself, and the watch over what allows it."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picocorn.connection import access_line, access_line_py
from picocorn.connection.access_parts import request_parts

Room = Callable[[str], ModuleType]


def scope(**changes: Any) -> dict[str, Any]:
    return {
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "client": ("1.2.3.4", 55),
        **changes,
    }


def tail_of(status: int) -> str:
    return f'" {status}!\n'


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"path": "/a-b_c.d~e/0"},
        {"path": "/a b%é\x1b"},
        {"query_string": b"a=1&b=%C3%A9 ~"},
        {"query_string": b"\x1b[2J\xff\n\x7f"},
        {"client": None},
        {"client": ()},
        {"client": ("::1", 0)},
        {"client": ("h", 65535)},
        {"client": ("h", 65536)},
        {"client": ("h", -1)},
        {"client": ("h", 10**30)},
        {"client": ("h", "x")},
        {"client": ("h", 1, 2, 3)},
        {"client": ["h", 1]},
        {"client": ("", 1)},
        {"client": ("\x9b31m\u2028é", 1)},
        {"client": ("\x07", 1)},
        {"method": "MÉTHODE"},
        {"http_version": "1.0"},
        {"http_version": "é"},
    ],
)
def test_a_line(room: Room, changes: Any) -> None:
    asked = []

    def tail(status: int) -> str:
        asked.append(status)
        return tail_of(status)

    made = room("connection.access_line").LineFormat("[é] ", ' - "', tail)
    client, method, path, version = request_parts(scope(**changes))
    for status in (200, 999, 200):
        assert made.line(scope(**changes), status) == f'[é] {client} - "{method} {path} HTTP/{version}" {status}!\n'
    assert asked == [200, 999], "a tail is made once"
    plain = room("connection.access_line").LineFormat("INFO: ", ' - "', tail_of)
    assert plain.line(scope(**changes), 404) == f'INFO: {client} - "{method} {path} HTTP/{version}" 404!\n'


@given(
    path=st.text(max_size=20),
    query=st.binary(max_size=20),
    host=st.text(max_size=8),
    port=st.integers(-1, 70000),
)
def test_the_twins_make_the_same_line(path: str, query: bytes, host: str, port: int) -> None:
    given_scope = scope(path=path, query_string=query, client=(host, port))
    try:
        expected = access_line_py.LineFormat("p", "b", tail_of).line(given_scope, 200)
    except UnicodeEncodeError:
        with pytest.raises(UnicodeEncodeError):
            access_line.LineFormat("p", "b", tail_of).line(given_scope, 200)
    else:
        assert access_line.LineFormat("p", "b", tail_of).line(given_scope, 200) == expected


@pytest.mark.parametrize("missing", ["method", "path", "query_string", "http_version"])
def test_a_scope_without_a_key_is_an_error(room: Room, missing: str) -> None:
    broken = scope()
    del broken[missing]
    with pytest.raises(KeyError, match=missing):
        room("connection.access_line").LineFormat("p", "b", tail_of).line(broken, 200)


def test_a_scope_without_a_client_has_none(room: Room) -> None:
    nobody = scope()
    del nobody["client"]
    assert room("connection.access_line").LineFormat("p", "b", tail_of).line(nobody, 200) == 'pbGET / HTTP/1.1" 200!\n'


class Owner:
    """A class that a test changes."""

    limit = 1

    def method(self) -> None:
        """Nothing."""


@pytest.fixture
def watched() -> dict[str, Any]:
    return {"namespaces": [{"a": [], "b": 1000}], "lists": [[object()], []], "rarely": [{1: "one"}]}


def test_nothing_has_changed(room: Room, watched: Any) -> None:
    watch = room("connection.access_line").Watch(*watched.values(), [(Owner, "method"), (access_line_py, "request_parts")])
    assert watch.holds()
    assert watch.holds_all()
    # What is not watched may change.
    watched["namespaces"][0]["a"].append(1)
    Owner.limit += 1
    assert watch.holds_all()
    assert watch.holds_all()


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w["namespaces"][0].update(b=1001),
        lambda w: w["namespaces"][0].update(c=1),
        lambda w: w["namespaces"][0].pop("b"),
        lambda w: w["namespaces"][0].clear(),
        lambda w: w["lists"][0].append(1),
        lambda w: w["lists"][0].clear(),
        lambda w: w["lists"][0].insert(0, w["lists"][0].pop() and 1),
        # The same objects all in all, but not in the same lists.
        lambda w: w["lists"][1].append(w["lists"][0].pop()),
    ],
)
def test_what_is_looked_at_for_each_line(room: Room, watched: Any, change: Any) -> None:
    watch = room("connection.access_line").Watch(*watched.values(), [])
    change(watched)
    assert not watch.holds()
    assert not watch.holds_all()


def test_what_is_looked_at_once_a_turn(room: Room, watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = room("connection.access_line").Watch(*watched.values(), [(Owner, "method"), (access_line_py, "request_parts")])
    with monkeypatch.context() as patch:
        patch.setattr(Owner, "method", lambda self: None)
        assert watch.holds()
        assert not watch.holds_all()
        assert not watch.holds_all()
    assert watch.holds_all()
    with monkeypatch.context() as patch:
        patch.setattr(access_line_py, "request_parts", None)
        assert watch.holds()
        assert not watch.holds_all()
    assert watch.holds_all()
    watched["rarely"][0][1] = "uno"
    assert watch.holds()
    assert not watch.holds_all()
