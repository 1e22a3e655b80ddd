"""Stored results -> Markdown: the whole of a run for bench/results/, and the tables of README.md and docs/benchmarks.md.

Computes and writes text; measures nothing.

    python bench/report.py --write        writes tables and chart anew from bench/results/full.json, websocket.json, http2.json
    python bench/report.py --check        fails when they are not what that would write
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import chart
import store
from peers import BASELINE, BY_NAME, FLOOR, NEWEST, OLDEST, PEERS
from workloads import (
    HTTP2_NAMES,
    IDLE,
    NAMES,
    SPECIAL_TITLES,
    STARTUP,
    UNITS_OF_ROWS,
    WEBSOCKET_IDLE,
    WEBSOCKET_NAMES,
)

ROOT = Path(__file__).resolve().parent.parent
#: what the README shows
HEADLINES = ("raw", "default", "browser", "post-10k", "file", "sleep-64", "starlette", "fastapi", "fastapi-model", "django")
#: of these the chart is drawn
CHARTED = ("raw", "access-log", "post-10k", "starlette", "fastapi", "django")
#: rows with tables of their own
FAMILIES = {*WEBSOCKET_NAMES, *HTTP2_NAMES}
HTTP_NAMES = tuple(name for name in NAMES if name not in SPECIAL_TITLES and name not in FAMILIES)
HTTP_SERVERS = tuple(peer.name for peer in PEERS if peer.python == NEWEST and peer.name != FLOOR and not peer.only_websocket)
WEBSOCKET_SERVERS = tuple(peer.name for peer in PEERS if peer.speaks_websocket and peer.name != FLOOR)
HTTP2_SERVERS = tuple(peer.name for peer in PEERS if peer.speaks_http2)

#: of the time that the load generator's core has worked: from here on the generator is what limits requests/s, not the server
GENERATOR_IS_THE_LIMIT = 0.95

Cell = Mapping[str, Any]
Cells = Mapping[str, Cell]


def median(cell: Cell | None, key: str) -> float | None:
    """The median of what was measured as `key`; None when the cell failed or has no such thing."""
    if cell is None or "fails" in cell or not cell.get(key):
        return None
    return statistics.median(cell[key])


def rate(cells: Cells, server: str) -> float | None:
    """Requests per second."""
    return median(cells.get(server), "requests_per_second")


def ratio(cells: Cells, server: str, other: str) -> float | None:
    """How many times the requests per second of `other`."""
    mine, its = rate(cells, server), rate(cells, other)
    return None if mine is None or its is None else mine / its


def best_rival(cells: Cells) -> str | None:
    """The fastest server that is not picocorn, on the newest Python."""
    rates = {name: value for name in cells if BY_NAME[name].is_rival and (value := rate(cells, name)) is not None}
    return max(rates, key=rates.__getitem__, default=None)


def is_limited_by_generator(cell: Cell | None) -> bool:
    """Whether the server could have done more than the load generator could ask for."""
    return (median(cell, "client_busy") or 0.0) >= GENERATOR_IS_THE_LIMIT


def number(value: float | None, digits: int = 2) -> str:
    """`value` for a table, with a dash for none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Markdown; the first `left` columns stand left, the others right."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * left + "---:|" * (len(head) - left)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def remark(cell: Cell) -> str:
    """What there is to say about a cell beside its figures."""
    if "fails" in cell:
        return f"fails: {cell['fails']}"
    if "skipped" in cell:
        return f"not measured: {cell['skipped']}"
    return str(cell.get("note", ""))


def conditions(stored: store.Results) -> str:
    """Machine, versions, commit, effort, and the remark that the run was given."""
    machine, effort = stored["machine"], stored["effort"]
    versions = "; ".join(
        f"CPython {python}: " + ", ".join(f"{name} {version}" for name, version in packages.items())
        for python, packages in stored["versions"].items()
    )
    times = "round" if effort["rounds"] == 1 else "rounds"
    seconds = "second" if effort["seconds"] == 1 else "seconds"
    over_http2 = "h2load" in machine and not set(HTTP2_NAMES).isdisjoint(stored["rows"])
    tools = f"{machine['wrk']}, {machine['h2load']}" if over_http2 else machine["wrk"]
    return (
        f"{stored['date']}, commit {stored['commit']}, {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['system']} {machine['kernel']}; {tools}; {effort['rounds']} interleaved {times} of "
        f"{effort['seconds']} {seconds}. {versions}." + (f" **{stored['remark']}**" if stored.get("remark") else "")
    )


def short_conditions(stored: store.Results) -> str:
    """What the README says of them."""
    machine, remark = stored["machine"], stored.get("remark")
    return f"{stored['date']}, {machine['cpu']}, {machine['cores']} cores." + (f" **{remark}**" if remark else "")


def load_table(cells: Cells, order: Iterable[str], one: str = "request", many: str = "requests") -> str:
    """All figures of one row; `one` and `many` are what has been counted."""
    rival = best_rival(cells)
    rows = []
    for name in order:
        if (cell := cells.get(name)) is None:
            continue
        rows.append(
            (
                name,
                number(rate(cells, name), 0),
                number(ratio(cells, name, BY_NAME[name].baseline)),
                number(ratio(cells, name, rival) if rival and BY_NAME[name].python == NEWEST else None),
                number(median(cell, "cpu_us"), 1),
                *(number(None if (us := median(cell, key)) is None else us / 1000) for key in ("p50_us", "p99_us")),
                number(None if "fails" in cell or "rss_kib" not in cell else cell["rss_kib"] / 1024, 0),
                number(None if (share := median(cell, "client_busy")) is None else 100 * share, 0),
                remark(cell),
            )
        )
    columns = ("x uvicorn", "x best peer", f"CPU us/{one}", "p50 ms", "p99 ms", "RSS MiB", "generator's core busy %")
    head = ("server", f"{many}/s", *columns, "")
    return table(head, rows)


def idle_table(cells: Cells, order: Iterable[str]) -> str:
    """Memory and CPU time of idle connections, or of idle WebSockets."""
    rows = [
        (
            name,
            number(cell.get("connections"), 0),
            number(cell.get("kib_each")),
            number(None if "rss_kib" not in cell else cell["rss_kib"] / 1024, 0),
            number(cell.get("cpu_percent_at_rest")),
            remark(cell),
        )
        for name in order
        if (cell := cells.get(name)) is not None
    ]
    return table(("server", "connections", "KiB each", "RSS MiB", "CPU % at rest", ""), rows)


def startup_table(cells: Cells, order: Iterable[str]) -> str:
    """Times of start-up."""
    keys = ("first_answer_ms", "import_ms", "version_ms")
    rows = [
        (name, *(number(median(cell, key), 0) for key in keys), remark(cell))
        for name in order
        if (cell := cells.get(name)) is not None
    ]
    return table(("server", "first answer ms", "import ms", "`--version` ms", ""), rows)


def detailed(stored: store.Results, workloads: Iterable[str], servers: Sequence[str]) -> str:
    """All figures of a run."""
    special = {IDLE: idle_table, STARTUP: startup_table, WEBSOCKET_IDLE: idle_table}
    parts = ["# Results", conditions(stored)]
    parts += [f"Not available: {server}: {reason}." for server, reason in stored["missing"].items()]
    for name in workloads:
        row = stored["rows"][name]
        cells = row["servers"]
        is_special = name in special
        table_of_row = special[name](cells, servers) if is_special else load_table(cells, servers, *UNITS_OF_ROWS.get(name, ()))
        parts += [f"## {row['title']}", table_of_row]
    return "\n\n".join(parts) + "\n"


def headline_table(stored: store.Results) -> str:
    """The README's table: picocorn against the best of the others."""
    rows = []
    for name in HEADLINES:
        if (row := stored["rows"].get(name)) is None or (rival := best_rival(row["servers"])) is None:
            continue
        cells = row["servers"]
        ours = number(ratio(cells, "picocorn", BASELINE), 1)
        cpu = [number(median(cells.get(server), "cpu_us"), 1) for server in ("picocorn", BASELINE)]
        rows.append(
            (row["title"], f"**{ours}**", f"{number(ratio(cells, rival, BASELINE), 1)} ({rival})", f"{cpu[0]} ({cpu[1]})")
        )
    return table(("requests/s, as a multiple of uvicorn", "picocorn", "best peer", "CPU us/request (uvicorn)"), rows)


def matrix(stored: store.Results, *, cpu: bool, names: Iterable[str] = HTTP_NAMES, servers: Sequence[str] = HTTP_SERVERS) -> str:
    """One row a workload, one column a server: requests/s as a multiple of uvicorn, or CPU time per request."""
    rows = []
    for name in names:
        if name not in stored["rows"]:
            continue
        cells = stored["rows"][name]["servers"]
        line = [stored["rows"][name]["title"]]
        for server in servers:
            value = median(cells.get(server), "cpu_us") if cpu else ratio(cells, server, BASELINE)
            failed = "fails" in cells.get(server, {})
            mark = "*" if not cpu and is_limited_by_generator(cells.get(server)) else ""
            line.append("fails" if failed else number(value, 1 if cpu else 2) + mark)
        if not cpu:
            rival = best_rival(cells)
            line.append(number(ratio(cells, "picocorn", rival) if rival else None))
        rows.append(line)
    return table(("", *servers, *(() if cpu else ("picocorn / best peer",))), rows)


def oldest_table(stored: store.Results) -> str:
    """The rows that are also measured on the oldest Python."""
    rows = []
    for row in stored["rows"].values():
        cells = row["servers"]
        ours, theirs = f"picocorn ({OLDEST})", f"uvicorn ({OLDEST})"
        if ours in cells:
            cpu = [number(median(cells.get(server), "cpu_us"), 1) for server in (ours, theirs)]
            rows.append((row["title"], number(ratio(cells, ours, theirs)), *cpu))
    return table((f"CPython {OLDEST}", "x uvicorn", "CPU us/request", "uvicorn's"), rows)


def pure_table(stored: store.Results) -> str:
    """Without extensions, against uvicorn without them."""
    rows = []
    for row in stored["rows"].values():
        cells = row["servers"]
        if (value := ratio(cells, "picocorn (pure)", "uvicorn (h11)")) is not None:
            cpu = [number(median(cells.get(server), "cpu_us"), 1) for server in ("picocorn (pure)", "uvicorn (h11)")]
            rows.append((row["title"], number(value), *cpu))
    return table(("pure Python", "x uvicorn (h11)", "CPU us/request", "uvicorn (h11)'s"), rows)


def floor_line(stored: store.Results) -> str:
    """picocorn and the best peer against the C floor."""
    cells = stored["rows"].get("raw", {}).get("servers", {})
    floor, ours = (median(cells.get(name), "cpu_us") for name in (FLOOR, "picocorn"))
    if floor is None or ours is None:
        return "The C floor has not been measured."
    line = f"The C floor takes {floor:.1f} us of CPU time a request, picocorn {ours:.1f} us: {ours / floor:.1f} times as much"
    rival = best_rival(cells)
    theirs = median(cells.get(rival), "cpu_us") if rival else None
    return line + (f" ({rival}, the fastest peer: {theirs / floor:.1f} times)." if theirs else ".")


def remarks(stored: store.Results, names: Collection[str] | None = None) -> str:
    """Every cell without figures, and every note, of the rows `names`, or of those without tables of their own.

    Those that say the same are named together.
    """
    said: dict[tuple[str, str], list[str]] = {}
    for name, row in stored["rows"].items():
        if name in FAMILIES if names is None else name not in names:
            continue
        for server, cell in row["servers"].items():
            if text := remark(cell):
                said.setdefault((server, text), []).append(row["title"])
    lines = [f"- {server}, {'; '.join(titles)}: {text}" for (server, text), titles in said.items()]
    return "\n".join(lines) or "None."


def newest_run(family: str, names: Collection[str], full: store.Results, folder: Path) -> tuple[str, store.Results] | None:
    """Of `full` and a run of the `family` alone, the newer one that has any of its rows, and what it is called."""
    alone = folder / f"{family}.json"
    runs = {"full": full, **({family: store.load(alone)} if alone.exists() else {})}
    runs = {name: results for name, results in runs.items() if any(row in names for row in results["rows"])}
    if not runs:
        return None
    run = max(runs, key=lambda name: str(runs[name]["date"]))
    return run, runs[run]


def taking_part(servers: Iterable[str], names: Iterable[str], stored: store.Results) -> list[str]:
    """Those of `servers` that are in one of the rows `names`."""
    rows = [stored["rows"][name]["servers"] for name in names if name in stored["rows"]]
    return [server for server in servers if any(server in row for row in rows)]


def websocket_section(full: store.Results, folder: Path = store.FOLDER) -> str:
    """The tables of WebSocket, with what they were measured under, from `full` or a run of them alone: the newer one."""
    if (found := newest_run("websocket", WEBSOCKET_NAMES, full, folder)) is None:
        return "Not measured yet."
    run, stored = found
    names = [name for name in WEBSOCKET_NAMES if name != WEBSOCKET_IDLE]
    servers = taking_part(WEBSOCKET_SERVERS, WEBSOCKET_NAMES, stored)
    parts = [
        f"{conditions(stored)} [All figures](../bench/results/{run}.md).",
        "Messages (deliveries, connections) per second, as a multiple of uvicorn:",
        matrix(stored, cpu=False, names=names, servers=servers),
        "CPU time for each of them, in microseconds:",
        matrix(stored, cpu=True, names=names, servers=[*servers, FLOOR]),
    ]
    if WEBSOCKET_IDLE in stored["rows"]:
        resting = stored["rows"][WEBSOCKET_IDLE]["servers"]
        parts += ["Idle WebSockets, whose application waits in `receive`:", idle_table(resting, servers)]
    return "\n\n".join([*parts, remarks(stored, WEBSOCKET_NAMES)])


def http2_section(full: store.Results, folder: Path = store.FOLDER) -> str:
    """The same of HTTP/2 and TLS."""
    if (found := newest_run("http2", HTTP2_NAMES, full, folder)) is None:
        return "Not measured yet."
    run, stored = found
    servers = taking_part(HTTP2_SERVERS, HTTP2_NAMES, stored)
    parts = [
        f"{conditions(stored)} [All figures](../bench/results/{run}.md).",
        "Requests per second, as a multiple of uvicorn:",
        matrix(stored, cpu=False, names=HTTP2_NAMES, servers=servers),
        "CPU time per request, in microseconds:",
        matrix(stored, cpu=True, names=HTTP2_NAMES, servers=servers),
    ]
    return "\n\n".join([*parts, remarks(stored, HTTP2_NAMES)])


def sections(stored: store.Results) -> dict[Path, dict[str, str]]:
    """File -> marker -> the text that stands there."""
    order = [peer.name for peer in PEERS]
    rows = stored["rows"]
    return {
        ROOT / "README.md": {"headlines": headline_table(stored), "conditions": short_conditions(stored)},
        ROOT / "docs" / "benchmarks.md": {
            "conditions": conditions(stored),
            "requests": matrix(stored, cpu=False),
            "cpu": matrix(stored, cpu=True),
            "floor": floor_line(stored),
            "oldest": oldest_table(stored),
            "pure": pure_table(stored),
            "idle": idle_table(rows.get(IDLE, {}).get("servers", {}), order),
            "startup": startup_table(rows.get(STARTUP, {}).get("servers", {}), order),
            "remarks": remarks(stored),
            "websocket": websocket_section(stored),
            "http2": http2_section(stored),
        },
    }


def replaced(text: str, marker: str, content: str) -> str:
    """`text` with `content` between the markers called `marker`; ValueError when they are not there exactly once."""
    begin, end = f"<!-- bench: {marker} -->\n", f"<!-- end of {marker} -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"the markers of {marker} are not there exactly once")
    head, _, rest = text.partition(begin)
    return f"{head}{begin}{content}\n{end}{rest.partition(end)[2]}"


def written(stored: store.Results) -> dict[Path, str]:
    """File -> what it should be."""
    files = {}
    for path, marked in sections(stored).items():
        text = path.read_text(encoding="utf-8")
        for marker, content in marked.items():
            text = replaced(text, marker, content)
        files[path] = text
    picture = [(stored["rows"][name]["title"], stored["rows"][name]["servers"]) for name in CHARTED if name in stored["rows"]]
    panels = [(title, {name: ratio(cells, name, BASELINE) for name in _charted(cells)}) for title, cells in picture]
    files[ROOT / "docs" / "benchmarks.svg"] = chart.draw(panels)
    return files


def _charted(cells: Cells) -> list[str]:
    return [name for name in cells if name == "picocorn" or BY_NAME[name].is_rival]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=store.FOLDER / "full.json")
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--write", action="store_true")
    action.add_argument("--check", action="store_true")
    options = parser.parse_args()
    for path, text in written(store.load(options.results)).items():
        if options.write:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            raise SystemExit(f"{path.relative_to(ROOT)} is not what bench/report.py --write makes of {options.results.name}")


if __name__ == "__main__":
    main()
