"""The table in `csrc/README.md` against the corpus and the verdicts: every row is true, and no verdict is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import corpus_reader
from picocorn.http1.verdicts import VERDICTS

CSRC = Path(__file__).parents[2] / "csrc"
ROW = re.compile(r"^\| .+ \| \d{4} [\d.]+ \| ([A-Z0-9_]+) \| (\d{3}) \| `([a-z0-9-]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((CSRC / "README.md").read_text(encoding="utf-8"))
CASES = {case.name: case for path in corpus_reader.files() for case in corpus_reader.read(path)}


@pytest.mark.parametrize(("code", "status", "name"), ROWS)
def test_row_is_a_case_of_the_corpus(code: str, status: str, name: str) -> None:
    assert CASES[name].expected.verdict == f"error {code} {status}"


def test_table_has_every_verdict() -> None:
    assert {code for code, _, _ in ROWS} == set(VERDICTS)


def test_c_has_every_verdict() -> None:
    header = (CSRC / "http1.h").read_text(encoding="utf-8")
    assert set(re.findall(r"^    X\((\w+)\)", header, re.MULTILINE)) == set(VERDICTS)
