"""What only the native parser can get wrong: references, pointers across a collection, memory of an idle connection."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from bodies import TWINS
from picocorn.base.errors import RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import DATA, END, HEAD, NEED_DATA

if "native" not in TWINS:
    pytest.skip("the native bodies were deselected", allow_module_level=True)

from picocorn.http1.parser_c import SCAN_KERNEL, RequestParser

GET = b"GET /path?query HTTP/1.1\r\nHost: example.org\r\nX-Unknown-Field: some value\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Trailer: t\r\n\r\n"


@pytest.fixture
def busy_collector() -> Iterator[None]:
    threshold = gc.get_threshold()
    # Objects from a free list do not count towards a collection: empty the lists of those that a head is made of.
    kept = [(number, [number]) for number in range(5000)]
    gc.set_threshold(1)
    yield
    assert kept
    gc.set_threshold(*threshold)


def events(parser: RequestParser) -> list[int]:
    seen = []
    while (event := parser.next_event()) != NEED_DATA:
        seen.append(event)
    return seen


def test_the_kernel_is_named() -> None:
    assert SCAN_KERNEL in {"scalar", "sse4.2", "avx2", "neon"}


@pytest.mark.parametrize("stream", [GET, POST], ids=["get", "post"])
def test_fed_bytes_are_let_go(stream: bytes) -> None:
    piece = bytes(bytearray(stream))  # an object of its own
    before = sys.getrefcount(piece)
    parser = RequestParser(HTTP1Limits())
    parser.feed(piece)
    assert sys.getrefcount(piece) == before + 1
    assert events(parser)[-1] == END
    assert sys.getrefcount(piece) == before
    parser.feed(piece)
    del parser
    assert sys.getrefcount(piece) == before


def test_a_rest_does_not_keep_the_piece_alive() -> None:
    piece = GET + b"G" + bytes(bytearray(b"ET"))
    before = sys.getrefcount(piece)
    parser = RequestParser(HTTP1Limits())
    parser.feed(piece)
    assert events(parser) == [HEAD, END]
    assert sys.getrefcount(piece) == before
    assert parser.buffered_bytes() == 3


def test_fed_bytes_are_let_go_after_an_error() -> None:
    piece = bytes(bytearray(b"GET / HTTP/1.1\r\nbad field\r\n\r\n"))
    before = sys.getrefcount(piece)
    parser = RequestParser(HTTP1Limits())
    parser.feed(piece)
    with pytest.raises(RemoteProtocolError):
        parser.next_event()
    assert sys.getrefcount(piece) == before
    assert parser.buffered_bytes() == 0


def test_content_is_the_fed_object() -> None:
    parser = RequestParser(HTTP1Limits())
    parser.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n")
    assert events(parser) == [HEAD]
    piece = bytes(bytearray(b"abcd"))
    parser.feed(piece)
    assert parser.next_event() == DATA
    assert parser.data is piece


def test_header_lists_are_not_shared() -> None:
    parser = RequestParser(HTTP1Limits())
    heads = []
    for _ in range(3):
        parser.feed(GET)
        assert events(parser) == [HEAD, END]
        heads.append(parser.head)
        parser.head.headers.clear()  # the application's to do
    parser.feed(GET)
    assert events(parser) == [HEAD, END]
    assert parser.head.headers == [(b"host", b"example.org"), (b"x-unknown-field", b"some value")]
    assert len({id(head.headers) for head in heads}) == 3


@pytest.mark.usefixtures("busy_collector")
@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_finalizers_cannot_move_the_buffer(size: int) -> None:
    # Up to 3.11 a collection, and with it any code, can run at each object the parser makes; since 3.12 it waits for a bytecode.
    parser = RequestParser(HTTP1Limits())
    stream = GET + POST
    refused = 0
    is_parsing = False

    def collected(phase: str, info: dict[str, int]) -> None:
        nonlocal refused
        if is_parsing:
            for call in (lambda: parser.feed(b"x" * 100_000), parser.next_event):
                try:
                    call()
                except RuntimeError:
                    refused += 1

    seen = []
    gc.callbacks.append(collected)
    try:
        for at in range(0, len(stream), size):
            is_parsing = False
            parser.feed(stream[at : at + size])
            is_parsing = sys.version_info < (3, 12)
            while (event := parser.next_event()) != NEED_DATA:
                is_parsing = False
                seen.append((event, parser.data, list(parser.head.headers), parser.trailers))
                is_parsing = sys.version_info < (3, 12)
            is_parsing = False
    finally:
        gc.callbacks.remove(collected)
    assert [event for event, *_ in seen if event != DATA] == [HEAD, END, HEAD, END]
    assert b"".join(data for _, data, *_ in seen) == b"abc"
    assert seen[0][2] == [(b"host", b"example.org"), (b"x-unknown-field", b"some value")]
    assert seen[-1][3] == [(b"x-trailer", b"t")]
    assert refused or sys.version_info >= (3, 12)


def test_nothing_leaks() -> None:
    limits = HTTP1Limits()
    bad = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX"

    def round_trip() -> None:
        parser = RequestParser(limits)
        for stream in (GET, GET, POST, bad):
            for at in range(0, len(stream), 11):
                parser.feed(stream[at : at + 11])
                try:
                    events(parser)
                except RemoteProtocolError:
                    return

    for _ in range(20):
        round_trip()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(500):
        round_trip()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
