"""The tables in `csrc/README.md` against the corpora and the verdicts: every row is true, and no verdict is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import corpus_reader
import websocket_corpus
from picocorn.http1.verdicts import VERDICTS
from picocorn.websocket.verdicts import VERDICTS as WEBSOCKET_VERDICTS

CSRC = Path(__file__).parents[2] / "csrc"
ROW = re.compile(r"^\| .+ \| \d{4} [\d.]+ \| ([A-Z0-9_]+) \| (\d{3}) \| `([a-z0-9-]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((CSRC / "README.md").read_text(encoding="utf-8"))
# Close codes have a digit more than statuses.
WEBSOCKET_ROW = re.compile(r"^\| .+ \| \d{4} [\d.]+ \| ([A-Z0-9_]+) \| (\d{4}) \| `([a-z0-9-]+)` \|$", re.MULTILINE)
WEBSOCKET_ROWS = WEBSOCKET_ROW.findall((CSRC / "README.md").read_text(encoding="utf-8"))
CASES = {case.name: case for path in corpus_reader.files() for case in corpus_reader.read(path)}
WEBSOCKET_CASES = {case.name: case for path in websocket_corpus.files("websocket") for case in websocket_corpus.read_frames(path)}


@pytest.mark.parametrize(("code", "status", "name"), ROWS)
def test_row_is_a_case_of_the_corpus(code: str, status: str, name: str) -> None:
    assert CASES[name].expected.verdict == f"error {code} {status}"


def test_table_has_every_verdict() -> None:
    assert {code for code, _, _ in ROWS} == set(VERDICTS)


def test_c_has_every_verdict() -> None:
    header = (CSRC / "http1.h").read_text(encoding="utf-8")
    assert set(re.findall(r"^    X\((\w+)\)", header, re.MULTILINE)) == set(VERDICTS)


@pytest.mark.parametrize(("code", "close_code", "name"), WEBSOCKET_ROWS)
def test_websocket_row_is_a_case_of_the_corpus(code: str, close_code: str, name: str) -> None:
    assert WEBSOCKET_CASES[name].expected.verdict == f"error {code} {close_code}"


def test_websocket_table_has_every_verdict_in_the_order_of_judgement() -> None:
    assert [code for code, _, _ in WEBSOCKET_ROWS] == list(WEBSOCKET_VERDICTS)


def test_c_has_every_websocket_verdict() -> None:
    header = (CSRC / "websocket.h").read_text(encoding="utf-8")
    assert re.findall(r"^    X\((\w+)\)", header, re.MULTILINE) == list(WEBSOCKET_VERDICTS)
