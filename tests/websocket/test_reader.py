"""The reader beyond its corpus: what it holds, what it lets go, and what it costs."""

from __future__ import annotations

import importlib
import tracemalloc
import zlib
from collections.abc import Callable
from itertools import pairwise
from random import Random
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodies import TWINS
from picocorn.base.errors import WebSocketError
from picocorn.websocket.deflate import Deflater, Inflater, negotiate
from picocorn.websocket.opcodes import BINARY, CLOSE, CONTINUATION, NEED_DATA, PING, PONG, TEXT
from picocorn.websocket.verdicts import VERDICTS, websocket_error
from websocket_corpus import client_frame

quickly = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

MiB = 1024 * 1024
PLAIN_MASK = b"\0\0\0\0"
READERS = [importlib.import_module(f"picocorn.websocket.reader_{'c' if twin == 'native' else 'py'}") for twin in TWINS]
OFFERS = [b"permessage-deflate; client_no_context_takeover; server_no_context_takeover", b"permessage-deflate"]


@pytest.fixture
def reader(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """`reader(data)`: a reader that was fed `data`."""

    def reader(data: bytes = b"", max_size_bytes: int = 16 * MiB, inflater: Any = None) -> Any:
        made = room("websocket.reader").MessageReader(max_size_bytes, inflater)
        made.feed(data)
        return made

    return reader


def events(reader: Any) -> list[int]:
    seen = []
    while event := reader.next_event():
        seen.append(event)
    return seen


# -- attributes ---------------------------------------------------------------------------------------------------------


def test_before_anything(reader: Any) -> None:
    fresh = reader()
    assert fresh.next_event() == NEED_DATA
    assert (fresh.close_code, fresh.close_reason) == (1005, "")
    assert fresh.buffered_bytes() == 0
    assert not fresh.mid_message()


def test_attributes_belong_to_the_last_event(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"a") + client_frame(PING, b"b") + client_frame(BINARY, b"c") + client_frame(PONG, b"d"))
    assert one.next_event() == TEXT
    assert one.message == "a"
    assert one.next_event() == PING
    assert one.payload == b"b"
    assert one.next_event() == BINARY
    assert one.message == b"c"
    assert one.next_event() == PONG
    assert one.payload == b"d"


def test_need_data_lets_the_message_go(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"a" * 1000) + client_frame(PING, b"b"))
    assert events(one) == [TEXT, PING]
    assert not one.message
    assert not one.payload


def test_attributes_of_the_reader_cannot_be_missed(reader: Any) -> None:
    one = reader(client_frame(CLOSE, b"\x0f\xa0bye"))
    assert one.next_event() == CLOSE
    assert (one.close_code, one.close_reason) == (4000, "bye")
    assert one.next_event() == NEED_DATA
    assert (one.close_code, one.close_reason) == (4000, "bye")


def test_feeding_nothing_is_nothing(reader: Any) -> None:
    one = reader()
    one.feed(b"")
    assert one.next_event() == NEED_DATA
    assert not one.mid_message()
    one.feed(client_frame(TEXT, b"a")[:3])
    one.feed(b"")
    assert one.next_event() == NEED_DATA
    one.feed(client_frame(TEXT, b"a")[3:])
    assert events(one) == [TEXT]


def test_pieces_fed_before_anybody_asks(reader: Any) -> None:
    one = reader()
    data = client_frame(TEXT, b"hello") + client_frame(BINARY, b"world")
    for at in range(len(data)):
        one.feed(data[at : at + 1])
    assert one.buffered_bytes() == len(data)
    assert events(one) == [TEXT, BINARY]


# -- buffered_bytes and mid_message -------------------------------------------------------------------------------------


def test_buffered_bytes_is_what_stands_behind_the_last_event(reader: Any) -> None:
    frame = client_frame(TEXT, b"hello")
    one = reader(frame * 3)
    assert one.buffered_bytes() == 3 * len(frame)
    for left in (2, 1, 0):
        assert one.next_event() == TEXT
        assert one.buffered_bytes() == left * len(frame)
    one.feed(frame[:3])
    assert one.buffered_bytes() == 3
    assert one.next_event() == NEED_DATA
    assert one.buffered_bytes() == 0
    one.feed(frame[3:] + frame)
    assert one.buffered_bytes() == 2 * len(frame) - 3
    assert one.next_event() == TEXT
    assert one.buffered_bytes() == len(frame)


@pytest.mark.parametrize("frame", [client_frame(BINARY, b"abc"), client_frame(PING, b"abc"), client_frame(CLOSE, b"\x03\xe8")])
def test_mid_message_inside_a_frame(reader: Any, frame: bytes) -> None:
    for cut in range(1, len(frame)):
        one = reader(frame[:cut])
        assert one.mid_message()
        assert one.next_event() == NEED_DATA
        assert one.mid_message()
        assert one.buffered_bytes() == 0
        one.feed(frame[cut:])
        assert one.next_event() != NEED_DATA
        assert not one.mid_message()


def test_mid_message_between_fragments(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"", fin=False))
    assert one.next_event() == NEED_DATA
    assert one.mid_message()
    one.feed(client_frame(PING))
    assert one.next_event() == PING
    assert one.mid_message()
    one.feed(client_frame(CONTINUATION))
    assert one.next_event() == TEXT
    assert not one.mid_message()


# -- the end ------------------------------------------------------------------------------------------------------------


def test_nothing_comes_after_a_close(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"a", fin=False) + client_frame(CLOSE) + client_frame(TEXT, b"b"))
    assert events(one) == [CLOSE]
    one.feed(client_frame(TEXT, b"c"))
    assert events(one) == []
    assert one.buffered_bytes() == 0
    assert not one.mid_message()


def test_an_error_is_raised_at_every_call(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"a") + client_frame(TEXT, b"\xff") + client_frame(TEXT, b"b"))
    assert one.next_event() == TEXT
    raised = []
    for _ in range(3):
        with pytest.raises(WebSocketError) as caught:
            one.next_event()
        raised.append((caught.value.code, caught.value.close_code, str(caught.value)))
        one.feed(client_frame(TEXT, b"c"))
        assert one.buffered_bytes() == 0
    assert raised == [("TEXT_UTF8", *VERDICTS["TEXT_UTF8"])] * 3


def test_an_error_lets_everything_go(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"a"))
    assert one.next_event() == TEXT
    one.feed(client_frame(TEXT, b"b", mask=None))
    with pytest.raises(WebSocketError):
        one.next_event()
    assert not one.message


# -- inflating ----------------------------------------------------------------------------------------------------------


class Inflating:
    """An inflater that remembers how it was called."""

    def __init__(self, *results: bytes | str) -> None:
        self.results = list(results)
        self.calls: list[tuple[bytes, bool, int]] = []

    def inflate(self, data: bytes, final: bool, max_bytes: int) -> bytes:
        self.calls.append((data, final, max_bytes))
        result = self.results.pop(0)
        if isinstance(result, str):
            raise websocket_error(result)
        return result


def test_a_whole_message_is_one_call(reader: Any) -> None:
    inflater = Inflating(b"hello")
    one = reader(client_frame(TEXT, b"xyz", rsv=4), 100, inflater)
    assert one.next_event() == TEXT
    assert one.message == "hello"
    assert inflater.calls == [(b"xyz", True, 100)]


def test_pieces_are_inflated_as_they_come(reader: Any) -> None:
    inflater = Inflating(b"12345", b"", b"6", b"789")
    frame = client_frame(BINARY, b"abcd", rsv=4, fin=False)
    one = reader(frame[:-2], 100, inflater)
    assert one.next_event() == NEED_DATA
    one.feed(frame[-2:] + client_frame(CONTINUATION, b"ef", fin=False))
    assert one.next_event() == NEED_DATA
    one.feed(client_frame(CONTINUATION, b"g"))
    assert one.next_event() == BINARY
    assert one.message == b"123456789"
    assert inflater.calls == [(b"ab", False, 100), (b"cd", False, 95), (b"ef", False, 95), (b"g", True, 94)]


def test_without_a_limit_any_amount_may_come_out(reader: Any) -> None:
    inflater = Inflating(b"1", b"2")
    one = reader(client_frame(TEXT, b"a", rsv=4, fin=False) + client_frame(CONTINUATION, b"b"), 0, inflater)
    assert one.next_event() == TEXT
    assert [most for _, _, most in inflater.calls] == [-1, -1]


@pytest.mark.parametrize("verdict", ["TOO_BIG", "BAD_DEFLATE"])
def test_what_the_inflater_holds_against_a_message(reader: Any, verdict: str) -> None:
    one = reader(client_frame(TEXT, b"a", rsv=4), 100, Inflating(verdict))
    for _ in range(2):
        with pytest.raises(WebSocketError) as caught:
            one.next_event()
        assert caught.value.code == verdict


def test_no_memory_for_a_message_ends_it(reader: Any) -> None:
    """What stands behind bytes that are lost is no header. It is closed as too big (RFC 6455 7.4.1)."""

    class Full:
        def inflate(self, data: bytes, final: bool, max_bytes: int) -> bytes:
            raise MemoryError

    one = reader(client_frame(TEXT, b"abc", fin=False, rsv=4) + client_frame(CONTINUATION, b"def"), inflater=Full())
    with pytest.raises(MemoryError):
        one.next_event()
    with pytest.raises(WebSocketError) as raised:
        one.next_event()
    assert raised.value.code == "TOO_BIG"
    assert one.buffered_bytes() == 0
    assert not one.mid_message()


def test_a_bomb_is_stopped_at_the_limit(reader: Any) -> None:
    parameters = negotiate([b"permessage-deflate"])
    assert parameters is not None
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = (deflater.compress(bytes(40 * MiB)) + deflater.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(bomb) < 50_000
    one = reader(client_frame(BINARY, bomb, rsv=4), 4 * MiB, Inflater(parameters))
    tracemalloc.start()
    with pytest.raises(WebSocketError) as caught:
        one.next_event()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "TOO_BIG"
    assert peak < 10 * MiB


# -- round trips --------------------------------------------------------------------------------------------------------

MESSAGES = st.lists(st.one_of(st.text(st.characters(exclude_categories=["Cs"])), st.binary(max_size=300)), max_size=8)


@quickly
@given(MESSAGES, st.randoms(use_true_random=False), st.sampled_from([None, *OFFERS]))
def test_messages_come_out_as_they_went_in(messages: list[str | bytes], rng: Random, offer: bytes | None) -> None:
    parameters = None if offer is None else negotiate([offer])
    stream, expected = b"", []
    deflater = None if parameters is None else Deflater(parameters)
    for message in messages:
        opcode, payload = (TEXT, message.encode()) if isinstance(message, str) else (BINARY, message)
        compressed = deflater is not None and rng.random() < 0.5
        if deflater is not None and compressed:
            payload = deflater.deflate(payload)
        cuts = sorted(rng.randrange(len(payload) + 1) for _ in range(rng.choice([0, 0, 1, 4])))
        bounds = [0, *cuts, len(payload)]
        for number, (start, end) in enumerate(pairwise(bounds)):
            stream += client_frame(
                CONTINUATION if number else opcode,
                payload[start:end],
                fin=number == len(cuts),
                rsv=4 if compressed and not number else 0,
                mask=rng.randbytes(4),
            )
            if number < len(cuts) and rng.random() < 0.3:
                stream += client_frame(PING, b"between", mask=rng.randbytes(4))
                expected.append((PING, b"between"))
        expected.append((opcode, message))
    at = [0, *sorted(rng.randrange(len(stream) + 1) for _ in range(rng.choice([0, 1, 5]))), len(stream)]
    for module in READERS:
        one = module.MessageReader(0, None if parameters is None else Inflater(parameters))
        seen = []
        for start, end in pairwise(at):
            one.feed(stream[start:end])
            while event := one.next_event():
                seen.append((event, one.message if event in (TEXT, BINARY) else one.payload))
        assert seen == expected


# -- memory and time ----------------------------------------------------------------------------------------------------


def peak_of(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_a_declared_length_costs_nothing(reader: Any) -> None:
    one = reader()
    header = client_frame(BINARY, length=16 * MiB)
    one.next_event()

    def begin() -> None:
        one.feed(header + b"abc")
        assert one.next_event() == NEED_DATA

    assert peak_of(begin) < 10_000
    assert one.mid_message()


def flood(one: Any, thousands: int) -> None:
    """That many fragments of one byte each, and the end."""
    piece = client_frame(CONTINUATION, b"a", fin=False) * 1000
    for _ in range(thousands):
        one.feed(piece)
        assert one.next_event() == NEED_DATA
    one.feed(client_frame(CONTINUATION))
    assert one.next_event() == TEXT


def test_half_a_million_fragments_of_one_byte(reader: Any) -> None:
    # Two seconds for the pure reader; with a cost that grows by the square it would be many minutes.
    one = reader(client_frame(TEXT, b"", fin=False))
    flood(one, 500)
    assert one.message == "a" * 500_000


def test_fragments_cost_the_memory_of_their_message(reader: Any) -> None:
    one = reader(client_frame(TEXT, b"", fin=False))
    assert peak_of(lambda: flood(one, 20)) < 100_000


def test_a_large_message_in_small_pieces(reader: Any) -> None:
    size = 2 * MiB
    one = reader(client_frame(BINARY, length=size, mask=PLAIN_MASK))
    piece = b"x" * 1000
    for _ in range(size // 1000):
        one.feed(piece)
        assert one.next_event() == NEED_DATA
        assert one.buffered_bytes() == 0
    one.feed(b"y" * (size % 1000))
    assert one.next_event() == BINARY
    assert one.message == b"x" * (size // 1000 * 1000) + b"y" * (size % 1000)


def test_a_small_rest_does_not_keep_a_large_piece(reader: Any) -> None:
    one = reader()

    def read() -> None:
        one.feed(client_frame(BINARY, bytes(MiB), mask=PLAIN_MASK) + b"\x82")
        assert events(one) == [BINARY]

    tracemalloc.start()
    read()
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 100_000


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536, 200_001])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_sizes(reader: Any, size: int, opcode: int) -> None:
    payload = bytes(at * 7 % 128 for at in range(size))
    one = reader(client_frame(opcode, payload))
    assert one.next_event() == opcode
    assert one.message == (payload.decode() if opcode == TEXT else payload)
