"""The grammar of Sec-WebSocket-Extensions."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picocorn.websocket.extensions import Extension, is_token, parse_extensions

quickly = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize(
    ("value", "extensions"),
    [
        (b"", []),
        (b" ", []),
        (b",", []),
        (b"a", [(b"a", [])]),
        (b"a, b", [(b"a", []), (b"b", [])]),
        (b" ,a ,\t, b,", [(b"a", []), (b"b", [])]),
        (b"a;b", [(b"a", [(b"b", None)])]),
        (b"a; b=c", [(b"a", [(b"b", b"c")])]),
        (b"a ; b = c ; d", [(b"a", [(b"b", b"c"), (b"d", None)])]),
        (b'a; b="c"', [(b"a", [(b"b", b"c")])]),
        (b'a; b="\\c\\1"', [(b"a", [(b"b", b"c1")])]),
        (b"a; b; b=1; b", [(b"a", [(b"b", None), (b"b", b"1"), (b"b", None)])]),
        (b"a; b, c; d=10, a", [(b"a", [(b"b", None)]), (b"c", [(b"d", b"10")]), (b"a", [])]),
        (
            b"permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
            [(b"permessage-deflate", [(b"client_max_window_bits", None)]), (b"x-webkit-deflate-frame", [])],
        ),
    ],
)
def test_valid(value: bytes, extensions: list[Extension]) -> None:
    assert parse_extensions(value) == extensions


@pytest.mark.parametrize(
    "value",
    [
        b"a b",
        b"a;",
        b"a; ;b",
        b";a",
        b"=",
        b"a=b",
        b"a; b=",
        b"a; b=c d",
        b"a; =c",
        b'a; b="',
        b'a; b=""',
        b'a; b="c',
        b'a; b="c d"',
        b'a; b="c,d"',
        b'a; b="c"d',
        b'a; b="c\\"',
        b'a; b="\\""',
        b'"a"',
        b"a; b=(c)",
        b"a/b",
        b"\xe4",
        b"a\0",
        b"a;; b",
    ],
)
def test_invalid(value: bytes) -> None:
    assert parse_extensions(value) is None
    assert parse_extensions(b"a, " + value) is None


def test_a_field_as_long_as_a_head_may_be() -> None:
    # Each of these would take long if anything were looked at twice.
    for hostile in (b"a;" + b" " * 60_000, b"," * 60_000, b'a; b="' + b"\\" * 60_000, b"a" * 60_000 + b"\xff"):
        assert parse_extensions(hostile) in (None, [])
    many = parse_extensions(b"a; b=c, " * 8000)
    assert many is not None
    assert len(many) == 8000


@quickly
@given(st.lists(st.tuples(st.sampled_from([b"a", b"b-c"]), st.lists(st.sampled_from([(b"p", None), (b"q", b"1")])))))
def test_round_trip(extensions: list[Extension]) -> None:
    value = b", ".join(
        b"; ".join([name, *(key if of is None else key + b"=" + of for key, of in parameters)]) for name, parameters in extensions
    )
    assert parse_extensions(value) == extensions


@quickly
@given(st.binary(max_size=30))
def test_any_bytes(value: bytes) -> None:
    for name, parameters in parse_extensions(value) or ():
        assert is_token(name)
        for key, of in parameters:
            assert is_token(key)
            assert of is None or is_token(of)
