"""Reads what the fuzzing client reported and judges it: a case is OK, or `allowed.toml` names it with that very verdict.

Knows the form of the reports; starts nothing.
"""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["ALLOWED", "GROUPS", "Outcome", "explain", "failures", "load_allowed", "read_outcomes", "table"]

ALLOWED = Path(__file__).resolve().parent / "allowed.toml"

#: The suite's own names of its groups; 8 and 11 have no cases.
GROUPS = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits",
    "10": "auto-fragmentation",
    "12": "deflate, messages",
    "13": "deflate, parameters",
}
OK = "OK"
#: The verdict over a case that should have been run and of which no report tells.
MISSING = "NO REPORT"
#: What an explanation takes over from a report.
EXPLAINING = ("description", "expectation", "result", "resultClose", "expected", "expectedClose", "received")
#: Wire log entries that an explanation shows, counted from the end, and the characters it shows of each.
LOG_ENTRIES = 12
LOG_CHARACTERS = 100


@dataclass(frozen=True)
class Outcome:
    """One case against one server."""

    testee: str
    case: str
    #: behaviour as the suite has it: OK, NON-STRICT, INFORMATIONAL, FAILED, UNIMPLEMENTED ...
    behavior: str
    #: the same for the closing handshake: OK, INFORMATIONAL, FAILED, UNCLEAN, WRONG CODE, FAILED BY CLIENT
    behavior_close: str
    duration_seconds: float = 0.0
    #: the JSON file that tells the rest
    report: Path | None = None

    @property
    def verdict(self) -> str:
        """The worse of the two, where OK is the best."""
        return self.behavior if self.behavior != OK else self.behavior_close

    @property
    def group(self) -> str:
        """The first number of the case."""
        return self.case.split(".", 1)[0]


def load_allowed(path: Path = ALLOWED) -> dict[str, str]:
    """Case -> the one verdict it may have instead of OK. An entry without a reason is a ValueError."""
    with path.open("rb") as file:
        entries: dict[str, dict[str, str]] = tomllib.load(file)["cases"]
    for case, entry in entries.items():
        if set(entry) != {"verdict", "reason"} or not entry["reason"].strip():
            raise ValueError(f"{path.name}: {case} needs a verdict and a reason, and nothing else")
        if entry["verdict"] not in ("INFORMATIONAL", "NON-STRICT"):
            raise ValueError(f"{path.name}: {case}: {entry['verdict']} cannot be allowed, it is a failure")
    return {case: entry["verdict"] for case, entry in entries.items()}


def read_outcomes(testee: str, cases: Sequence[str], reports: Path) -> list[Outcome]:
    """What the run of `cases` into the folder `reports` has brought, in their order; a case without a report is MISSING."""
    index_path = reports / "index.json"
    index: dict[str, Any] = {}
    if index_path.exists():
        index = json.loads(index_path.read_text(encoding="utf-8")).get(testee, {})
    outcomes = []
    for case in cases:
        if (entry := index.get(case)) is None:
            outcomes.append(Outcome(testee, case, MISSING, MISSING))
            continue
        report = (reports / entry["reportfile"]).with_suffix(".json")
        outcomes.append(Outcome(testee, case, entry["behavior"], entry["behaviorClose"], (entry["duration"] or 0) / 1000, report))
    return outcomes


def failures(outcomes: Iterable[Outcome], allowed: Mapping[str, str]) -> list[Outcome]:
    """Those that are neither OK nor what `allowed` says of them; OK where something else is listed fails too."""
    return [outcome for outcome in outcomes if not _is_fine(outcome, allowed.get(outcome.case, OK))]


def _is_fine(outcome: Outcome, verdict: str) -> bool:
    # Both halves count: an allowed behaviour does not excuse a wrong close.
    return outcome.behavior == verdict and outcome.behavior_close in (OK, verdict)


def explain(outcome: Outcome) -> str:
    """All that helps to understand a failed case: what was expected, what came, and the end of the wire log."""
    lines = [f"{outcome.testee} {outcome.case}: {outcome.behavior}, closing {outcome.behavior_close}"]
    if outcome.report is None or not outcome.report.exists():
        return "\n".join([*lines, "    the fuzzing client has not reported it"])
    told: dict[str, Any] = json.loads(outcome.report.read_text(encoding="utf-8", errors="replace"))
    lines += [f"    {name}: {_cut(' '.join(str(told.get(name)).split()), 4 * LOG_CHARACTERS)}" for name in EXPLAINING]
    lines.append(f"    closed with {told.get('remoteCloseCode')} {told.get('remoteCloseReason') or ''!r} by the server")
    log = _join_octets(told.get("wirelog") or [])
    if len(log) > LOG_ENTRIES:
        lines.append(f"    ... {len(log) - LOG_ENTRIES} entries of the wire log before these, in {outcome.report}")
    lines += [f"    {_entry(entry)}" for entry in log[-LOG_ENTRIES:]]
    lines.append(f"    TCP dropped by the {'client' if told.get('droppedByMe') else 'server'}")
    return "\n".join(lines)


def _cut(text: str, length: int = LOG_CHARACTERS) -> str:
    return text if len(text) <= length else text[:length] + " ..."


def _join_octets(log: Iterable[list[Any]]) -> list[list[Any]]:
    # Some cases send octet by octet: so that an end of the log shows more than the last dozen.
    joined: list[list[Any]] = []
    for entry in log:
        if entry[0] in ("RO", "TO") and joined and joined[-1][0] == entry[0]:
            length, octets = joined[-1][1]
            joined[-1] = [entry[0], [length + entry[1][0], octets + entry[1][1]]]
        else:
            joined.append(entry)
    return joined


def _entry(entry: list[Any]) -> str:
    """One entry of the wire log in words; the kinds, and payloads as pairs of length and (cut) text, are the suite's."""
    kind, *rest = entry
    match kind:
        case "RO" | "TO":
            return f"{'<' if kind == 'RO' else '>'} {rest[0][0]} octets {_cut(rest[0][1])}"
        case "RF" | "TF":
            length, payload = rest[0]
            what = f"frame opcode {rest[1]} fin {rest[2]} rsv {rest[3]}, {length} octets {_cut(payload)!r}"
            return f"{'<' if kind == 'RF' else '>'} {what}"
        case "CT" | "KL" | "TI":
            return f"  will {({'CT': 'go on', 'KL': 'give up', 'TI': 'close'})[kind]} after {rest[0]} s"
        case "CTE" | "KLE" | "TIE":
            return f"  {({'CTE': 'goes on', 'KLE': 'gives up', 'TIE': 'closes'})[kind]}"
        case _:
            return f"  {kind} {rest}"


def table(outcomes: Sequence[Outcome]) -> str:
    """A line for each group, a column for each testee: how many cases had which verdict, and how long they took."""
    testees = list(dict.fromkeys(outcome.testee for outcome in outcomes))
    groups = [group for group in GROUPS if any(outcome.group == group for outcome in outcomes)]
    rows = [["group", *testees]]
    rows += [[f"{group:>2} {GROUPS[group]}", *(_tally(outcomes, testee, group) for testee in testees)] for group in groups]
    rows.append(["   all", *(_tally(outcomes, testee) for testee in testees)])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)


def _tally(outcomes: Iterable[Outcome], testee: str, group: str | None = None) -> str:
    ours = [outcome for outcome in outcomes if outcome.testee == testee and group in (outcome.group, None)]
    counted = Counter(outcome.verdict for outcome in ours)
    words = [f"{counted.pop(OK, 0)} OK", *(f"{count} {verdict}" for verdict, count in sorted(counted.items()))]
    return f"{', '.join(words)} ({sum(outcome.duration_seconds for outcome in ours):.1f} s)"
