"""The corpus of HTTP/2 cases on every engine: whole, byte by byte, and in pieces that end inside frame headers."""

from __future__ import annotations

import pytest

from http2.engines import ENGINES
from http2_corpus import Case, check, files, read

CASES = [case for path in files() for case in read(path)]


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert all(case.rule for case in CASES)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(engine: str, case: Case) -> None:
    for split in (0, 1, 7):
        check(case, engine, split)
