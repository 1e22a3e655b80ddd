"""Sets the two HTTP/1 parsers against each other until the time is up: same bytes, any cuts, same events and same verdict.

    python fuzz/twins_http1.py --seconds 60 [--seed 1]

Streams come from the grammar of the tests and from the corpus, both mutated; with atheris installed, `--atheris` lets it guide
the bytes instead. A disagreement is made small and printed as a case for `tests/corpus/http1/`; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from corpus_reader import escape, files, read, run
from http1_grammar import limits, pieces, stream
from picocorn.base.errors import RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import CLOSED, NEED_DATA

NATIVE = importlib.import_module("picocorn.http1.parser_c")
PURE = importlib.import_module("picocorn.http1.parser_py")
CORPUS = [case for path in files() for case in read(path) if len(case.input) < 4000]


def states(parser_module: object, cut: list[bytes], bounds: dict[str, int]) -> list[tuple[int, bool]]:
    """What the attributes say after each piece: both twins must let the connection draw the same conclusions."""
    parser = parser_module.RequestParser(HTTP1Limits(**bounds))  # type: ignore[attr-defined]
    seen = []
    try:
        for piece in cut:
            parser.feed(piece)
            while parser.next_event() not in (NEED_DATA, CLOSED):
                pass
            seen.append((parser.buffered_bytes(), parser.mid_message()))
    except RemoteProtocolError:
        seen.append((parser.buffered_bytes(), False))  # in the middle of what, nobody asks after an error
    return seen


def disagreement(cut: list[bytes], eof: bool, bounds: dict[str, int]) -> str:
    """What is wrong, or ""."""
    data = b"".join(cut)
    expected = run(PURE, [data], eof, bounds)
    for name, module, how in (("native", NATIVE, [data]), ("native, cut", NATIVE, cut), ("pure, cut", PURE, cut)):
        got = run(module, how, eof, bounds)  # type: ignore[arg-type]
        if got != expected:
            return f"pure, whole: {expected}\n# {name}: {got}"
    one, other = states(NATIVE, cut, bounds), states(PURE, cut, bounds)
    return f"(buffered_bytes, mid_message), native: {one}\n# pure: {other}" if one != other else ""


def shrink(data: bytes, wrong: Callable[[bytes], str]) -> bytes:
    """A shorter stream that still disagrees: cut out ever smaller spans."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if wrong(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def report(cut: list[bytes], eof: bool, bounds: dict[str, int]) -> None:
    """Print the disagreement as a case, made small if it does not depend on these very cuts."""
    data = b"".join(cut)

    def whole(shorter: bytes) -> str:
        return disagreement([shorter], eof, bounds)

    def dribbled(shorter: bytes) -> str:
        return disagreement([shorter[at : at + 1] for at in range(len(shorter))], eof, bounds)

    what = disagreement(cut, eof, bounds)
    for wrong in (whole, dribbled):
        if wrong(data):
            data = shrink(data, wrong)
            what = wrong(data)
            break
    else:
        print(f"# only when cut like this: {cut}")
    print(f"# {what}\ncase: found-by-fuzzing\nrule: ?")
    if bounds:
        print("limits:", *(f"{name}={value}" for name, value in bounds.items()))
    print(f"input: {escape(data)}")
    if eof:
        print("eof: yes")
    print("expect: ?", flush=True)


def example(rng: random.Random) -> tuple[list[bytes], bool, dict[str, int]]:
    """One stream with its cuts, end and limits."""
    bounds = limits(rng)
    if rng.random() < 0.6:
        data = stream(rng)
    else:
        one, other = rng.choice(CORPUS), rng.choice(CORPUS)
        bounds = bounds or {**one.limits, **other.limits}
        data = one.input[: rng.randrange(len(one.input) + 1)] + other.input[rng.randrange(len(other.input) + 1) :]
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(data) + 1)
            data = data[:at] + bytes((rng.randrange(256),)) + data[at + rng.randrange(2) :]
    return pieces(rng, data), rng.random() < 0.5, bounds


def by_seed(seconds: float, seed: int) -> int:
    """Streams of one seed after the other. Returns the exit status."""
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        for _ in range(100):
            found = example(random.Random(seed + count))
            if disagreement(*found):
                print(f"# seed {seed + count}")
                report(*found)
                return 1
            count += 1
    print(f"twins_http1: {count} streams from seed {seed} on, no disagreement")
    return 0


def by_atheris(seconds: float) -> int:
    """Streams that atheris makes from the corpus by watching the pure twin's branches."""
    import atheris

    def one(raw: bytes) -> None:
        cut = pieces(random.Random(raw), raw)
        if disagreement(cut, False, {}):
            report(cut, False, {})
            raise AssertionError("the twins disagree")

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}"], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: from the clock)")
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    if options.atheris:
        return by_atheris(options.seconds)
    return by_seed(options.seconds, time.time_ns() if options.seed is None else options.seed)


if __name__ == "__main__":
    sys.exit(main())
