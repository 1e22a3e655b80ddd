"""CPU time and memory are those of a process, its threads, its children and theirs; read from a made-up /proc."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from failure import BenchFailure
from process import Server, cpu_nanoseconds, free_port, largest_share, rss_kib, spent_nanoseconds, tree

needs_setpriv = pytest.mark.skipif(shutil.which("setpriv") is None, reason="servers are started with setpriv")


def add_process(proc: Path, pid: int, parent: int, rss: int, name: str = "python3") -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {pid} 0 -1\n")
    (folder / "status").write_text(f"Name:\t{name}\nVmPeak:\t  99999 kB\nVmRSS:\t  {rss} kB\n")


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    add_process(tmp_path, 1, 0, 500)
    add_process(tmp_path, 20, 1, 30_000)
    add_process(tmp_path, 30, 20, 20_000, name="a) (worker")
    add_process(tmp_path, 40, 30, 1_000)
    add_process(tmp_path, 50, 1, 9_000)
    return tmp_path


def test_tree_is_all_that_descends(proc: Path) -> None:
    assert sorted(tree(20, proc)) == [20, 30, 40]


def test_cpu_time_of_threads_that_have_ended_and_of_children() -> None:
    burn = "sum(range(10**6))"
    thread = f"t = threading.Thread(target=lambda: {burn}); t.start(); t.join()"
    code = f"import subprocess, sys, threading; {thread}; print(flush=True); "
    code += f"subprocess.run([sys.executable, '-c', '{burn}; print(flush=True); input()']); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        before = cpu_nanoseconds(process.pid)
        assert before[process.pid] > 10**6
        process.stdout.readline()
        after = cpu_nanoseconds(process.pid)
        assert len(after) == 2
        assert spent_nanoseconds(before, after) > 10**6
        process.stdin.write(b"\n\n")
    assert cpu_nanoseconds(process.pid) == {}


def test_spent_counts_new_processes() -> None:
    assert spent_nanoseconds({1: 100, 2: 500}, {1: 130, 3: 7}) == 37


def test_the_largest_share_is_of_one_process() -> None:
    assert largest_share({1: 100, 2: 500}, {1: 100, 2: 530, 3: 90}) == 0.75
    assert largest_share({1: 100}, {1: 100}) == 0


def test_resident_memory_of_all(proc: Path) -> None:
    assert rss_kib(20, proc) == 51_000


def start(code: str, tmp_path: Path) -> Server:
    command = [sys.executable, "-c", code]
    return Server(command, free_port(), core=None, log=tmp_path / "log", folder=tmp_path, env={})


@needs_setpriv
def test_a_server_that_ends_at_once_leaves_its_last_words(tmp_path: Path) -> None:
    server = start("import sys; sys.exit('no such application')", tmp_path)
    with pytest.raises(BenchFailure, match="does not start: exit 1, no such application"):
        server.await_start()
    server.stop()


@needs_setpriv
def test_a_server_is_waited_for_and_ended(tmp_path: Path) -> None:
    server = start("", tmp_path)
    server.stop()
    code = f"import socket; s = socket.create_server(('127.0.0.1', {server.port})); s.accept(); s.accept()"
    again = Server([sys.executable, "-c", code], server.port, core=None, log=tmp_path / "log", folder=tmp_path, env={})
    again.await_start()
    assert sum(again.cpu().values()) > 0
    assert again.rss_kib() > 1000
    again.stop()
    assert again.process.returncode is not None
