"""Ratios are of medians, failures are said, and the documents hold what the stored results make of them."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

import chart
import report
import store


def cell(*rates: float, cpu: float = 10.0) -> dict[str, Any]:
    return {"requests_per_second": list(rates), "cpu_us": [cpu], "p50_us": [500.0], "p99_us": [1500.0], "rss_kib": 30720}


CELLS = {
    "picocorn": cell(100, 300, 290, cpu=5),
    "uvicorn": cell(100, 90, 110, cpu=20),
    "granian": {**cell(150, 140, 160), "client_busy": [0.9, 0.96, 0.99], "note": "no access log by default"},
    "weft": {**cell(999), "fails": "in round 2: socket errors: read 1"},
    "hypercorn": {"skipped": "no access log"},
    "C floor": cell(1000, cpu=2.5),
    "picocorn (3.11)": cell(160),
    "uvicorn (3.11)": cell(80),
}


def results(**rows: Any) -> store.Results:
    machine = {"cpu": "Slow", "cores": 2, "system": "Linux", "kernel": "6", "wrk": "wrk 4"}
    about = {"commit": "abc", "effort": {"rounds": 3, "seconds": 2}, "machine": machine, "missing": {"h2corn": "no wheel"}}
    made = store.new({**about, "versions": {"3.13.0": {"uvicorn": "0.54.0"}}})
    for name, servers in rows.items():
        store.add(made, name, name.upper(), servers)
    return made


def test_ratios_are_of_medians() -> None:
    assert report.ratio(CELLS, "picocorn", "uvicorn") == pytest.approx(2.9)
    assert report.ratio(CELLS, "picocorn (3.11)", "uvicorn (3.11)") == 2
    assert report.ratio(CELLS, "weft", "uvicorn") is None
    assert report.ratio(CELLS, "hypercorn", "uvicorn") is None
    assert report.ratio(CELLS, "peregrine", "uvicorn") is None


def test_the_best_peer_is_neither_ours_nor_the_floor_nor_one_that_fails() -> None:
    assert report.best_rival(CELLS) == "granian"
    assert report.best_rival({"picocorn": cell(1)}) is None


def lines(markdown: str) -> dict[str, list[str]]:
    """First cell -> the others."""
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in markdown.splitlines() if line.startswith("|")]
    return {row[0]: row[1:] for row in rows}


def test_everything_stands_in_the_detailed_report() -> None:
    text = report.detailed(results(raw=CELLS), ["raw"], list(CELLS))
    rows = lines(text)
    assert rows["picocorn"] == ["290", "2.90", "1.93", "5.0", "0.50", "1.50", "30", "-", ""]
    assert rows["granian"][-2:] == ["96", "no access log by default"]
    assert rows["weft"] == ["-"] * 8 + ["fails: in round 2: socket errors: read 1"]
    assert rows["hypercorn"][-1] == "not measured: no access log"
    assert rows["picocorn (3.11)"][1:3] == ["2.00", "-"]
    assert "h2corn: no wheel" in text
    assert "3 interleaved rounds of 2 seconds" in text


def test_headlines_and_matrices() -> None:
    stored = results(raw=CELLS, default={"picocorn": cell(1)})
    assert lines(report.headline_table(stored))["RAW"] == ["**2.9**", "1.5 (granian)", "5.0 (20.0)"]
    requests, cpu = lines(report.matrix(stored, cpu=False)), lines(report.matrix(stored, cpu=True))
    assert requests["RAW"][0] == "2.90"
    assert requests["RAW"][-1] == "1.93"
    assert "fails" in requests["RAW"]
    assert cpu["RAW"][0] == "5.0"
    assert lines(report.oldest_table(stored))["RAW"][0] == "2.00"
    assert "2.0 times as much (granian, the fastest peer: 4.0 times)" in report.floor_line(stored)


def test_websockets_have_tables_of_their_own(tmp_path: Path) -> None:
    resting = {"picocorn": {"connections": 10000, "kib_each": 4.2, "rss_kib": 51200, "cpu_percent_at_rest": 0.01}}
    wrong = {"granian": {"fails": "a masked frame"}}
    stored = results(**{"raw": CELLS, "ws-echo-64": {**CELLS, **wrong}, "ws-idle": resting})
    assert list(lines(report.matrix(stored, cpu=False))) == ["", "---", "RAW"]
    assert "masked" not in report.remarks(stored)
    section = report.websocket_section(stored, tmp_path)
    assert lines(section)["WS-ECHO-64"][:2] == ["5.0", "20.0"], "the last table but one is that of CPU time"
    assert lines(section)["picocorn"][:2] == ["10,000", "4.20"]
    assert "granian, WS-ECHO-64: fails: a masked frame" in section
    assert "weft, RAW" not in section
    assert "results/full.md" in section


def test_the_newer_results_of_websockets_are_shown(tmp_path: Path) -> None:
    row = {"ws-echo-64": {"picocorn": cell(1)}}
    assert report.websocket_section(results(raw=CELLS), tmp_path) == "Not measured yet."
    for date, shown in (("2000-01-01 00:00 UTC", "full"), ("2999-01-01 00:00 UTC", "websocket")):
        store.save(tmp_path / "websocket.json", {**results(**row), "date": date})
        assert f"results/{shown}.md" in report.websocket_section(results(raw=CELLS, **row), tmp_path)
    assert "results/websocket.md" in report.websocket_section(results(raw=CELLS), tmp_path)


def test_http2_and_tls_have_a_table_of_their_own(tmp_path: Path) -> None:
    row = {"h2-raw": {**CELLS, "granian": {"fails": "in round 1: not one answer"}}}
    stored = results(**{"raw": CELLS, **row})
    stored["machine"]["h2load"] = "h2load 1"
    assert list(lines(report.matrix(stored, cpu=False))) == ["", "---", "RAW"]
    assert "not one answer" not in report.remarks(stored)
    section = report.http2_section(stored, tmp_path)
    assert lines(section)["H2-RAW"][:2] == ["5.0", "20.0"], "the last table is that of CPU time"
    assert "wrk 4, h2load 1;" in section
    assert "granian, H2-RAW: fails: in round 1: not one answer" in section
    assert "results/full.md" in section
    store.save(tmp_path / "http2.json", {**results(**row), "date": "2999-01-01 00:00 UTC"})
    assert "results/http2.md" in report.http2_section(stored, tmp_path)
    assert report.websocket_section(stored, tmp_path) == report.http2_section(results(raw=CELLS), tmp_path / "none")


def test_rows_say_what_they_count() -> None:
    text = report.detailed(results(**{"ws-broadcast": CELLS, "ws-churn": CELLS}), ["ws-broadcast", "ws-churn"], list(CELLS))
    assert "CPU us/delivery" in text
    assert "connections/s" in text


def test_remarks_are_gathered() -> None:
    same = {"weft": {"fails": "always"}}
    assert report.remarks(results(raw=same, file=same)) == "- weft, RAW; FILE: fails: always"
    assert report.remarks(results()) == "None."


def test_idle_and_start_up() -> None:
    idle = {"picocorn": {"connections": 10000, "kib_each": 2.5, "rss_kib": 51200, "cpu_percent_at_rest": 0.01}}
    assert lines(report.idle_table(idle, ["picocorn"]))["picocorn"] == ["10,000", "2.50", "50", "0.01", ""]
    startup = {"picocorn": {"first_answer_ms": [300, 100, 200], "import_ms": [30]}}
    assert lines(report.startup_table(startup, ["picocorn"]))["picocorn"] == ["200", "30", "-", ""]


def test_text_between_markers_is_replaced() -> None:
    text = "before\n<!-- bench: x -->\nold\n<!-- end of x -->\nafter\n"
    assert report.replaced(text, "x", "new") == "before\n<!-- bench: x -->\nnew\n<!-- end of x -->\nafter\n"
    with pytest.raises(ValueError, match="markers of y"):
        report.replaced(text, "y", "new")


def test_the_chart_is_drawn_to_scale() -> None:
    drawn = ET.fromstring(
        chart.draw([("raw `GET`", {"uvicorn": 1.0, "picocorn": 4.0, "weft": None}), ("b & c", {"uvicorn": 1.0})])
    )
    space = "{http://www.w3.org/2000/svg}"
    widths = {bar.get("class"): float(bar.get("width", "")) for bar in drawn.findall(f"{space}g[1]/{space}rect")}
    assert widths["bar ours"] == pytest.approx(4 * widths["bar base"], rel=0.01)
    texts = [text.text for text in drawn.iter(f"{space}text")]
    assert texts[:8] == ["raw GET", "picocorn", "4.00", "uvicorn", "1.00", "weft", "-", "b & c"]


def test_the_documents_are_what_the_stored_results_make_of_them() -> None:
    stored = store.load(store.FOLDER / "full.json")
    for path, text in report.written(stored).items():
        assert path.read_text(encoding="utf-8") == text, f"{path.name}: run `python bench/report.py --write`"
