"""permessage-deflate: what is agreed on, what is said about it, and zlib under those terms."""

from __future__ import annotations

import zlib
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from picocorn.base.errors import WebSocketError
from picocorn.websocket.deflate import DeflateParameters, Deflater, Inflater, negotiate

quickly = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

DEFAULT = DeflateParameters()
FORGETFUL = DeflateParameters(server_no_context_takeover=True, client_no_context_takeover=True)
TAIL = b"\x00\x00\xff\xff"


def answer(*offers: bytes) -> bytes | None:
    accepted = negotiate(list(offers))
    return None if accepted is None else accepted.response_field()


# -- negotiation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "response"),
    [
        (b"permessage-deflate", b"permessage-deflate"),
        # What browsers send.
        (b"permessage-deflate; client_max_window_bits", b"permessage-deflate; client_max_window_bits=12"),
        (b"permessage-deflate; client_max_window_bits=15", b"permessage-deflate; client_max_window_bits=12"),
        (b"permessage-deflate; client_max_window_bits=10", b"permessage-deflate; client_max_window_bits=10"),
        (b"permessage-deflate; client_max_window_bits=8", b"permessage-deflate; client_max_window_bits=8"),
        (b"permessage-deflate; server_max_window_bits=15", b"permessage-deflate; server_max_window_bits=12"),
        (b"permessage-deflate; server_max_window_bits=12", b"permessage-deflate; server_max_window_bits=12"),
        (b"permessage-deflate; server_max_window_bits=9", b"permessage-deflate; server_max_window_bits=9"),
        (b"permessage-deflate; server_no_context_takeover", b"permessage-deflate; server_no_context_takeover"),
        (b"permessage-deflate; client_no_context_takeover", b"permessage-deflate; client_no_context_takeover"),
        (b'permessage-deflate; client_max_window_bits="10"', b"permessage-deflate; client_max_window_bits=10"),
        (
            b"permessage-deflate;client_max_window_bits=11;server_max_window_bits=10;client_no_context_takeover;"
            b"server_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; "
            b"client_max_window_bits=11",
        ),
    ],
)
def test_accepted(offer: bytes, response: bytes) -> None:
    assert answer(offer) == response


@pytest.mark.parametrize(
    "parameters",
    [
        b"unknown",
        b"client_max_window_bits; unknown=1",
        b"server_no_context_takeover=1",
        b"client_no_context_takeover=true",
        b"server_no_context_takeover; server_no_context_takeover",
        b"client_max_window_bits; client_max_window_bits=10",
        b"server_max_window_bits",
        # zlib has no raw stream with so small a window, and the client has no larger one.
        b"server_max_window_bits=8",
        b"server_max_window_bits=7",
        b"server_max_window_bits=16",
        b"server_max_window_bits=012",
        b"server_max_window_bits=+9",
        b"server_max_window_bits=9x",
        b"client_max_window_bits=7",
        b"client_max_window_bits=16",
        b"client_max_window_bits=08",
        b"client_max_window_bits=1_0",
        b"client_max_window_bits=ten",
        b"Client_max_window_bits",
    ],
)
def test_declined(parameters: bytes) -> None:
    offer = b"permessage-deflate; " + parameters
    assert answer(offer) is None
    # The next one, in the same field or another, may do.
    assert answer(offer + b", permessage-deflate") == b"permessage-deflate"
    assert answer(offer, b"permessage-deflate") == b"permessage-deflate"


@pytest.mark.parametrize("offers", [(), (b"",), (b"x-webkit-deflate-frame",), (b"permessage-bzip2",), (b"Permessage-Deflate",)])
def test_nothing_offered(offers: tuple[bytes, ...]) -> None:
    assert answer(*offers) is None


def test_the_first_offer_that_can_be_met_counts() -> None:
    first = (
        b"permessage-deflate; server_max_window_bits=8, foo, permessage-deflate; server_max_window_bits=10, permessage-deflate"
    )
    assert answer(first) == b"permessage-deflate; server_max_window_bits=10"
    assert answer(b"foo", b"permessage-deflate; client_no_context_takeover", b"permessage-deflate") == (
        b"permessage-deflate; client_no_context_takeover"
    )


def test_a_field_that_breaks_the_grammar_offers_nothing() -> None:
    assert answer(b"permessage-deflate; =, permessage-deflate") is None
    assert answer(b"permessage-deflate;", b"permessage-deflate") == b"permessage-deflate"


def test_the_client_is_told_nothing_that_it_has_not_asked_for() -> None:
    accepted = negotiate([b"permessage-deflate"])
    assert accepted is not None
    assert accepted.server_max_window_bits == 12
    assert accepted.client_max_window_bits == 15
    assert accepted.response_field() == b"permessage-deflate"


# -- round trips --------------------------------------------------------------------------------------------------------


def client_compressor(bits: int = 15) -> zlib._Compress:
    return zlib.compressobj(6, zlib.DEFLATED, -bits)


def compressed(compressor: zlib._Compress, data: bytes) -> bytes:
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@quickly
@given(st.lists(st.binary(max_size=200)), st.sampled_from([DEFAULT, FORGETFUL]))
def test_deflater_and_inflater(messages: list[bytes], parameters: DeflateParameters) -> None:
    deflater, inflater = Deflater(parameters), Inflater(parameters)
    for message in messages:
        data = deflater.deflate(message)
        assert data
        assert not data.endswith(TAIL)
        assert inflater.inflate(data, True, 200) == message


@pytest.mark.parametrize("bits", range(9, 16))
def test_windows(bits: int) -> None:
    far = zlib.compress(bytes(range(256)) * 40, 0)  # something with distances as far as they go
    message = far * 8
    deflater = Deflater(DeflateParameters(server_max_window_bits=bits))
    receiver = zlib.decompressobj(-bits)
    for _ in range(3):
        assert receiver.decompress(deflater.deflate(message) + TAIL) == message
    compressor = client_compressor(bits)
    inflater = Inflater(DeflateParameters(client_max_window_bits=bits))
    for _ in range(3):
        assert inflater.inflate(compressed(compressor, message), True, -1) == message


def test_the_context_is_kept() -> None:
    deflater = Deflater(DEFAULT)
    message = b"something that is said more than once, word for word"
    first, second = deflater.deflate(message), deflater.deflate(message)
    assert len(second) < len(first) / 4


def test_the_context_is_given_up_where_that_was_agreed_on() -> None:
    deflater = Deflater(FORGETFUL)
    message = b"something that is said more than once, word for word"
    assert deflater.deflate(message) == deflater.deflate(message)
    inflater = Inflater(FORGETFUL)
    compressor = client_compressor()
    first, second = compressed(compressor, message), compressed(compressor, message)
    assert inflater.inflate(first, True, -1) == message
    with pytest.raises(WebSocketError):
        inflater.inflate(second, True, -1)


def test_an_empty_message_is_one_byte() -> None:
    for parameters in (DEFAULT, FORGETFUL):
        deflater = Deflater(parameters)
        receiver = zlib.decompressobj(-15)
        for message in (b"", b"", b"a" * 100, b"", b"", b"a" * 100):
            data = deflater.deflate(message)
            assert data == b"\x00" or message
            assert receiver.decompress(data + TAIL) == message


# -- pieces, limits, faults ---------------------------------------------------------------------------------------------


@quickly
@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.booleans())
def test_pieces(message: bytes, cuts: list[int], ends_stream: bool) -> None:
    compressor = client_compressor()
    data = compressor.compress(message) + compressor.flush(zlib.Z_FINISH) if ends_stream else compressed(compressor, message)
    at = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    inflater = Inflater(DEFAULT)
    for _ in range(2):
        parts = [data[one:other] for one, other in pairwise(at)]
        out = b"".join(inflater.inflate(part, number == len(parts) - 1, 300) for number, part in enumerate(parts))
        assert out == message
        if not ends_stream:
            break  # the same bytes again would refer to another context


@pytest.mark.parametrize("ends_stream", [False, True])
@pytest.mark.parametrize("over", [0, 1, 5, 100_000])
def test_the_limit_is_for_what_comes_out(over: int, ends_stream: bool) -> None:
    compressor = client_compressor()
    data = compressor.compress(b"a" * (1000 + over)) + compressor.flush(zlib.Z_FINISH if ends_stream else zlib.Z_SYNC_FLUSH)
    inflater = Inflater(DEFAULT)
    if not over:
        assert inflater.inflate(data, True, 1000) == b"a" * 1000
        return
    with pytest.raises(WebSocketError) as caught:
        inflater.inflate(data, True, 1000)
    assert (caught.value.code, caught.value.close_code) == ("TOO_BIG", 1009)


def test_a_limit_of_nothing() -> None:
    inflater = Inflater(DEFAULT)
    assert inflater.inflate(b"\x00", True, 0) == b""
    with pytest.raises(WebSocketError):
        inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00", True, 0)


def test_faults() -> None:
    inflater = Inflater(DEFAULT)
    with pytest.raises(WebSocketError) as caught:
        inflater.inflate(b"\x06", False, -1)
    assert (caught.value.code, caught.value.close_code) == ("BAD_DEFLATE", 1007)


def test_final_blocks_cannot_be_had_without_end() -> None:
    # Each costs a stream and a copy of what stands behind it: a message full of them must not cost its square.
    flood = b"\x03\x00" * 500_000
    inflater = Inflater(DEFAULT)
    with pytest.raises(WebSocketError) as caught:
        inflater.inflate(flood, True, -1)
    assert caught.value.code == "BAD_DEFLATE"


def test_nothing_is_made_before_it_is_needed() -> None:
    deflater, inflater = Deflater(DEFAULT), Inflater(DEFAULT)
    assert deflater._stream is None
    assert inflater._stream is None
    inflater.inflate(deflater.deflate(b"a"), True, -1)
    assert deflater._stream is not None
    assert inflater._stream is not None


def test_nothing_is_kept_without_a_context() -> None:
    deflater, inflater = Deflater(FORGETFUL), Inflater(FORGETFUL)
    inflater.inflate(deflater.deflate(b"a"), True, -1)
    assert deflater._stream is None
    assert inflater._stream is None
