"""The suite's own data hang together: servers, workloads, who takes part in what, and which Python is taken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import environment
import launch
import load
import peers
from failure import BenchFailure
from workloads import (
    HTTP2_NAMES,
    HTTP2_WORKLOADS,
    IDLE,
    NAMES,
    STARTUP,
    TLS_WORKLOADS,
    WEBSOCKET_IDLE,
    WEBSOCKET_NAMES,
    WEBSOCKET_WORKLOADS,
    WORKLOADS,
    Request,
    pattern,
    text,
)


def names(entering: list[peers.Peer]) -> set[str]:
    return {peer.name for peer in entering}


def test_full_is_everything_and_quick_is_a_part() -> None:
    full, quick = load.parse_arguments(["--full"]), load.parse_arguments([])
    assert (full.name, quick.name) == ("full", "quick")
    assert full.workloads == list(NAMES)
    assert full.servers == list(peers.BY_NAME)
    assert set(quick.workloads) < set(full.workloads)
    assert set(quick.servers) < set(full.servers)


def test_who_takes_part() -> None:
    everyone = list(peers.BY_NAME)
    oldest = {"picocorn (3.11)", "uvicorn (3.11)"}
    websocket = {"uvicorn (wsproto)"}
    http = set(everyone) - websocket
    assert names(load.entrants("raw", everyone)) == http
    assert names(load.entrants("starlette", everyone)) == http - {"C floor"}
    assert names(load.entrants("file", everyone)) == http - {"C floor"} - oldest
    assert names(load.entrants(IDLE, everyone)) == http - {"C floor"} - oldest
    assert names(load.entrants(STARTUP, ["picocorn", "C floor", *websocket])) == {"picocorn"}


def test_who_takes_part_in_rows_of_websockets() -> None:
    everyone = list(peers.BY_NAME)
    speaking = set(everyone) - {"picocorn (3.11)", "uvicorn (3.11)", "uvicorn (h11)"}
    assert names(load.entrants("ws-echo-64", everyone)) == speaking
    assert names(load.entrants("ws-broadcast", everyone)) == speaking - {"C floor"}
    assert names(load.entrants(WEBSOCKET_IDLE, everyone)) == speaking - {"C floor"}
    websocket = load.parse_arguments(["--websocket"])
    assert (websocket.name, websocket.workloads) == ("websocket", list(WEBSOCKET_NAMES))


def test_who_takes_part_in_rows_of_http2_and_tls() -> None:
    everyone = list(peers.BY_NAME)
    plain = {"picocorn (3.11)", "uvicorn (3.11)", "uvicorn (h11)", "uvicorn (wsproto)", "fastpysgi", "C floor"}
    for name in HTTP2_NAMES:
        assert names(load.entrants(name, everyone)) == set(everyone) - plain
    http2 = load.parse_arguments(["--http2"])
    assert (http2.name, http2.workloads) == ("http2", list(HTTP2_NAMES))


@pytest.mark.parametrize("peer", [peer for peer in peers.PEERS if peer.name != peers.FLOOR], ids=lambda peer: peer.name)
def test_every_way_has_a_command_or_a_reason(peer: peers.Peer) -> None:
    ways = {workload.way for workload in WORKLOADS if workload.oldest or peer.python == peers.NEWEST} | {peers.IDLE}
    if peer.python == peers.OLDEST:
        ways = {peers.QUIET}
    if peer.only_websocket:
        ways = set()
    if peer.speaks_websocket:
        ways |= {workload.way for workload in WEBSOCKET_WORKLOADS}
    if peer.speaks_http2:
        ways |= {workload.way for workload in (*HTTP2_WORKLOADS, *TLS_WORKLOADS)}
    assert not ways - set(peer.commands) - set(peer.notes)


def test_commands_are_filled_in() -> None:
    stable = launch.Stable(0)
    stable.environments[peers.NEWEST] = environment.Environment(environment.Python((3, 13, 0), "python3"), Path("envs"))
    command = stable.command(peers.BY_NAME["granian"], peers.QUIET, "raw:app", 9000)
    assert command[0] == str(Path("envs/3.13/bin/granian"))
    assert command[-1] == "raw:app"
    assert "9000" in command


def test_what_cannot_be_started_has_its_reason() -> None:
    stable = launch.Stable(0, missing={"weft": "no wheel"})
    with pytest.raises(BenchFailure, match="no wheel"):
        stable.command(peers.BY_NAME["weft"], peers.QUIET, "raw:app", 9000)
    with pytest.raises(BenchFailure, match="has no access log"):
        stable.command(peers.BY_NAME["fastpysgi"], peers.ACCESS_LOG, "raw:app", 9000)


def test_a_request_as_bytes() -> None:
    request = Request("POST", "/x", (("X-A", "b"),), b"body", closes=True)
    head = b"POST /x HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\nContent-Length: 4\r\nConnection: close\r\n\r\n"
    assert request.wire() == head + b"body"


def test_a_browser_sends_twelve_fields() -> None:
    browser = next(workload for workload in WORKLOADS if workload.name == "browser")
    assert browser.request.wire().count(b"\r\n") - 2 == 12


def test_pattern() -> None:
    assert len(pattern(1000)) == 1000
    assert set(pattern(256)) == set(range(256))


def test_text_is_ascii_of_the_length_that_is_asked_for() -> None:
    assert [len(text(length)) for length in (1, 64, 1024, 16384)] == [1, 64, 1024, 16384]
    assert text(1024).isascii()


def asked(*version: Any, name: str = "cpython", free_threaded: bool = False) -> str:
    return json.dumps([name, list(version), free_threaded])


def test_only_released_cpython_is_measured_with() -> None:
    python = environment.parse_answer(asked(3, 13, 2, "final", 0), "there")
    assert python is not None
    assert (python.version, python.series, python.path) == ((3, 13, 2), "3.13", "there")
    assert environment.parse_answer(asked(3, 10, 2, "final", 0), "there") is None
    assert environment.parse_answer(asked(3, 15, 0, "candidate", 1), "there") is None
    assert environment.parse_answer(asked(3, 13, 2, "final", 0, free_threaded=True), "there") is None
    assert environment.parse_answer(asked(3, 11, 11, "final", 0, name="pypy"), "there") is None


def test_the_fingerprint_is_of_the_sources_alone(tmp_path: Path) -> None:
    for name in ("src/a.py", "csrc/b.c", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one")
    before = environment.fingerprint(tmp_path)
    for product in ("src/a.c", "src/a.so", "src/__pycache__/a.pyc", "docs.md"):
        (tmp_path / product).parent.mkdir(exist_ok=True)
        (tmp_path / product).write_text("product")
    assert environment.fingerprint(tmp_path) == before
    (tmp_path / "csrc/b.c").write_text("two")
    assert environment.fingerprint(tmp_path) != before
