"""The stored results of a run: made, read, written after every row, gone on with. Knows no server and no table."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"

Results = dict[str, Any]
Row = dict[str, Any]

#: what has to be the same for a run to be gone on with
_IDENTITY = ("fingerprint", "effort")


class CannotResumeError(Exception):
    """The stored run is not the one that was asked for."""


def new(about: Mapping[str, Any]) -> Results:
    """Results without a row. `about`: machine, versions, commit, fingerprint, effort, missing."""
    date = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    return {"date": date, **about, "rows": {}}


def resume(stored: Results, wanted: Results) -> Results:
    """`stored` to go on with, or CannotResumeError when it was not begun as `wanted` would be."""
    for name in _IDENTITY:
        if stored.get(name) != wanted.get(name):
            raise CannotResumeError(f"{name} was {stored.get(name)}, now {wanted.get(name)}")
    return {**stored, "missing": wanted["missing"], "versions": {**stored["versions"], **wanted["versions"]}}


def unmeasured(results: Results, workload: str, servers: list[str]) -> list[str]:
    """Those of `servers` without a cell in the row of `workload`."""
    done = results["rows"].get(workload, {}).get("servers", {})
    return [name for name in servers if name not in done]


def add(results: Results, workload: str, title: str, cells: Mapping[str, Any]) -> None:
    """Put `cells` into the row of `workload`, beside those that are there."""
    row = results["rows"].setdefault(workload, {"title": title, "servers": {}})
    row["servers"].update(cells)


def load(path: Path) -> Results:
    """Read what `save` has written."""
    results: Results = json.loads(path.read_text(encoding="utf-8"))
    return results


def save(path: Path, results: Results) -> None:
    """Write all of it or, should the process be killed, nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(_rounded(results), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _rounded(value: Any) -> Any:
    """Digits that mean nothing are left out: the file is read by people too."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
