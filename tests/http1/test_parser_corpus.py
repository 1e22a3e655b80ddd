"""Every case of the corpus on both parsers: whole, cut in two at every byte, and byte by byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from corpus_reader import Case, escape, files, read, run, unescape
from picocorn.http1.verdicts import VERDICTS

CASES = [case for path in files() for case in read(path)]

#: Inputs up to this are cut at every byte; of longer ones the ends and a hundred places between are enough.
EVERY_CUT_BYTES = 1500


def cuts(length: int) -> Iterator[int]:
    if length <= EVERY_CUT_BYTES:
        yield from range(1, length)
    else:
        yield from range(1, 100)
        yield from range(100, length - 100, max(1, length // 100))
        yield from range(length - 100, length)


@pytest.mark.parametrize("case", CASES, ids=[f"{case.file}:{case.name}" for case in CASES])
def test_case(case: Case, room: Callable[[str], ModuleType]) -> None:
    parser = room("http1.parser")
    stream = case.input
    whole = run(parser, [stream], case.eof, case.limits)
    case.check(whole)
    for cut in cuts(len(stream)):
        assert run(parser, [stream[:cut], stream[cut:]], case.eof, case.limits) == whole, f"cut at {cut}"
    dribbled = run(parser, [stream[at : at + 1] for at in range(len(stream))], case.eof, case.limits)
    assert dribbled == whole, "byte by byte"


def test_the_corpus_is_there() -> None:
    assert len(files()) >= 22
    assert len(CASES) >= 800


def test_names_are_unique() -> None:
    assert not [name for name, count in Counter(case.name for case in CASES).items() if count > 1]


def test_every_verdict_has_a_case() -> None:
    verdicts = [case.expected.verdict.split(" ") for case in CASES]
    assert {verdict[1] for verdict in verdicts if verdict[0] == "error"} == set(VERDICTS)


def test_escapes_round_trip() -> None:
    everything = bytes(range(256))
    assert unescape(escape(everything)) == everything
    assert escape(b" a b ") == r"\x20a b\x20"
