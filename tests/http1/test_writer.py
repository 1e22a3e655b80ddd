"""The writer: what it writes, byte for byte, and everything it refuses, on both bodies."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.errors import LocalProtocolError


@pytest.fixture
def writer(room: Callable[[str], ModuleType]) -> Any:
    return room("http1.writer")


# -- what is written ---------------------------------------------------------------------------------------------------


def test_a_head(writer: Any) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"5")]
    block, content_length, flags = writer.encode_head(200, headers, b"date: today\r\nserver: x\r\n")
    assert block == (b"HTTP/1.1 200 OK\r\ndate: today\r\nserver: x\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n")
    assert (content_length, flags) == (5, 0)


def test_nothing_but_a_status(writer: Any) -> None:
    assert writer.encode_head(204, [], b"") == (b"HTTP/1.1 204 No Content\r\n", -1, 0)


@pytest.mark.parametrize("status", range(200, 600))
def test_every_status_line(writer: Any, status: int) -> None:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""  # the SP before it stays (RFC 9112 4)
    assert writer.encode_head(status, [], b"")[0] == f"HTTP/1.1 {status} {phrase}\r\n".encode()


def test_a_status_may_be_an_enum(writer: Any) -> None:
    assert writer.encode_head(HTTPStatus.NOT_FOUND, [], b"")[0] == b"HTTP/1.1 404 Not Found\r\n"


@pytest.mark.parametrize(
    "status", [-1, 0, 100, 101, 103, 199, 600, 999, 1000, 2**40, 2**70, -(2**70), "200", b"200", None, 200.0]
)
def test_statuses_that_are_refused(writer: Any, status: Any) -> None:
    with pytest.raises(LocalProtocolError, match="status is not an integer from 200 to 599"):
        writer.encode_head(status, [], b"")


def one_by_one() -> Iterator[tuple[bytes, bytes]]:
    yield b"a", b"1"
    yield b"b", b"2"


@pytest.mark.parametrize(
    "make",
    [
        lambda: [(b"a", b"1"), (b"b", b"2")],
        lambda: [[b"a", b"1"], [b"b", b"2"]],
        lambda: ((b"a", b"1"), [b"b", b"2"]),
        lambda: one_by_one(),
        lambda: iter([(b"a", b"1"), (b"b", b"2")]),
        lambda: {b"a": b"1", b"b": b"2"}.items(),
        lambda: map(tuple, one_by_one()),
        lambda: [iter((b"a", b"1")), (part for part in (b"b", b"2"))],
    ],
    ids=["tuples", "lists", "mixed", "generator", "iterator", "items", "map", "iterators-as-pairs"],
)
def test_any_iterable_of_pairs(writer: Any, make: Callable[[], Any]) -> None:
    # ASGI E3: "iterable of two-item iterables".
    assert writer.encode_head(200, make(), b"")[0] == b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n"
    assert writer.encode_fields(make()) == b"a: 1\r\nb: 2\r\n"


class Pairs:
    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        return one_by_one()


def test_an_iterable_of_ones_own(writer: Any) -> None:
    assert writer.encode_fields(Pairs()) == b"a: 1\r\nb: 2\r\n"


class Bytes(bytes):
    pass


def test_subclasses_of_bytes_are_bytes(writer: Any) -> None:
    assert writer.encode_fields([(Bytes(b"a"), Bytes(b"1"))]) == b"a: 1\r\n"


def test_subclasses_count_by_what_they_hold(writer: Any) -> None:
    class Anything(int):
        def __le__(self, other: int) -> bool:
            return True

        __ge__ = __le__

    class Long(bytes):
        def __len__(self) -> int:
            return 19

    for status in (Anything(700), Anything(10**20), Anything(-(10**20))):
        with pytest.raises(LocalProtocolError, match="status"):
            writer.encode_head(status, [], b"")
    assert writer.encode_head(200, iter([(b"content-length", Long(b"5"))]), b"")[1] == 5


def test_order_case_and_duplicates_are_kept(writer: Any) -> None:
    headers = [(b"set-cookie", b"b=2"), (b"X-Camel", b"1"), (b"set-cookie", b"a=1"), (b"x-camel", b"2")]
    assert writer.encode_fields(headers) == b"set-cookie: b=2\r\nX-Camel: 1\r\nset-cookie: a=1\r\nx-camel: 2\r\n"


@pytest.mark.parametrize(
    "value", [b"", b" ", b"a b", b"\t", b"\x80\xff", b'"q"', b"a:b", bytes(range(0x20, 0x7F)), b"x" * 100_000]
)
def test_values_that_pass(writer: Any, value: bytes) -> None:
    assert writer.encode_fields([(b"x", value)]) == b"x: " + value + b"\r\n"


def test_every_token_character_passes_in_a_name(writer: Any) -> None:
    name = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    assert writer.encode_fields([(name, b"")]) == name + b": \r\n"


def test_many_fields(writer: Any) -> None:
    headers = [(b"x-%d" % number, b"v" * number) for number in range(500)]
    expected = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    assert writer.encode_fields(headers) == expected
    assert writer.encode_head(200, headers, b"d: e\r\n")[0] == b"HTTP/1.1 200 OK\r\nd: e\r\n" + expected


# -- what is read from the fields --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [b"transfer-encoding", b"Transfer-Encoding", b"TRANSFER-ENCODING"])
def test_transfer_encoding_is_left_out(writer: Any, name: bytes) -> None:
    # ASGI E5: the server frames the message.
    headers = [(b"a", b"1"), (name, b"chunked"), (b"b", b"2"), (name, b"gzip")]
    assert writer.encode_head(200, headers, b"") == (b"HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\n", -1, 0)


def test_transfer_encoding_is_checked_all_the_same(writer: Any) -> None:
    with pytest.raises(LocalProtocolError):
        writer.encode_head(200, [(b"transfer-encoding", b"a\r\nb: c")], b"")


def test_names_like_transfer_encoding_stay(writer: Any) -> None:
    headers = [(b"transfer-encodinx", b"1"), (b"x-transfer-encoding", b"2"), (b"connectiom", b"close"), (b"content-lengtj", b"x")]
    block, content_length, flags = writer.encode_head(200, headers, b"")
    assert (block.count(b"\r\n"), content_length, flags) == (5, -1, 0)


@pytest.mark.parametrize(
    ("value", "close"),
    [
        (b"close", True),
        (b"Close", True),
        (b"keep-alive, close", True),
        (b"close,x", True),
        (b"x,\tCLOSE ,y", True),
        (b"", False),
        (b"keep-alive", False),
        (b"closed", False),
        (b"xclose", False),
        (b"upgrade", False),
        (b"close x", False),
    ],
)
def test_connection_close(writer: Any, value: bytes, close: bool) -> None:
    block, _, flags = writer.encode_head(200, [(b"Connection", value)], b"")
    assert block == b"HTTP/1.1 200 OK\r\nConnection: " + value + b"\r\n", "the field is kept as it is"
    assert flags == (writer.CONNECTION_CLOSE if close else 0)


def test_connection_close_in_one_of_two_fields(writer: Any) -> None:
    for headers in ([(b"connection", b"close"), (b"connection", b"x")], [(b"connection", b"x"), (b"connection", b"close")]):
        assert writer.encode_head(200, headers, b"")[2] == writer.CONNECTION_CLOSE


@pytest.mark.parametrize(("value", "length"), [(b"0", 0), (b"5", 5), (b"005", 5), (b"9223372036854775807", 2**63 - 1)])
def test_content_lengths(writer: Any, value: bytes, length: int) -> None:
    assert writer.encode_head(200, [(b"Content-Length", value)], b"")[1] == length


@pytest.mark.parametrize(
    "value",
    [b"", b"x", b"+5", b"-5", b"0x5", b"5 ", b" 5", b"5, 5", b"5.0", b"1_0", b"\xb2", b"9223372036854775808", b"9" * 5000],
)
def test_content_lengths_that_are_refused(writer: Any, value: bytes) -> None:
    with pytest.raises(LocalProtocolError, match=r"header 1 \(b'content-length'\): the value is not a decimal number"):
        writer.encode_head(200, [(b"a", b""), (b"content-length", value)], b"")


def test_two_content_lengths_are_refused(writer: Any) -> None:
    with pytest.raises(LocalProtocolError, match="there is more than one"):
        writer.encode_head(200, [(b"content-length", b"5"), (b"Content-Length", b"5")], b"")


def test_fields_alone_have_no_framing(writer: Any) -> None:
    # Trailers and 103: what they may contain is the caller's policy.
    headers = [(b"content-length", b"x"), (b"transfer-encoding", b"chunked"), (b"connection", b"close")]
    assert writer.encode_fields(headers) == b"content-length: x\r\ntransfer-encoding: chunked\r\nconnection: close\r\n"


# -- what is refused ---------------------------------------------------------------------------------------------------

BAD_NAMES = [b"", b" ", b"a b", b"a:", b":a", b"a\r\nb", b"a\0", b"a\x7f", b"\xe4", b"a\t", b" a", b"a ", b"x" * 40 + b" "]
BAD_NAMES += [b"a%c" % char for char in b'()<>@,;\\"/[]?={}\x01\x1f\n\r']
BAD_VALUES = [
    b"a\r\nb: c",
    b"\r",
    b"\n",
    b"a\r",
    b"a\n",
    b"\0",
    b"a\0b",
    b"\x0b",
    b"\x0c",
    b"\x1b[2J",
    b"\x7f",
    b"\x01",
    b"\x08",
    b"\x1f",
]
BAD_VALUES += [b"x" * 1000 + b"\n", b"\n" + b"x" * 1000, b"x" * 15 + b"\0", b"x" * 31 + b"\0", b"x" * 32 + b"\r"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_are_refused(writer: Any, name: bytes) -> None:
    for write in (writer.encode_fields, lambda headers: writer.encode_head(200, headers, b"")):
        with pytest.raises(LocalProtocolError) as caught:
            write([(b"good", b"1"), (name, b"value")])
        assert str(caught.value) == f"header 1 ({name!r}): the name is not a token (RFC 9110 5.6.2)"


@pytest.mark.parametrize("value", BAD_VALUES)
def test_values_that_are_refused(writer: Any, value: bytes) -> None:
    for write in (writer.encode_fields, lambda headers: writer.encode_head(200, headers, b"")):
        with pytest.raises(LocalProtocolError) as caught:
            write([(b"good", b"1"), (b"x-bad", value)])
        assert str(caught.value) == f"header 1 (b'x-bad'): the value has a control character (RFC 9110 5.5): {value!r}"


def named(value: object) -> str:
    """An id that is the same in every process: without addresses, nor the order of a set."""
    return re.sub(r" at 0x\w+", "", str(sorted(value)) if isinstance(value, set) else repr(value))


@pytest.mark.parametrize(
    "field",
    [
        ("a", b"b"),
        (b"a", "b"),
        ("a", "b"),
        (b"a", None),
        (b"a", 1),
        (bytearray(b"a"), b"b"),
        (b"a", bytearray(b"b")),
        (b"a", memoryview(b"b")),
        (b"a",),
        (b"a", b"b", b"c"),
        (),
        b"ab",
        "ab",
        5,
        None,
        {b"a", b"b", b"c"},
    ],
    ids=named,
)
def test_fields_that_are_no_pair_of_bytes(writer: Any, field: Any) -> None:
    for write in (writer.encode_fields, lambda headers: writer.encode_head(200, headers, b"")):
        with pytest.raises(LocalProtocolError, match="header 1 is not a pair of bytes"):
            write([(b"good", b"1"), field])


@pytest.mark.parametrize("headers", [None, 5, 1.0, object()], ids=named)
def test_headers_that_are_not_iterable(writer: Any, headers: Any) -> None:
    for write in (writer.encode_fields, lambda headers: writer.encode_head(200, headers, b"")):
        with pytest.raises(LocalProtocolError, match="headers are not an iterable of pairs"):
            write(headers)


def test_the_first_fault_is_the_one_that_is_named(writer: Any) -> None:
    with pytest.raises(LocalProtocolError, match="header 0"):
        writer.encode_head(200, [(b"a b", b"1"), (b"c", b"\n"), 5], b"")
    with pytest.raises(LocalProtocolError, match="header 1"):
        writer.encode_head(200, [(b"a", b"1"), (b"content-length", b"x"), (b"c", b"\n")], b"")


def test_an_error_of_the_application_s_own_iterable_comes_through(writer: Any) -> None:
    def broken() -> Iterator[tuple[bytes, bytes]]:
        yield b"a", b"1"
        raise LookupError("the application's own")

    for write in (writer.encode_fields, lambda headers: writer.encode_head(200, headers, b"")):
        with pytest.raises(LookupError, match="the application's own"):
            write(broken())


# -- chunks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 9, 10, 15, 16, 17, 255, 256, 4095, 4096, 65535, 65536, 1 << 20])
def test_a_chunk(writer: Any, size: int) -> None:
    data = bytes(index & 0xFF for index in range(256)) * (size // 256 + 1)
    data = data[:size]
    assert writer.chunk(data) == f"{size:x}\r\n".encode() + data + b"\r\n"


def test_no_data_is_no_chunk(writer: Any) -> None:
    # A chunk of size 0 would end the content.
    assert writer.chunk(b"") == b""


def test_the_last_chunk(writer: Any) -> None:
    assert writer.LAST_CHUNK == b"0\r\n\r\n"
    assert writer.CONNECTION_CLOSE == 1


# -- whole messages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 9, 10, 4096, 99999, 2**31, 2**63 - 1])
def test_a_content_length_line(writer: Any, size: int) -> None:
    assert writer.content_length_line(size) == f"content-length: {size}\r\n".encode()


def test_no_content_has_a_negative_length(writer: Any) -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        writer.content_length_line(-1)


@pytest.mark.parametrize("lines", [b"", b"connection: close\r\n"])
@pytest.mark.parametrize("data", [b"", b"content", b"x" * 70000])
def test_a_message_is_head_empty_line_and_content(writer: Any, lines: bytes, data: bytes) -> None:
    assert writer.join_message(b"HTTP/1.1 200 OK\r\n", lines, data) == b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + data


@pytest.mark.parametrize("arguments", [(None, b"", b""), (b"", None, b""), (b"", b"", None)])
def test_a_message_is_made_of_bytes(writer: Any, arguments: Any) -> None:
    with pytest.raises(TypeError):
        writer.join_message(*arguments)


# -- fields as a list, for HTTP/2 -----------------------------------------------------------------------------------------

DATE = (b"date", b"today")


def test_a_head_as_a_list(writer: Any) -> None:
    headers = ((b"Content-Length", b"5"), [b"X-Camel", b" \tvalue\t "], (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))
    fields, content_length = writer.list_head(200, headers, [DATE])
    assert fields == [DATE, (b"content-length", b"5"), (b"x-camel", b"value"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    assert content_length == 5


def test_fields_of_the_connection_are_not_listed(writer: Any) -> None:
    names = (b"connection", b"Keep-Alive", b"proxy-connection", b"TE", b"transfer-encoding", b"upgrade")
    fields = [(b"a", b"1"), *((name, b"x") for name in names), (b"b", b"")]
    assert writer.list_fields(iter(fields)) == [(b"a", b"1"), (b"b", b"")]
    assert writer.list_head(204, fields, []) == ([(b"a", b"1"), (b"b", b"")], -1)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ([(b"a b", b"1")], "the name is not a token"),
        ([(b":status", b"200")], "the name is not a token"),
        ([(b"a", b"1\r\nb: 2")], "the value has a control character"),
        ([(b"connection", b"\0")], "the value has a control character"),
        ([(b"content-length", b"1"), (b"content-length", b"1")], "there is more than one"),
        ([(b"content-length", b"-1")], "not a decimal number"),
        ([("a", "1")], "not a pair of bytes"),
        (7, "not an iterable"),
    ],
)
def test_what_is_refused_in_lines_is_refused_in_lists(writer: Any, headers: Any, message: str) -> None:
    with pytest.raises(LocalProtocolError, match=message):
        writer.list_head(200, headers, [])
    if "content-length" not in str(headers):
        with pytest.raises(LocalProtocolError, match=message):
            writer.list_fields(headers)


def test_the_status_is_checked_for_lists_too(writer: Any) -> None:
    with pytest.raises(LocalProtocolError, match="status is not an integer from 200 to 599"):
        writer.list_head(101, [], [])
