"""What one server does wrong ends its own row: the others are measured, and the table says what happened."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import peers
import rounds
from failure import BenchFailure
from process import Server, free_port
from workloads import BY_NAME, Workload

pytestmark = pytest.mark.skipif(shutil.which("setpriv") is None, reason="servers are started with setpriv")

#: answers every request on every connection, one connection after the other
CODE = """
import socket, sys
with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
    while True:
        connection, _ = listener.accept()
        with connection:
            while connection.recv(65536):
                connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 13\\r\\n\\r\\n" + sys.argv[2].encode())
"""
CONTENTS = {"picocorn": "Hello, World!", "uvicorn": "Hello, Wodan!"}


class FakeStable:
    """Starts picocorn, which answers right, and uvicorn, which does not; there is no granian."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, peer: peers.Peer, way: str, app: str) -> Server:
        if peer.name not in CONTENTS:
            raise BenchFailure("does not install: no wheel")
        port = free_port()
        command = [sys.executable, "-c", CODE, str(port), CONTENTS[peer.name]]
        return Server(command, port, core=None, log=self.folder / peer.name, folder=self.folder, env={})


def measure(folder: Path, workload: Workload) -> tuple[dict[str, Any], list[str]]:
    said: list[str] = []
    entering = [peers.BY_NAME[name] for name in ("granian", "uvicorn", "picocorn")]
    stable: Any = FakeStable(folder)
    return rounds.measure(stable, workload, entering, rounds.Effort(0, 1, 0), said.append), said


def test_one_is_missing_one_is_wrong_one_is_right(tmp_path: Path) -> None:
    cells, said = measure(tmp_path, BY_NAME["raw"])
    assert cells["granian"]["skipped"] == "does not install: no wheel"
    assert cells["uvicorn"]["fails"].startswith("13 bytes of content")
    assert cells["picocorn"] == {**rounds.new_cell(), "framing": "length"}
    assert [line.split(":")[0].strip() for line in said] == ["granian", "uvicorn"]


def test_an_access_log_has_to_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: rounds.Entrant, seconds: int) -> None:
        self.requests += 100

    monkeypatch.setattr(rounds.Entrant, "_load", load)
    entrant = rounds.Entrant(FakeStable(tmp_path), peers.BY_NAME["picocorn"], BY_NAME["access-log"], rounds.Effort(1, 1, 0))  # type: ignore[arg-type]
    entrant.start()
    entrant.prepare()
    entrant.finish()
    assert entrant.cell["fails"] == "after the load: 0 lines for 100 requests"
    assert entrant.server is None


def test_who_is_not_measured_has_no_core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def load(self: rounds.Entrant, seconds: int) -> Any:
        assert self.server is not None
        seen.append(state(self.server))
        raise BenchFailure("seen")

    def state(server: Server) -> str:
        text = Path(f"/proc/{server.process.pid}/stat").read_text(encoding="utf-8")
        return text.rsplit(")", 1)[1].split()[0]

    stable: Any = FakeStable(tmp_path)
    entrant = rounds.Entrant(stable, peers.BY_NAME["picocorn"], BY_NAME["raw"], rounds.Effort(0, 1, 0))
    entrant.start()
    entrant.prepare()
    assert entrant.server is not None
    os.waitid(os.P_PID, entrant.server.process.pid, os.WSTOPPED)
    monkeypatch.setattr(rounds.Entrant, "_load", load)
    entrant.round(0)
    assert len(seen) == 1
    assert seen[0] != "T"


@pytest.mark.parametrize(("first", "second", "note"), [(95, 5, "one process took 95% of the CPU time"), (60, 40, None)])
def test_a_worker_that_has_a_rest_is_told_of(first: int, second: int, note: str | None, tmp_path: Path) -> None:
    stable: Any = FakeStable(tmp_path)
    entrant = rounds.Entrant(stable, peers.BY_NAME["picocorn"], BY_NAME["two-workers"], rounds.Effort(1, 1, 0))
    # The supervisor, which works for neither, and its two children.
    entrant._look_at_workers({1: 7, 2: 10}, {1: 7, 2: 10 + first, 3: second})
    assert entrant.cell.get("note") == note
