"""What the judge makes of the fuzzing client's reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import run
from judge import ALLOWED, MISSING, Outcome, explain, failures, load_allowed, read_outcomes, table

ENTRY = {
    "behavior": "OK",
    "behaviorClose": "OK",
    "duration": 1500,
    "remoteCloseCode": 1000,
    "reportfile": "native_case_1_1_1.json",
}
REPORT: dict[str, Any] = {
    "description": "Send text.",
    "expectation": "Receive it.",
    "result": "Actual events differ from any expected.",
    "resultClose": "Connection was properly closed",
    "expected": {"OK": [["message", "x", False]]},
    "expectedClose": {"closeCode": [1000]},
    "received": [],
    "remoteCloseCode": 1002,
    "remoteCloseReason": "reserved bits",
    "droppedByMe": False,
    "wirelog": [
        ["TF", [1, "x"], 1, True, 0, "01020304", 1, None, False],
        ["TO", [1, "81"], False],
        ["TO", [300, "ab" * 256 + " ..."], False],
        ["CT", 1, "A"],
        ["CTE", "A"],
        ["RO", [4, "880203ea"]],
        ["RF", [2, "0x03ea"], 8, True, 0, False, None],
        ["WLM", True],
    ],
}


def outcome(behavior: str, behavior_close: str = "OK", case: str = "1.1.1", testee: str = "native") -> Outcome:
    return Outcome(testee, case, behavior, behavior_close)


@pytest.mark.parametrize(
    ("behavior", "behavior_close"),
    [
        ("FAILED", "OK"),
        ("UNIMPLEMENTED", "OK"),
        ("NON-STRICT", "OK"),
        ("INFORMATIONAL", "INFORMATIONAL"),
        ("OK", "UNCLEAN"),
        ("OK", "WRONG CODE"),
        ("OK", "FAILED BY CLIENT"),
        ("OK", "INFORMATIONAL"),
        (MISSING, MISSING),
    ],
)
def test_anything_but_ok_fails(behavior: str, behavior_close: str) -> None:
    wrong = outcome(behavior, behavior_close)
    assert failures([outcome("OK"), wrong], {}) == [wrong]
    assert wrong.verdict != "OK"


@pytest.mark.parametrize("close", ["OK", "INFORMATIONAL"])
def test_what_is_allowed_passes(close: str) -> None:
    assert failures([outcome("INFORMATIONAL", close)], {"1.1.1": "INFORMATIONAL"}) == []


@pytest.mark.parametrize(
    "wrong",
    [
        outcome("FAILED"),
        outcome("NON-STRICT"),
        outcome("INFORMATIONAL", "UNCLEAN"),
        # A list that outlives its reasons would hide the next fault.
        outcome("OK"),
    ],
)
def test_allowed_means_this_verdict_and_no_other(wrong: Outcome) -> None:
    assert failures([wrong], {"1.1.1": "INFORMATIONAL"}) == [wrong]


def test_reads_the_index_and_misses_what_is_not_in_it(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text(json.dumps({"native": {"1.1.1": ENTRY}, "pure": {"1.1.2": ENTRY}}))
    found, missing = read_outcomes("native", ["1.1.1", "1.1.2"], tmp_path)
    assert (found.verdict, found.duration_seconds, found.report) == ("OK", 1.5, tmp_path / "native_case_1_1_1.json")
    assert missing.verdict == MISSING


def test_a_client_that_reported_nothing_has_tested_nothing(tmp_path: Path) -> None:
    outcomes = read_outcomes("native", ["1.1.1", "1.1.2"], tmp_path)
    assert [outcome.verdict for outcome in outcomes] == [MISSING, MISSING]


def test_the_list_of_what_is_allowed_is_in_order() -> None:
    # What the suite itself calls undefined, and nothing else.
    assert load_allowed() == dict.fromkeys(("7.1.6", "7.13.1", "7.13.2"), "INFORMATIONAL")
    assert ALLOWED.exists()


@pytest.mark.parametrize(
    "entry",
    ['verdict = "INFORMATIONAL"', 'verdict = "INFORMATIONAL"\nreason = " "', 'verdict = "FAILED"\nreason = "so be it"'],
)
def test_nothing_is_allowed_without_a_reason_and_no_failure_with_one(entry: str, tmp_path: Path) -> None:
    path = tmp_path / "allowed.toml"
    path.write_text(f'[cases."1.1.1"]\n{entry}\n')
    with pytest.raises(ValueError, match=r"1\.1\.1"):
        load_allowed(path)


def test_an_explanation_shows_the_wire(tmp_path: Path) -> None:
    report = tmp_path / "case.json"
    report.write_text(json.dumps(REPORT))
    text = explain(Outcome("pure", "3.2", "FAILED", "OK", 0.0, report))
    assert text.startswith("pure 3.2: FAILED, closing OK\n")
    wanted = (
        "Receive it.",
        "> 301 octets 81ab",
        "> frame opcode 1 fin True rsv 0, 1 octets 'x'",
        "go on after 1 s",
        "goes on",
        "WLM [True]",
    )
    wanted += ("< 4 octets 880203ea", "< frame opcode 8", "closed with 1002 'reserved bits'", "dropped by the server")
    assert [part for part in wanted if part not in text] == []
    assert max(map(len, text.splitlines())) < 500


def test_an_explanation_needs_no_report() -> None:
    assert "has not reported" in explain(outcome(MISSING, MISSING))


def test_the_table_counts_by_group_and_testee() -> None:
    outcomes = [outcome("OK"), outcome("FAILED", case="1.1.2"), outcome("OK", case="10.1.1"), outcome("OK", testee="pure")]
    assert [" ".join(line.split()) for line in table(outcomes).splitlines()] == [
        "group native pure",
        "1 framing 1 OK, 1 FAILED (0.0 s) 1 OK (0.0 s)",
        "10 auto-fragmentation 1 OK (0.0 s) 0 OK (0.0 s)",
        "all 2 OK, 1 FAILED (0.0 s) 1 OK (0.0 s)",
    ]


@pytest.mark.parametrize(
    ("outcomes", "troubles", "code"),
    [
        ([outcome("OK")], [], 0),
        ([outcome("OK"), outcome("FAILED")], [], run.EXIT_FAILED),
        # All cases passed, but the server has ended with a traceback in its log.
        ([outcome("OK")], ["native: Traceback (most recent call last):"], run.EXIT_FAILED),
    ],
)
def test_the_exit_code(outcomes: list[Outcome], troubles: list[str], code: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.report(outcomes, troubles, {}, "2 of 517 cases") == code
    out = capsys.readouterr().out
    assert "2 of 517 cases" in out
    assert all(trouble in out for trouble in troubles)
