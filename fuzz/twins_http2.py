"""Sets the HTTP/2 engines against each other until the time is up: same frames, any cuts, same requests and same ends.

    python fuzz/twins_http2.py --seconds 60 [--seed 1]

Conversations come from the grammar of the tests, right and a little wrong. A disagreement is printed with its seed and its
frames in hexadecimal, for a case in `tests/corpus/http2/`; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from http2.engines import ENGINES
from http2_streams import conversation, disagreement


def once(seed: int) -> str:
    """What is wrong with one conversation, or ""."""
    rng = random.Random(seed)
    pieces = conversation(rng)
    data = b"".join(pieces)
    places = [0, *sorted(rng.randrange(len(data)) for _ in range(rng.randrange(8))), len(data)]
    cut = [data[start:end] for start, end in pairwise(places)]
    wrong = disagreement(pieces, cut, rng.random() < 0.6, ENGINES)
    return wrong and wrong + "".join(f"\n# {piece.hex(' ')}" for piece in pieces)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**40))
    arguments = parser.parse_args()
    end = time.monotonic() + arguments.seconds
    seed = arguments.seed
    while time.monotonic() < end:
        if wrong := once(seed):
            print(f"# seed {seed}: {wrong}")
            return 1
        seed += 1
    print(f"{seed - arguments.seed} conversations, no disagreement of {', '.join(ENGINES)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
