"""What only the native reader can get wrong: references, strings made in place, objects that grow, code run while it inflates."""

from __future__ import annotations

import gc
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import pytest

from bodies import TWINS
from picocorn.base.errors import WebSocketError
from picocorn.websocket.deflate import DeflateParameters, Inflater
from picocorn.websocket.opcodes import BINARY, CLOSE, CONTINUATION, NEED_DATA, PING, PONG, TEXT
from websocket_corpus import client_frame

if "native" not in TWINS:
    pytest.skip("the native bodies were deselected", allow_module_level=True)

from picocorn.websocket.reader_c import MASK_KERNEL, MessageReader

MiB = 1024 * 1024
RSV1 = 4
#: With the collector's head. Every idle WebSocket has a reader.
IDLE_READER_BYTES = 256


def own(data: bytes) -> bytes:
    """An object of its own, whatever constant it came from."""
    return bytes(bytearray(data))


def events(reader: MessageReader) -> list[int]:
    seen = []
    while event := reader.next_event():
        seen.append(event)
    return seen


def message(data: bytes, cut_bytes: int, max_size_bytes: int = 0) -> Any:
    """The one message of `data`, fed in pieces."""
    reader = MessageReader(max_size_bytes, None)
    for at in range(0, len(data), cut_bytes):
        reader.feed(data[at : at + cut_bytes])
        if reader.next_event() != NEED_DATA:
            assert at + cut_bytes >= len(data)
            return reader.message
    raise AssertionError("no message")


def test_the_kernel_is_named() -> None:
    assert MASK_KERNEL in {"scalar", "sse2", "avx2", "neon"}


def test_an_idle_reader_is_small() -> None:
    reader = MessageReader(16 * MiB, None)
    assert sys.getsizeof(reader) <= IDLE_READER_BYTES
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for fin in (False, True):
            reader.feed(client_frame(TEXT if not fin else CONTINUATION, b"a" * 100_000, fin=fin))
            reader.next_event()
        reader.feed(client_frame(PING, b"abc"))
        assert events(reader) == [PING]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 500


# -- references --------------------------------------------------------------------------------------------------------

STREAMS = {
    "text": client_frame(TEXT, b"abc"),
    "binary": client_frame(BINARY, b"abc"),
    "beyond ascii": client_frame(TEXT, "äöü".encode()),
    "fragments": client_frame(TEXT, b"abc", fin=False) + client_frame(CONTINUATION, b"def"),
    "controls": client_frame(PING, b"abc") + client_frame(PONG, b"") + client_frame(CLOSE, b"\x03\xe8bye"),
    "half a frame": client_frame(BINARY, b"abc" * 100)[:50],
    "half a header": client_frame(BINARY, b"abc" * 100)[:3],
    "half a ping": client_frame(PING, b"abc" * 10)[:20],
    "wrong": client_frame(TEXT, b"abc", fin=False) + client_frame(TEXT, b"def"),
    "not utf-8": client_frame(TEXT, b"\xff"),
}


@pytest.mark.parametrize("name", STREAMS)
def test_fed_bytes_are_let_go(name: str) -> None:
    piece = own(STREAMS[name])
    before = sys.getrefcount(piece)
    reader = MessageReader(0, None)
    reader.feed(piece)
    assert sys.getrefcount(piece) == before + 1
    try:
        events(reader)
    except WebSocketError:
        assert name in ("wrong", "not utf-8")
    assert sys.getrefcount(piece) == before
    reader.feed(piece)
    reader.feed(piece)
    del reader
    assert sys.getrefcount(piece) == before


def test_pieces_that_wait_are_let_go_one_by_one() -> None:
    frame = client_frame(BINARY, b"abc")
    pieces = [own(frame) for _ in range(3)]
    before = [sys.getrefcount(piece) for piece in pieces]
    reader = MessageReader(0, None)
    for number in range(3):
        reader.feed(pieces[number])
    for used in range(3):
        assert reader.next_event() == BINARY
        assert reader.buffered_bytes() == (2 - used) * len(frame)
        now = [sys.getrefcount(piece) for piece in pieces]
        assert now[:used] == before[:used]
    assert reader.next_event() == NEED_DATA
    assert [sys.getrefcount(piece) for piece in pieces] == before


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("cut_bytes", [7, 10_000])
def test_a_message_belongs_to_who_takes_it(opcode: int, cut_bytes: int) -> None:
    reader = MessageReader(0, None)
    data = client_frame(opcode, b"abc" * 100)
    for at in range(0, len(data), cut_bytes):
        reader.feed(data[at : at + cut_bytes])
        if reader.next_event() == opcode:
            taken = reader.message
    held = sys.getrefcount(taken)
    assert reader.next_event() == NEED_DATA
    assert sys.getrefcount(taken) == held - 1
    del reader
    assert sys.getrefcount(taken) == held - 1
    assert len(taken) == 300


def test_nothing_leaks() -> None:
    compressor = zlib.compressobj(wbits=-12)
    compressed = compressor.compress("abc ä ".encode() * 500) + compressor.flush(zlib.Z_SYNC_FLUSH)
    streams = [
        *STREAMS.values(),
        client_frame(TEXT, compressed[:-4], rsv=RSV1),
        client_frame(TEXT, b"\xff\xff\xff", rsv=RSV1),
        client_frame(TEXT, "ä".encode() * 5000),
        client_frame(BINARY, bytes(5000)),
        client_frame(BINARY, bytes(70_000))[:14],
        client_frame(BINARY, bytes(1001)),
    ]

    def round_trip() -> None:
        for stream in streams:
            for cut_bytes in (1, 11, 100_000):
                reader = MessageReader(50_000, Inflater(DeflateParameters()))
                for at in range(0, len(stream), cut_bytes):
                    reader.feed(stream[at : at + cut_bytes])
                    if at % 5:
                        continue
                    try:
                        events(reader)
                    except WebSocketError:
                        break

    for _ in range(5):
        round_trip()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(20):
        round_trip()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100


# -- strings made in place ---------------------------------------------------------------------------------------------

TEXTS = [
    "",
    "a",
    "\x7f",
    "\x80",
    "é",
    "Grüße",
    "a" * 100,
    "a" * 99 + "\u20ac",
    "Привет, мир",
    "世界" * 50,
    "🐍",
    "\0a\0",
    "\ud7ff\ue000\uffff",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("cut_bytes", [1, 2, 3, 7, 64, 10_000])
def test_a_text_is_a_str_like_any_other(text: str, cut_bytes: int) -> None:
    got = message(client_frame(TEXT, text.encode()), cut_bytes)
    assert type(got) is str
    assert got == text
    assert hash(got) == hash(text)
    assert got.isascii() == text.isascii()
    assert got.encode() == text.encode()
    assert got + "x" == text + "x"
    assert {text: 1}[got] == 1
    # Neither room for more than it holds, nor a wider form than it needs.
    assert sys.getsizeof(got) <= sys.getsizeof("".join([text, "x"])[:-1])
    assert sys.intern(got) == text


@pytest.mark.parametrize("size", [0, 1, 125, 126, 4096, 70_000])
@pytest.mark.parametrize("cut_bytes", [97, 4096, 100_000])
def test_bytes_have_room_for_what_they_hold(size: int, cut_bytes: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    got = message(client_frame(BINARY, payload), cut_bytes)
    assert type(got) is bytes
    assert got == payload
    assert sys.getsizeof(got) == sys.getsizeof(payload)


def test_one_character_does_not_become_another() -> None:
    # CPython keeps one object for each of the 256 first characters: none of them may be written to.
    for number in range(128):
        assert message(client_frame(TEXT, bytes((number,))), 100) == chr(number)
    assert [chr(number) for number in range(128)] == [bytes((number,)).decode() for number in range(128)]
    assert message(client_frame(TEXT, b""), 100) == ""
    assert message(client_frame(BINARY, b""), 100) == b""


# -- objects that grow -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_no_more_than_twice_what_has_come(opcode: int, fin: bool) -> None:
    header = client_frame(opcode, b"", fin=fin, length=16 * MiB, mask=bytes(4))
    piece = bytes(65536)
    reader = MessageReader(16 * MiB, None)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        reader.feed(header)
        assert reader.next_event() == NEED_DATA
        for pieces in range(1, 20):
            reader.feed(piece)
            assert reader.next_event() == NEED_DATA
            now, _ = tracemalloc.get_traced_memory()
            assert now - before <= 2 * pieces * len(piece) + 500
    finally:
        tracemalloc.stop()


def test_no_more_than_the_last_frame_declares() -> None:
    reader = MessageReader(16 * MiB, None)
    data = client_frame(BINARY, bytes(100_000))
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        reader.feed(data[:90_000])
        assert reader.next_event() == NEED_DATA
        now, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # The pieces that were fed are let go; what is left is the message.
    assert now - before < 101_000


# -- while a message is inflated ---------------------------------------------------------------------------------------


class Nosy:
    """An inflater that runs what it is given in the middle of its work, as any Python code might be."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def inflate(self, data: bytes, final: bool, max_bytes: int) -> bytes:
        self.act()
        return data


@pytest.mark.parametrize("method", ["feed", "next_event"])
def test_nobody_gets_in_between(method: str) -> None:
    arguments = [b"x"] if method == "feed" else []
    inflater = Nosy(lambda: getattr(reader, method)(*arguments))
    reader = MessageReader(0, inflater)  # type: ignore[arg-type]
    reader.feed(client_frame(BINARY, b"abc", rsv=RSV1))
    with pytest.raises(RuntimeError, match=f"{method}\\(\\) called while"):
        reader.next_event()
    # Its bytes are lost, and so is the message: nothing else may come out in its place.
    with pytest.raises(WebSocketError, match="DEFLATE") as caught:
        reader.next_event()
    assert caught.value.code == "BAD_DEFLATE"


def test_looking_is_allowed() -> None:
    seen = []
    reader = MessageReader(0, Nosy(lambda: seen.append((reader.mid_message(), reader.buffered_bytes()))))  # type: ignore[arg-type]
    rest = client_frame(PING, b"")
    reader.feed(client_frame(BINARY, b"abc", rsv=RSV1) + rest)
    assert events(reader) == [BINARY, PING]
    assert seen == [(True, len(rest))]


@pytest.mark.parametrize("given", [None, bytearray(b"abc"), "abc"])
def test_what_an_inflater_gives_must_be_bytes(given: object) -> None:
    class Odd:
        def inflate(self, data: bytes, final: bool, max_bytes: int) -> object:
            return given

    reader = MessageReader(0, Odd())  # type: ignore[arg-type]
    reader.feed(client_frame(BINARY, b"abc", rsv=RSV1))
    with pytest.raises(TypeError, match="bytes"):
        reader.next_event()
    with pytest.raises(WebSocketError):
        reader.next_event()


@pytest.mark.parametrize("cut_bytes", [1, 5, 1000])
def test_finalizers_may_feed_and_ask(cut_bytes: int) -> None:
    # Up to 3.11 a collection, and with it any code, can run where a list or an exception is made.
    reader = MessageReader(0, None)
    stream = b"".join(client_frame(PING, bytes((number,))) for number in range(50)) + client_frame(TEXT, b"\xff")
    seen = []

    def collected(phase: str, info: dict[str, int]) -> None:
        try:
            reader.feed(b"")
            reader.feed(client_frame(PONG, b"from a finalizer"))
            seen.append(reader.next_event())
        except WebSocketError:
            seen.append(-1)

    def pump() -> None:
        for at in range(0, len(stream), cut_bytes):
            reader.feed(stream[at : at + cut_bytes])
            if at % 3 == 0:
                reader.next_event()
        for _ in range(200):
            reader.next_event()

    threshold = gc.get_threshold()
    kept = [(number, [number]) for number in range(5000)]  # empties the free list of lists, whose objects count for nothing
    gc.callbacks.append(collected)
    gc.set_threshold(1)
    try:
        pump()
    except WebSocketError:
        # What a finalizer feeds between two pieces is in nobody's order: the stream may well be wrong. It must only not crash.
        assert reader.buffered_bytes() == 0
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(collected)
    assert kept
    assert seen


def test_a_broken_inflater_ends_it() -> None:
    reader = MessageReader(0, Nosy(lambda: 1 // 0))  # type: ignore[arg-type]
    reader.feed(client_frame(TEXT, b"abc", fin=False, rsv=RSV1) + client_frame(CONTINUATION, b"def"))
    with pytest.raises(ZeroDivisionError):
        reader.next_event()
    with pytest.raises(WebSocketError):
        reader.next_event()
    assert reader.buffered_bytes() == 0
    assert not reader.mid_message()


def test_what_is_fed_must_be_bytes() -> None:
    reader = MessageReader(0, None)
    for wrong in (None, bytearray(b"a"), memoryview(b"a"), "a"):
        with pytest.raises(TypeError):
            reader.feed(wrong)  # type: ignore[arg-type]
