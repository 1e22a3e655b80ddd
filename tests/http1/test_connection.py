"""The sans-IO HTTP/1.1 connection: how responses are framed, what is held back, and when another request may follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.errors import LocalProtocolError, RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import CLOSED, DATA, END, HEAD, NEED_DATA

CLOSE = b"connection: close\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"


@pytest.fixture
def connect(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """`connect(request_bytes)`: a connection that has read as many events as there are."""

    def connect(data: bytes = b"", **limits: int) -> Any:
        connection = room("http1.connection").HTTP1Connection(HTTP1Limits(**limits))
        if data:
            connection.feed(data)
            read(connection)
        return connection

    return connect


def read(connection: Any) -> list[int]:
    """Events up to the end of one request or of the input."""
    events = []
    while True:
        events.append(connection.next_event())
        if events[-1] in (END, NEED_DATA, CLOSED):
            return events


def request(method: bytes = b"GET", *fields: bytes, version: bytes = b"1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join((method + b" / HTTP/" + version, b"host: a", *fields)) + b"\r\n\r\n" + body


def respond(
    connection: Any, *content: bytes, status: int = 200, headers: Iterable[Any] = (), default_fields: bytes = b""
) -> bytes:
    """A whole response, one `write_data` for each piece of content."""
    connection.write_head(status, headers, default_fields)
    pieces = content or (b"",)
    out = b""
    for index, data in enumerate(pieces):
        written = connection.write_data(data, index == len(pieces) - 1)
        assert type(written) is list
        assert all(type(piece) is bytes and piece for piece in written)
        out += b"".join(written)
    return out


# -- which framing ------------------------------------------------------------------------------------------------------


def test_whole_content_gets_a_length(connect: Any) -> None:
    assert respond(connect(request()), b"hello") == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_no_content_gets_length_0(connect: Any) -> None:
    assert respond(connect(request())) == b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


def test_streamed_content_is_chunked(connect: Any) -> None:
    out = respond(connect(request()), b"ab", b"", b"c" * 17, b"")
    assert out == b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n2\r\nab\r\n11\r\n" + b"c" * 17 + b"\r\n0\r\n\r\n"


def test_last_chunk_rides_with_the_last_data(connect: Any) -> None:
    assert respond(connect(request()), b"ab", b"cd").endswith(b"\r\n\r\n2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n")


def test_streamed_response_that_begins_with_nothing(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [], b"")
    assert connection.write_data(b"", False) == [b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n"]
    assert connection.write_data(b"", False) == []
    assert connection.write_data(b"", True) == [b"0\r\n\r\n"]
    assert connection.response_complete


def test_declared_length_is_kept(connect: Any) -> None:
    out = respond(connect(request()), b"ab", b"c", headers=[(b"Content-Length", b"3")])
    assert out == b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"


def test_http10_streams_until_close(connect: Any) -> None:
    connection = connect(request(version=b"1.0"))
    assert respond(connection, b"ab", b"c") == b"HTTP/1.1 200 OK\r\n" + CLOSE + b"\r\nabc"
    assert not connection.keep_alive


def test_http10_whole_content_has_a_length_too(connect: Any) -> None:
    out = respond(connect(request(version=b"1.0")), b"abc")
    assert out == b"HTTP/1.1 200 OK\r\n" + CLOSE + b"content-length: 3\r\n\r\nabc"


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_application_transfer_encoding_is_ignored(connect: Any, version: bytes) -> None:
    out = respond(connect(request(version=version)), b"ab", b"c", headers=[(b"Transfer-Encoding", b"chunked")])
    assert out.lower().count(b"transfer-encoding") == (version == b"1.1")


def test_default_fields_stand_in_front(connect: Any) -> None:
    out = respond(connect(request()), headers=[(b"x", b"y")], default_fields=b"server: s\r\n")
    assert out == b"HTTP/1.1 200 OK\r\nserver: s\r\nx: y\r\ncontent-length: 0\r\n\r\n"


# -- responses without content ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [(), (b"abc",), (b"ab", b"c")])
@pytest.mark.parametrize("headers", [[], [(b"content-length", b"3")]])
def test_head_ends_with_the_head(connect: Any, content: tuple[bytes, ...], headers: list[Any]) -> None:
    connection = connect(request(b"HEAD"))
    out = respond(connection, *content, headers=headers)
    assert out == b"HTTP/1.1 200 OK\r\n" + b"".join(b"%b: %b\r\n" % field for field in headers) + b"\r\n"
    assert connection.response_complete
    assert connection.keep_alive


def test_head_of_a_length_that_never_comes(connect: Any) -> None:
    # The length is that of the GET (RFC 9110 9.3.2), so it is no mistake that the content is shorter or longer.
    connection = connect(request(b"HEAD"))
    assert respond(connection, b"too much", headers=[(b"content-length", b"3")]).endswith(b"content-length: 3\r\n\r\n")


@pytest.mark.parametrize("content", [(), (b"abc",), (b"ab", b"c")])
def test_204_has_neither_content_nor_length(connect: Any, content: tuple[bytes, ...]) -> None:
    out = respond(connect(request()), *content, status=204, headers=[(b"Content-Length", b"3"), (b"x", b"y")])
    assert out == b"HTTP/1.1 204 No Content\r\nx: y\r\n\r\n"


@pytest.mark.parametrize("content", [(), (b"abc",), (b"ab", b"c")])
def test_205_has_length_0(connect: Any, content: tuple[bytes, ...]) -> None:
    out = respond(connect(request()), *content, status=205, headers=[(b"content-length", b"3")])
    assert out == b"HTTP/1.1 205 Reset Content\r\ncontent-length: 0\r\n\r\n"


@pytest.mark.parametrize("content", [(), (b"abc",), (b"ab", b"c")])
def test_304_may_say_a_length(connect: Any, content: tuple[bytes, ...]) -> None:
    out = respond(connect(request()), *content, status=304, headers=[(b"content-length", b"3")])
    assert out == b"HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n"


@pytest.mark.parametrize("status", [204, 205])
@pytest.mark.parametrize(
    "headers", [[("x", "y")], [(None, b"y")], [(b"x", b"y", b"z")], [5], 5, [(b"x", b"y\r\nz: 1")], [(b"x",)]]
)
def test_wrong_fields_are_told_apart_for_every_status(connect: Any, status: int, headers: Any) -> None:
    connection = connect(request())
    with pytest.raises(LocalProtocolError):
        connection.write_head(status, headers, b"")


def test_headers_may_be_generators_of_lists(connect: Any) -> None:
    for status in (200, 204, 205):
        out = respond(connect(request()), status=status, headers=([name, b"v"] for name in (b"x", b"y")))
        assert b"x: v\r\ny: v\r\n" in out


# -- lengths that do not fit --------------------------------------------------------------------------------------------


def test_too_long_at_once_leaves_everything_held(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [(b"content-length", b"2")], b"")
    with pytest.raises(LocalProtocolError, match="longer"):
        connection.write_data(b"abc", True)
    assert not connection.response_started
    assert connection.discard_head()
    assert respond(connection, b"sorry", status=500).startswith(b"HTTP/1.1 500 ")


def test_too_short_at_once_leaves_everything_held(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [(b"content-length", b"4")], b"")
    with pytest.raises(LocalProtocolError, match="shorter"):
        connection.write_data(b"abc", True)
    assert not connection.response_started
    assert connection.write_data(b"abcd", True)[0].endswith(b"\r\n\r\nabcd")


@pytest.mark.parametrize(("data", "end", "what"), [(b"cde", False, "longer"), (b"cde", True, "longer"), (b"", True, "shorter")])
def test_wrong_length_later(connect: Any, data: bytes, end: bool, what: str) -> None:
    connection = connect(request())
    connection.write_head(200, [(b"content-length", b"4")], b"")
    connection.write_data(b"ab", False)
    with pytest.raises(LocalProtocolError, match=what):
        connection.write_data(data, end)
    assert not connection.response_complete
    assert not connection.discard_head()


@pytest.mark.parametrize("status", [100, 101, 199, 600, 0, -1])
def test_status_out_of_range(connect: Any, status: int) -> None:
    with pytest.raises(LocalProtocolError):
        connect(request()).write_head(status, [], b"")


def test_status_may_be_an_enum(connect: Any) -> None:
    assert respond(connect(request()), status=HTTPStatus.NOT_FOUND).startswith(b"HTTP/1.1 404 Not Found\r\n")


# -- holding and forgetting a head --------------------------------------------------------------------------------------


def test_held_head_is_forgotten(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [(b"x", b"1"), (b"connection", b"close")], b"")
    assert connection.discard_head()
    assert respond(connection, b"", status=500) == b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n"
    assert connection.keep_alive


def test_forgetting_without_a_head(connect: Any) -> None:
    assert connect(request()).discard_head()


def test_sent_head_is_not_forgotten(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [], b"")
    connection.write_data(b"a", False)
    assert connection.response_started
    assert not connection.discard_head()


# -- buffers ------------------------------------------------------------------------------------------------------------


def test_small_content_is_joined_to_its_head(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [], b"")
    assert len(connection.write_data(b"a" * 1000, True)) == 1


@pytest.mark.parametrize("end", [True, False])
def test_large_content_is_not_copied(connect: Any, end: bool) -> None:
    connection = connect(request())
    data = b"a" * 100_000
    connection.write_head(200, [(b"content-length", b"%d" % (len(data) * (2 - end)))], b"")
    out = connection.write_data(data, end)
    assert len(out) == 2
    assert out[1] is data
    if not end:
        assert connection.write_data(data, True)[0] is data


def test_large_chunk_is_not_copied(connect: Any) -> None:
    connection = connect(request())
    data = b"a" * 100_000
    connection.write_head(200, [], b"")
    connection.write_data(b"", False)
    assert connection.write_data(data, False) == [b"186a0\r\n", data, b"\r\n"]
    assert connection.write_data(data, True) == [b"186a0\r\n", data, b"\r\n0\r\n\r\n"]


@pytest.mark.parametrize("size", [32767, 32768, 32769])
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_the_bytes_do_not_depend_on_the_joining(connect: Any, size: int, pieces: int) -> None:
    out = respond(connect(request()), *[b"a" * size] * pieces)
    if pieces == 1:
        assert out == b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"a" * size
    else:
        assert out.partition(b"\r\n\r\n")[2] == (b"%x\r\n" % size + b"a" * size + b"\r\n") * pieces + b"0\r\n\r\n"


# -- trailers -----------------------------------------------------------------------------------------------------------


def trailers(connection: Any, *, wanted: bool = True, headers: Iterable[Any] = (), fields: Any = ((b"x-sum", b"7"),)) -> bytes:
    connection.write_head(200, headers, b"", wanted)
    out = b"".join(connection.write_data(b"ab", False))
    out += b"".join(connection.write_trailers(list(fields)))
    assert connection.response_complete
    return out.partition(b"\r\n\r\n")[2]


def test_trailers_end_the_response(connect: Any) -> None:
    assert trailers(connect(request())) == b"2\r\nab\r\n0\r\nx-sum: 7\r\n\r\n"


def test_trailers_for_a_client_that_does_not_want_them(connect: Any) -> None:
    assert trailers(connect(request()), wanted=False) == b"2\r\nab\r\n0\r\n\r\n"


def test_no_trailers_after_all(connect: Any) -> None:
    assert trailers(connect(request()), fields=()) == b"2\r\nab\r\n0\r\n\r\n"


def test_trailers_without_chunks_are_dropped(connect: Any) -> None:
    assert trailers(connect(request(version=b"1.0"))) == b"ab"
    assert trailers(connect(request()), headers=[(b"content-length", b"2")]) == b"ab"
    assert trailers(connect(request(b"HEAD"))) == b""


def test_trailers_behind_a_held_head(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [], b"", True)
    out = b"".join(connection.write_trailers([(b"x", b"y")]))
    assert out == b"HTTP/1.1 200 OK\r\n" + CHUNKED + b"\r\n0\r\nx: y\r\n\r\n"


def test_wrong_trailers_leave_the_response_open(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [], b"", True)
    connection.write_data(b"ab", False)
    with pytest.raises(LocalProtocolError):
        connection.write_trailers([(b"x", b"y\r\nz: 1")])
    assert not connection.response_complete
    assert connection.write_trailers([]) == [b"0\r\n\r\n"]


def test_trailers_of_an_unfinished_length(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [(b"content-length", b"4")], b"", True)
    with pytest.raises(LocalProtocolError, match="shorter"):
        connection.write_trailers([(b"x", b"y")])
    # Nothing has been given out, so something else can still be said.
    assert connection.discard_head()


# -- interim responses --------------------------------------------------------------------------------------------------


def test_early_hints(connect: Any) -> None:
    connection = connect(request())
    assert connection.write_informational(103, [(b"link", b"</a>"), (b"link", b"</b>")]) == (
        b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\nlink: </b>\r\n\r\n"
    )
    assert not connection.response_started


def test_no_interim_response_to_http10(connect: Any) -> None:
    assert connect(request(version=b"1.0")).write_informational(103, [(b"link", b"</a>")]) == b""


def test_no_interim_response_within_the_final_one(connect: Any) -> None:
    connection = connect(request())
    connection.write_head(200, [], b"")
    assert connection.write_informational(103, [(b"link", b"x")]) != b""
    connection.write_data(b"a", False)
    assert connection.write_informational(103, [(b"link", b"x")]) == b""


def test_wrong_interim_fields(connect: Any) -> None:
    with pytest.raises(LocalProtocolError):
        connect(request()).write_informational(103, [(b"link", b"a\nb")])


EXPECT = (b"content-length: 3", b"expect: 100-continue")


def test_100_is_given_once(connect: Any) -> None:
    connection = connect(request(b"POST", *EXPECT))
    assert connection.continue_pending
    assert connection.write_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert connection.write_continue() == b""
    assert not connection.continue_pending


def test_no_100_when_content_has_arrived(connect: Any) -> None:
    assert connect(request(b"POST", *EXPECT, body=b"a")).write_continue() == b""


def test_no_100_when_nobody_waits(connect: Any) -> None:
    assert connect(request(b"POST", b"content-length: 3")).write_continue() == b""
    assert connect(request(b"GET", b"expect: 100-continue")).write_continue() == b""


def test_no_100_to_http10(connect: Any) -> None:
    connection = connect(request(b"POST", *EXPECT, version=b"1.0"))
    assert not connection.continue_pending
    assert connection.write_continue() == b""


def test_no_100_after_the_final_response_has_begun(connect: Any) -> None:
    connection = connect(request(b"POST", *EXPECT))
    connection.write_head(200, [], b"")
    assert connection.continue_pending
    connection.write_data(b"a", False)
    assert connection.write_continue() == b""


# -- keep-alive ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [(b"a",), (b"a", b"b")])
def test_http11_stays(connect: Any, content: tuple[bytes, ...]) -> None:
    connection = connect(request() * 2)
    assert CLOSE not in respond(connection, *content)
    assert connection.keep_alive
    assert read(connection) == [HEAD, END]
    assert not connection.response_complete
    assert not connection.response_started


@pytest.mark.parametrize(
    ("version", "field"), [(b"1.1", b"connection: close"), (b"1.0", b"x: y"), (b"1.0", b"connection: keep-alive")]
)
def test_client_says_close(connect: Any, version: bytes, field: bytes) -> None:
    connection = connect(request(b"GET", field, version=version))
    assert respond(connection).count(CLOSE) == 1
    assert not connection.keep_alive


@pytest.mark.parametrize("value", [b"close", b"Close", b"foo, close"])
def test_application_says_close(connect: Any, value: bytes) -> None:
    connection = connect(request())
    assert respond(connection, headers=[(b"connection", value)]).lower().count(b"close") == 1
    assert not connection.keep_alive


def test_server_says_close(connect: Any) -> None:
    connection = connect(request())
    connection.keep_alive = False
    assert CLOSE in respond(connection)


@pytest.mark.parametrize("size", [1, 65536])
def test_answer_before_a_small_rest_stays(connect: Any, size: int) -> None:
    connection = connect(request(b"POST", b"content-length: %d" % size))
    assert CLOSE not in respond(connection, b"no")
    assert connection.keep_alive
    assert connection.response_complete
    assert not connection.request_complete
    connection.feed(b"x" * size + request())
    assert read(connection) == [DATA, END]
    assert connection.request_complete
    assert read(connection) == [HEAD, END]


@pytest.mark.parametrize("fields", [[b"content-length: 65537"], [b"transfer-encoding: chunked"], EXPECT])
def test_answer_before_a_large_unknown_or_withheld_rest_closes(connect: Any, fields: list[bytes]) -> None:
    connection = connect(request(b"POST", *fields))
    assert CLOSE in respond(connection, b"no")
    assert not connection.keep_alive


@pytest.mark.parametrize("fields", [[b"content-length: 65537"], [b"transfer-encoding: chunked"]])
def test_answer_that_ends_before_the_request_closes(connect: Any, fields: list[bytes]) -> None:
    connection = connect(request(b"POST", *fields))
    connection.write_head(200, [], b"")
    # An answer may well begin first and end last: no reason to close yet.
    assert CLOSE not in connection.write_data(b"a", False)[0]
    assert connection.keep_alive
    connection.write_data(b"", True)
    assert not connection.keep_alive


def test_answer_that_begins_first_and_ends_last_stays(connect: Any) -> None:
    connection = connect(request(b"POST", b"content-length: 65537"))
    connection.write_head(200, [], b"")
    connection.write_data(b"a", False)
    connection.feed(b"x" * 65537)
    assert read(connection) == [DATA, END]
    connection.write_data(b"", True)
    assert connection.keep_alive


def test_streamed_answer_to_a_withheld_content_closes(connect: Any) -> None:
    connection = connect(request(b"POST", *EXPECT))
    connection.write_head(200, [], b"")
    assert CLOSE in connection.write_data(b"a", False)[0]


def test_until_close_closes_whatever_was_said(connect: Any) -> None:
    connection = connect(request(version=b"1.0"))
    connection.keep_alive = True
    assert CLOSE in respond(connection, b"a", b"b")
    assert not connection.keep_alive


# -- input --------------------------------------------------------------------------------------------------------------


def test_events_of_a_request_with_content(connect: Any) -> None:
    connection = connect()
    connection.feed(request(b"POST", b"content-length: 3", body=b"ab"))
    assert connection.next_event() == HEAD
    assert connection.head.method == "POST"
    assert not connection.request_complete
    assert connection.next_event() == DATA
    assert connection.parser.data == b"ab"
    assert connection.next_event() == NEED_DATA
    connection.feed(b"c")
    assert read(connection) == [DATA, END]
    assert connection.request_complete


def test_close_between_requests(connect: Any) -> None:
    connection = connect(request())
    connection.feed_eof()
    assert read(connection) == [CLOSED]


def test_close_within_a_request(connect: Any) -> None:
    connection = connect(request(b"POST", b"content-length: 3", body=b"ab"))
    connection.feed_eof()
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_event()
    assert caught.value.code == "INCOMPLETE"


def test_limits_reach_the_parser(connect: Any) -> None:
    connection = connect(request_fields=1)
    connection.feed(request(b"GET", b"x: y"))
    with pytest.raises(RemoteProtocolError) as caught:
        connection.next_event()
    assert caught.value.status_hint == 431


@pytest.mark.parametrize("before", [b"", request(b"HEAD", version=b"1.0")])
def test_refusal_is_a_plain_last_response(connect: Any, before: bytes) -> None:
    connection = connect(before)
    if before:
        respond(connection)
    connection.feed(b"\x16\x03\x01")
    with pytest.raises(RemoteProtocolError):
        connection.next_event()
    connection.begin_refusal()
    out = respond(connection, b"what?", status=400)
    assert out == b"HTTP/1.1 400 Bad Request\r\n" + CLOSE + b"content-length: 5\r\n\r\nwhat?"
    assert connection.response_complete
    assert not connection.keep_alive


def test_upgrade_ends_http(connect: Any) -> None:
    connection = connect(request(b"GET", b"connection: upgrade", b"upgrade: x"))
    with pytest.raises(LocalProtocolError):
        connection.write_upgrade([(b"upgrade", b"x\r\ny: z")], b"")
    assert not connection.response_started
    # A head that was held is forgotten.
    connection.write_head(200, [], b"")
    assert connection.write_upgrade([(b"upgrade", b"x"), (b"X-Y", b"z")], b"date: now\r\n") == (
        b"HTTP/1.1 101 Switching Protocols\r\ndate: now\r\nupgrade: x\r\nX-Y: z\r\n\r\n"
    )
    assert (connection.response_started, connection.response_complete, connection.keep_alive) == (True, True, False)
    assert not connection.discard_head()


def test_fresh_connection_owes_nothing(connect: Any) -> None:
    connection = connect()
    assert connection.request_complete
    assert connection.response_complete
    assert not connection.response_started
    assert connection.keep_alive
