"""Nearly valid streams, cut anyhow: both readers must give the same events and the same verdict, and cutting must not matter."""

from __future__ import annotations

import importlib
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodies import TWINS
from picocorn.websocket.deflate import DeflateParameters, negotiate
from websocket_corpus import files, read_frames, run
from websocket_streams import parameters, pieces, stream

READERS = [importlib.import_module(f"picocorn.websocket.reader_{'c' if twin == 'native' else 'py'}") for twin in TWINS]
CORPUS = [case for path in files("websocket") for case in read_frames(path) if len(case.input) < 2000]

quickly = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def agree(data: bytes, cut: list[bytes], limit: int, deflate: DeflateParameters | None) -> None:
    assert b"".join(cut) == data
    whole = run(READERS[0], [data], limit, deflate)
    for how in ([data], cut, [data[at : at + 1] for at in range(len(data))]):
        expected = run(READERS[0], how, limit, deflate)
        assert expected.however_cut() == whole.however_cut(), how
        for reader in READERS[1:]:
            assert run(reader, how, limit, deflate) == expected, (reader.__name__, how)


def test_too_large_and_broken_at_once() -> None:
    deflate = negotiate([b"permessage-deflate"])
    data = b"\xc1\x8f\xa1[\x07\xf0R\x13\xca9h\\\x07\x03\xe9\xa1[\x07\xf0L\xfb"
    agree(data, [data[:9], data[9:]], 10, deflate)


@quickly
@given(st.randoms(use_true_random=False))
def test_streams_from_the_grammar(rng: Random) -> None:
    limit, deflate = parameters(rng)
    data = stream(rng, deflate)
    agree(data, pieces(rng, data), limit, deflate)


@pytest.mark.parametrize("seed", range(300))
def test_streams_from_seeds(seed: int) -> None:
    rng = Random(seed)
    for _ in range(5):
        limit, deflate = parameters(rng)
        data = stream(rng, deflate)
        agree(data, pieces(rng, data), limit, deflate)


@quickly
@given(st.integers(0, len(CORPUS) - 1), st.integers(0, len(CORPUS) - 1), st.randoms(use_true_random=False))
def test_two_cases_spliced(one: int, other: int, rng: Random) -> None:
    first, second = CORPUS[one], CORPUS[other]
    data = first.input[: rng.randrange(len(first.input) + 1)] + second.input[rng.randrange(len(second.input) + 1) :]
    agree(data, pieces(rng, data), min(first.max_size, second.max_size), first.deflate or second.deflate)


@quickly
@given(st.binary(max_size=60), st.randoms(use_true_random=False))
def test_any_bytes(data: bytes, rng: Random) -> None:
    agree(data, pieces(rng, data), 100, negotiate([b"permessage-deflate"]))
