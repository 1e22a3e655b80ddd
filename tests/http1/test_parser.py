"""The parser's interface beyond verdicts: attributes, buffering, memory and repetition, on both bodies. Verdicts: the corpus."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.errors import RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1 import events, parser_py
from picocorn.http1.events import CLOSED, DATA, END, HEAD, NEED_DATA

GET = b"GET /a?b HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def parser(room: Callable[[str], ModuleType]) -> Any:
    return room("http1.parser").RequestParser(HTTP1Limits())


def drain(parser: Any) -> list[int]:
    seen = []
    while not seen or seen[-1] not in (NEED_DATA, CLOSED):
        seen.append(parser.next_event())
    return seen


def new(data: bytes) -> bytes:
    """An object of its own, never one that the interpreter shares."""
    return bytes(bytearray(data))


# -- events ------------------------------------------------------------------------------------------------------------


def test_the_room_shows_the_events(room: Callable[[str], ModuleType]) -> None:
    for name in events.__all__:
        assert getattr(room("http1.parser"), name) == getattr(events, name)


def test_nothing_fed(parser: Any) -> None:
    assert drain(parser) == [NEED_DATA]
    assert (parser.buffered_bytes(), parser.mid_message(), parser.data, parser.trailers) == (0, False, b"", [])


def test_one_request(parser: Any) -> None:
    parser.feed(GET)
    assert parser.next_event() == HEAD
    head = parser.head
    assert (head.method, head.target, head.raw_path, head.query_string) == ("GET", b"/a?b", b"/a", b"b")
    assert (head.http_version, head.headers, head.upgrade) == ("1.1", [(b"host", b"a")], b"")
    assert (head.content_length, head.chunked, head.keep_alive, head.expect_continue) == (-1, False, True, False)
    assert all(type(flag) is bool for flag in (head.chunked, head.keep_alive, head.expect_continue))
    assert drain(parser) == [END, NEED_DATA]
    assert parser.trailers == []


@pytest.mark.parametrize(
    ("field", "forwarded"),
    [
        (b"X-Forwarded-For: 1.2.3.4", True),
        (b"x-forwarded-proto: https", True),
        (b"X-Forwarded-Host: example.org", False),
        (b"X-Forwarded-Fox: 1", False),
        (b"Accept: */*", False),
    ],
)
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_forwarded_fields_are_noticed(parser: Any, field: bytes, forwarded: bool, version: bytes) -> None:
    # Twice: the second time the native parser knows the section already.
    for _ in range(2 if version == b"1.1" else 1):
        parser.feed(b"GET / HTTP/%b\r\nHost: a\r\n%b\r\n\r\n" % (version, field))
        assert parser.next_event() == HEAD
        assert parser.head.forwarded is forwarded
        assert parser.next_event() == END


def test_feed_parses_nothing(parser: Any) -> None:
    parser.feed(b"\x00")
    assert parser.buffered_bytes() == 1
    with pytest.raises(RemoteProtocolError):
        parser.next_event()


def test_empty_pieces_mean_nothing(parser: Any) -> None:
    for piece in (b"", GET[:9], b"", GET[9:], b""):
        parser.feed(piece)
    assert drain(parser) == [HEAD, END, NEED_DATA]


def test_need_data_repeats(parser: Any) -> None:
    parser.feed(POST)
    assert drain(parser) == [HEAD, NEED_DATA]
    assert drain(parser) == [NEED_DATA]
    parser.feed(b"hello")
    assert drain(parser) == [DATA, END, NEED_DATA]


def test_data_and_trailers_belong_to_their_events(parser: Any) -> None:
    parser.feed(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n" + GET)
    assert [parser.next_event(), parser.next_event(), parser.data] == [HEAD, DATA, b"abc"]
    assert [parser.next_event(), parser.data] == [DATA, b"de"]
    assert [parser.next_event(), parser.data, parser.trailers] == [END, b"", [(b"a", b"b")]]
    assert [parser.next_event(), parser.trailers, parser.head.headers] == [HEAD, [], [(b"host", b"a")]]


# -- pipelining --------------------------------------------------------------------------------------------------------


def test_later_requests_stay_in_the_buffer(parser: Any) -> None:
    parser.feed(GET + POST + b"hello" + GET)
    assert [parser.next_event(), parser.next_event()] == [HEAD, END]
    assert parser.buffered_bytes() == len(POST) + 5 + len(GET)
    assert parser.mid_message(), "the next request has begun to come"
    assert [parser.next_event(), parser.head.method] == [HEAD, "POST"]
    assert parser.buffered_bytes() == 5 + len(GET)
    assert drain(parser) == [DATA, END, HEAD, END, NEED_DATA]
    assert parser.buffered_bytes() == 0


def test_feeding_between_pipelined_requests(parser: Any) -> None:
    parser.feed(GET + GET[:7])
    assert [parser.next_event(), parser.next_event()] == [HEAD, END]
    parser.feed(GET[7:] + GET)
    assert drain(parser) == [HEAD, END, HEAD, END, NEED_DATA]


def test_each_head_and_each_list_of_headers_is_its_own(parser: Any) -> None:
    parser.feed(GET * 3)
    heads = []
    for _ in range(3):
        assert parser.next_event() == HEAD
        heads.append(parser.head)
        parser.head.headers.append((b"x", b"y"))
        assert parser.next_event() == END
    assert len({id(head) for head in heads}) == 3
    assert [head.headers for head in heads] == [[(b"host", b"a"), (b"x", b"y")]] * 3


def test_a_head_outlives_the_next_one(parser: Any) -> None:
    parser.feed(GET + b"POST /other HTTP/1.0\r\nX: y\r\n\r\n")
    assert [parser.next_event(), parser.next_event()] == [HEAD, END]
    first = parser.head
    assert parser.next_event() == HEAD
    assert (first.method, first.raw_path, first.http_version, first.headers) == ("GET", b"/a", "1.1", [(b"host", b"a")])


def test_trailer_lists_are_their_own(parser: Any) -> None:
    parser.feed((CHUNKED + b"0\r\nA: b\r\n\r\n") * 2)
    assert [parser.next_event(), parser.next_event()] == [HEAD, END]
    trailers = parser.trailers
    assert [parser.next_event(), parser.next_event()] == [HEAD, END]
    assert trailers == parser.trailers == [(b"a", b"b")]
    assert trailers is not parser.trailers


@pytest.mark.parametrize("changed", [b"Host: b\r\n", b"Host: a\r\nX: 1\r\n", b"host: a\r\n", b"Host: a\r\nConnection: close\r\n"])
def test_a_field_section_like_the_last_one_is_read_anew(parser: Any, changed: bytes) -> None:
    # A parser may remember the section of the request before; it must notice every difference.
    other = b"GET /a?b HTTP/1.1\r\n" + changed + b"\r\n"
    fresh = type(parser)(HTTP1Limits())
    fresh.feed(other)
    assert fresh.next_event() == HEAD
    parser.feed(GET + other + GET + b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
    assert [parser.next_event(), parser.next_event(), parser.next_event()] == [HEAD, END, HEAD]
    assert (parser.head.headers, parser.head.keep_alive) == (fresh.head.headers, fresh.head.keep_alive)
    assert [parser.next_event(), parser.next_event()] == [END, HEAD]
    assert (parser.head.headers, parser.head.keep_alive) == ([(b"host", b"a")], True)
    assert [parser.next_event(), parser.next_event()] == [END, HEAD]
    assert (parser.head.http_version, parser.head.keep_alive) == ("1.0", False)


# -- state -------------------------------------------------------------------------------------------------------------


def test_mid_message(parser: Any) -> None:
    steps = [
        (b"\r\n", [NEED_DATA], False),
        (b"\r", [NEED_DATA], True),
        (b"\n", [NEED_DATA], False),
        (POST[:1], [NEED_DATA], True),
        (POST[1:-1], [NEED_DATA], True),
        (POST[-1:], [HEAD, NEED_DATA], True),
        (b"hell", [DATA, NEED_DATA], True),
        (b"o", [DATA, END, NEED_DATA], False),
    ]
    assert not parser.mid_message()
    for piece, expected, mid_message in steps:
        parser.feed(piece)
        assert (drain(parser), parser.mid_message()) == (expected, mid_message), piece


def test_begun_is_head(parser: Any) -> None:
    for line, is_head in ((b"HEAD / HTTP/1.1\r\n", True), (b"GET / HTTP/1.1\r\n", False), (b"head / HTTP/1.0\r\n", True)):
        parser.feed(line[:-1])
        assert (drain(parser), parser.begun_is_head()) == ([NEED_DATA], False)
        parser.feed(line[-1:])
        assert (drain(parser), parser.begun_is_head()) == ([NEED_DATA], is_head)
        parser.feed(b"Host: a\r\n\r\n")
        assert (drain(parser), parser.begun_is_head()) == ([HEAD, END, NEED_DATA], False)
    parser.feed(b"HEAD / HTTP/1.1\r\n\r\n")
    for _ in range(2):
        with pytest.raises(RemoteProtocolError):
            parser.next_event()
        assert parser.begun_is_head()


def test_mid_message_until_end_is_returned(parser: Any) -> None:
    parser.feed(GET)
    assert parser.mid_message()
    assert (parser.next_event(), parser.mid_message()) == (HEAD, True)
    assert (parser.next_event(), parser.mid_message()) == (END, False)


def test_buffered_bytes_counts_what_no_event_has_consumed(parser: Any) -> None:
    for at in range(len(POST) - 1):
        parser.feed(POST[at : at + 1])
        assert parser.next_event() == NEED_DATA
        assert parser.buffered_bytes() == at + 1
    parser.feed(POST[-1:] + b"hel")
    assert (parser.next_event(), parser.buffered_bytes()) == (HEAD, 3)
    assert (parser.next_event(), parser.buffered_bytes()) == (DATA, 0)


def test_the_rest_is_given_up(parser: Any) -> None:
    assert parser.take_rest() == b""
    for before, behind in (((), GET + b"fra"), ((GET[:9],), GET[9:] + b"fra"), ((GET[:9], GET[9:-1]), GET[-1:])):
        for piece in before:
            parser.feed(piece)
            assert parser.next_event() == NEED_DATA
        parser.feed(behind)
        assert parser.next_event() == HEAD
        parser.feed(b"mes")
        rest = parser.take_rest()
        assert (type(rest), rest) == (bytes, (behind + b"mes").split(b"\n")[-1])
        assert (parser.take_rest(), parser.buffered_bytes()) == (b"", 0)
        assert parser.next_event() == END


# -- errors and the end ------------------------------------------------------------------------------------------------


def test_an_error_repeats_and_nothing_is_kept(parser: Any) -> None:
    parser.feed(GET + b"BAD\r\n" + b"x" * 1000)
    assert [parser.next_event(), parser.next_event()] == [HEAD, END]
    for _ in range(3):
        with pytest.raises(RemoteProtocolError) as caught:
            parser.next_event()
        assert (caught.value.code, caught.value.status_hint) == ("REQUEST_LINE", 400)
        parser.feed(b"y" * 1000)
        parser.feed_eof()
        assert parser.buffered_bytes() == 0
    assert parser.head.method == "GET", "what was delivered stays"


def test_the_end_between_messages(parser: Any) -> None:
    parser.feed(GET)
    parser.feed_eof()
    assert drain(parser) == [HEAD, END, CLOSED]
    assert drain(parser) == [CLOSED]


def test_the_end_inside_a_message(parser: Any) -> None:
    parser.feed(POST + b"hel")
    parser.feed_eof()
    assert [parser.next_event(), parser.next_event(), parser.data] == [HEAD, DATA, b"hel"]
    with pytest.raises(RemoteProtocolError) as caught:
        parser.next_event()
    assert caught.value.code == "INCOMPLETE"


def test_an_error_never_quotes_the_client(parser: Any) -> None:
    parser.feed(b"GET /secret-token \x1b[2J HTTP/1.1\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        parser.next_event()
    assert "secret" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


# -- memory ------------------------------------------------------------------------------------------------------------


def test_a_piece_that_is_all_content_is_handed_on_itself(parser: Any) -> None:
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n")
    assert parser.next_event() == HEAD
    for _ in range(3):
        piece = new(b"x" * 1000)
        parser.feed(piece)
        assert parser.next_event() == DATA
        assert parser.data is piece
    assert parser.next_event() == END


def test_a_piece_inside_one_chunk_is_handed_on_itself(parser: Any) -> None:
    parser.feed(CHUNKED + b"7d0\r\n")
    assert drain(parser) == [HEAD, NEED_DATA]
    for _ in range(2):
        piece = new(b"x" * 1000)
        parser.feed(piece)
        assert parser.next_event() == DATA
        assert parser.data is piece


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
@pytest.mark.parametrize("rest", [b"", b"GET /", b"\r"])
def test_a_large_piece_is_let_go(parser: Any, rest: bytes) -> None:
    piece = new(GET * 2000 + POST + b"hello" + rest)
    before = sys.getrefcount(piece)
    parser.feed(piece)
    while parser.next_event() != NEED_DATA:
        pass
    assert sys.getrefcount(piece) == before, "an idle connection would keep it alive"
    assert parser.buffered_bytes() == len(rest)
    assert parser.data == b""


@pytest.mark.skipif(not hasattr(sys, "getrefcount"), reason="needs reference counts")
def test_content_is_let_go_at_the_end(parser: Any) -> None:
    parser.feed(POST)
    piece = new(b"hello")
    before = sys.getrefcount(piece)
    parser.feed(piece)
    assert drain(parser) == [HEAD, DATA, END, NEED_DATA]
    assert sys.getrefcount(piece) == before


def alive() -> int:
    return sum(type(found).__name__ == "RequestParser" for found in gc.get_objects())


def test_a_parser_is_no_part_of_a_cycle(room: Callable[[str], ModuleType]) -> None:
    gc.collect()
    before = alive()
    parser = room("http1.parser").RequestParser(HTTP1Limits())
    parser.feed(GET + b"BAD\r\n")
    with pytest.raises(RemoteProtocolError):
        drain(parser)
    del parser
    assert alive() <= before


# -- dribbled bytes ----------------------------------------------------------------------------------------------------


def test_a_dribbled_head_is_scanned_once_and_copied_once() -> None:
    # By structure: one buffer that grows in place, and a scan that never turns back. The native body does the same.
    parser = parser_py.RequestParser(HTTP1Limits())
    data = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 65000
    parser.feed(data[:1])
    assert parser.next_event() == NEED_DATA
    parser.feed(data[1:2])
    buffer = parser._buffer
    assert type(buffer) is bytearray
    for at in range(2, len(data)):
        assert parser.next_event() == NEED_DATA
        assert parser._buffer is buffer
        assert parser._scanned == at
        parser.feed(data[at : at + 1])
    assert parser.buffered_bytes() == len(data)


def test_dribbled_chunk_lines_and_trailers_are_scanned_once() -> None:
    parser = parser_py.RequestParser(HTTP1Limits())
    parser.feed(CHUNKED)
    assert drain(parser) == [HEAD, NEED_DATA]
    for data in (b"1;" + b"x" * 4000 + b"\r\nz\r\n", b"0\r\nA: " + b"b" * 16000):
        for at in range(len(data)):
            parser.feed(data[at : at + 1])
            while parser.next_event() != NEED_DATA:
                pass
            assert parser._scanned == len(parser._buffer) or len(parser._buffer) == 1


def test_dribbled_heads_and_content(parser: Any) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\nX: " + b"y" * 60000 + b"\r\n\r\n"
    for at in range(len(head)):
        parser.feed(head[at : at + 1])
        assert parser.next_event() == (HEAD if at == len(head) - 1 else NEED_DATA)
    for _ in range(65536):
        parser.feed(b"z")
        assert parser.next_event() == DATA
        assert parser.data == b"z"
    assert drain(parser) == [END, NEED_DATA]


def test_content_fed_in_bytes_and_read_once(parser: Any) -> None:
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n")
    assert parser.next_event() == HEAD
    for at in range(65536):
        parser.feed(b"%c" % (at & 0xFF))
    body = b""
    while parser.next_event() == DATA:
        body += parser.data
    assert body == bytes(range(256)) * 256


def test_many_tiny_requests_in_tiny_pieces(parser: Any) -> None:
    stream = (GET + CHUNKED + b"1\r\nx\r\n0\r\n\r\n") * 50
    count = 0
    for at in range(0, len(stream), 3):
        parser.feed(stream[at : at + 3])
        count += sum(event == END for event in drain(parser))
    assert count == 100
    assert parser.buffered_bytes() == 0
