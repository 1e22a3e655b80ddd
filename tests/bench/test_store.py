"""A run is stored row by row, and gone on with where it ended - when it is the same run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import store

ABOUT: dict[str, Any] = {"fingerprint": "abc", "effort": {"rounds": 3, "seconds": 2}, "missing": {}, "versions": {"3.13.0": {}}}


def test_rows_are_added_to_and_what_is_missing_is_known() -> None:
    results = store.new(ABOUT)
    assert store.unmeasured(results, "raw", ["a", "b"]) == ["a", "b"]
    store.add(results, "raw", "raw ASGI", {"a": {"fails": "always"}})
    assert store.unmeasured(results, "raw", ["a", "b"]) == ["b"]
    store.add(results, "raw", "raw ASGI", {"b": {}})
    assert store.unmeasured(results, "raw", ["a", "b"]) == []
    assert results["rows"]["raw"] == {"title": "raw ASGI", "servers": {"a": {"fails": "always"}, "b": {}}}


def test_what_is_saved_is_loaded_with_the_digits_that_mean_something(tmp_path: Path) -> None:
    results = store.new(ABOUT)
    store.add(results, "raw", "raw", {"a": {"requests_per_second": [96722.4913, 0.123456789], "rss_kib": 30_012_345}})
    path = tmp_path / "deep" / "run.json"
    store.save(path, results)
    cell = store.load(path)["rows"]["raw"]["servers"]["a"]
    assert cell == {"requests_per_second": [96722.0, 0.12346], "rss_kib": 30_012_345}
    assert [file.name for file in path.parent.iterdir()] == ["run.json"]


def test_a_run_that_was_ended_is_gone_on_with(tmp_path: Path) -> None:
    first = store.new({**ABOUT, "versions": {"3.13.0": {"uvicorn": "1"}}})
    store.add(first, "raw", "raw", {"a": {}})
    store.save(tmp_path / "run.json", first)
    again = store.new({**ABOUT, "missing": {"weft": "no wheel"}, "versions": {"3.11.7": {}}})
    resumed = store.resume(store.load(tmp_path / "run.json"), again)
    assert resumed["rows"] == {"raw": {"title": "raw", "servers": {"a": {}}}}
    assert resumed["missing"] == {"weft": "no wheel"}
    assert resumed["versions"] == {"3.13.0": {"uvicorn": "1"}, "3.11.7": {}}


@pytest.mark.parametrize("change", [{"fingerprint": "xyz"}, {"effort": {"rounds": 1, "seconds": 1}}])
def test_another_run_is_not(change: dict[str, Any]) -> None:
    with pytest.raises(store.CannotResumeError, match=next(iter(change))):
        store.resume(store.new(ABOUT), store.new({**ABOUT, **change}))
