"""Every case of the corpus of frames on both readers: whole, cut in two at every byte, and byte by byte."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from picocorn.websocket.verdicts import VERDICTS
from websocket_corpus import FrameCase, files, read_frames, run

CASES = [case for path in files("websocket") for case in read_frames(path)]

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
def test_case(case: FrameCase, room: Callable[[str], ModuleType]) -> None:
    reader = room("websocket.reader")
    stream = case.input
    whole = run(reader, [stream], case.max_size, case.deflate)
    assert whole == case.expected
    for cut in cuts(len(stream)):
        assert run(reader, [stream[:cut], stream[cut:]], case.max_size, case.deflate) == whole, f"cut at {cut}"
    dribbled = run(reader, [stream[at : at + 1] for at in range(len(stream))], case.max_size, case.deflate)
    assert dribbled == whole, "byte by byte"


def test_the_corpus_is_there() -> None:
    assert len(files("websocket")) >= 11
    assert len(CASES) >= 230


def test_names_are_unique() -> None:
    assert not [name for name, count in Counter(case.name for case in CASES).items() if count > 1]


def test_every_verdict_has_a_case() -> None:
    expected = [case.expected.verdict.split(" ") for case in CASES]
    assert {words[1] for words in expected if words[0] == "error"} == set(VERDICTS)
