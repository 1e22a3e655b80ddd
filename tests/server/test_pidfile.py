"""The pid file: whose it is, and what becomes of it when servers follow each other."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from picocorn.server.pidfile import PidFile


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """Another process, alive until it is killed."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_from_start_to_end(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    file.check()
    assert not path.exists()
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    assert path.stat().st_mode & 0o777 == 0o644 & ~current_umask()
    # Nothing else lies there: no draft of it.
    assert os.listdir(tmp_path) == ["pid"]
    file.remove()
    assert not path.exists()
    file.remove()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_folder_may_be_left_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = PidFile("pid")
    file.write()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    file.remove()
    assert os.listdir(tmp_path) == ["elsewhere"]


def test_the_file_of_a_live_process(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{other.pid}\n")
    file = PidFile(str(path))
    for attempt in (file.check, file.write):
        with pytest.raises(FileExistsError) as caught:
            attempt()
        assert str(caught.value) == f"{path}: process {other.pid} has written this pid file, and is running"
    file.remove()
    assert path.read_text() == f"{other.pid}\n"


def test_a_process_that_we_may_not_signal_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(process_id: int, number: int) -> None:
        assert (process_id, number) == (12345, 0)
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    (tmp_path / "pid").write_text("12345")
    with pytest.raises(FileExistsError, match="12345"):
        PidFile(str(tmp_path / "pid")).check()


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "1 2", "\u0661", "99999999999999999999", "4294967295", "7" * 100, "own"])
def test_a_file_that_is_stale(text: str, tmp_path: Path) -> None:
    # Our own number: that of a process before us, as it happens in containers.
    path = tmp_path / "pid"
    path.write_text(str(os.getpid()) if text == "own" else text)
    file = PidFile(str(path))
    file.write()
    assert path.read_text() == f"{os.getpid()}\n"
    file.remove()


def test_the_file_of_a_process_that_has_ended(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    (tmp_path / "pid").write_text(str(other.pid))
    other.kill()
    other.wait()
    PidFile(str(tmp_path / "pid")).check()


def test_a_file_that_somebody_else_has_written_since(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    file.write()
    path.write_text("1\n")
    file.remove()
    assert path.read_text() == "1\n"


def test_one_that_was_never_written_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(f"{os.getpid()}\n")
    PidFile(str(path)).remove()
    assert path.exists()


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere, for the pid file"):
        PidFile(str(tmp_path / "nowhere" / "pid")).check()
    with pytest.raises(OSError, match="directory"):
        PidFile(str(tmp_path)).check()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match=r"Permission denied: .*, for the pid file"):
        PidFile(str(tmp_path / "pid")).check()


def test_a_draft_is_not_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: str, target: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="No space"):
        PidFile(str(tmp_path / "pid")).write()
    assert os.listdir(tmp_path) == []


def test_a_new_server_in_our_place(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    path, aside = tmp_path / "pid", tmp_path / "pid.oldbin"
    file = PidFile(str(path))
    file.write()
    file.move_aside()
    assert os.listdir(tmp_path) == ["pid.oldbin"]
    path.write_text(f"{other.pid}\n")
    # Ours ends first, the new one's stays.
    file.remove()
    assert (aside.exists(), path.read_text()) == (False, f"{other.pid}\n")


def test_a_new_server_that_fails(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    file = PidFile(str(path))
    file.write()
    file.move_aside()
    file.move_back()
    assert os.listdir(tmp_path) == ["pid"]
    file.move_back()
    file.remove()
    assert os.listdir(tmp_path) == []
