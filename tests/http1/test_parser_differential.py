"""Nearly valid streams, cut anyhow: both parsers must give the same events and the same verdict, and cutting must not matter."""

from __future__ import annotations

import importlib
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodies import TWINS
from corpus_reader import files, read, run
from http1_grammar import limits, pieces, stream

PARSERS = [importlib.import_module(f"picocorn.http1.parser_{'c' if twin == 'native' else 'py'}") for twin in TWINS]
CORPUS = [case for path in files() for case in read(path) if len(case.input) < 2000]

quickly = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def agree(data: bytes, cut: list[bytes], eof: bool, bounds: dict[str, int]) -> None:
    assert b"".join(cut) == data
    whole = run(PARSERS[0], [data], eof, bounds)
    for parser in PARSERS:
        for how in ([data], cut, [data[at : at + 1] for at in range(len(data))]):
            got = run(parser, how, eof, bounds)
            assert got == whole, (parser.__name__, how)


@quickly
@given(st.randoms(use_true_random=False), st.booleans())
def test_streams_from_the_grammar(rng: Random, eof: bool) -> None:
    data = stream(rng)
    agree(data, pieces(rng, data), eof, limits(rng))


@pytest.mark.parametrize("seed", range(300))
def test_streams_from_seeds(seed: int) -> None:
    rng = Random(seed)
    for _ in range(5):
        data = stream(rng)
        agree(data, pieces(rng, data), rng.random() < 0.5, limits(rng))


@quickly
@given(st.integers(0, len(CORPUS) - 1), st.integers(0, len(CORPUS) - 1), st.randoms(use_true_random=False))
def test_two_cases_spliced(one: int, other: int, rng: Random) -> None:
    first, second = CORPUS[one], CORPUS[other]
    data = first.input[: rng.randrange(len(first.input) + 1)] + second.input[rng.randrange(len(second.input) + 1) :]
    agree(data, pieces(rng, data), second.eof, {**second.limits, **first.limits})


@quickly
@given(st.binary(max_size=60), st.randoms(use_true_random=False))
def test_any_bytes(data: bytes, rng: Random) -> None:
    agree(data, pieces(rng, data), True, {})
