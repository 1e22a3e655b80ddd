"""The engines against each other on random conversations: what one tells of a client, the others tell too."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from http2.engines import ENGINES
from http2_streams import conversation, disagreement

SEEDS = range(300)


def cuts(rng: random.Random, data: bytes) -> list[bytes]:
    places = [0, *sorted(rng.randrange(len(data)) for _ in range(rng.randrange(8))), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@pytest.mark.parametrize("part", range(4))
def test_the_engines_agree(part: int) -> None:
    for seed in SEEDS[part::4]:
        rng = random.Random(seed)
        pieces = conversation(rng)
        wrong = disagreement(pieces, cuts(rng, b"".join(pieces)), rng.random() < 0.6, ENGINES)
        assert not wrong, f"seed {seed}: {wrong}"
