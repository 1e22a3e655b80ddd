"""Log files that are moved away and opened anew."""

from __future__ import annotations

import logging
import logging.handlers
from collections.abc import Iterator
from pathlib import Path

import pytest

from picocorn.server.log_files import reopen_log_files


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test_log_files")
    logger.propagate = False
    yield logger
    for handler in logger.handlers:
        handler.close()
    logger.handlers.clear()


def moved(path: Path) -> Path:
    return path.rename(path.with_suffix(".1"))


def test_what_comes_after_the_move_is_in_the_new_file(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.addHandler(logging.FileHandler(path))
    log.addHandler(logging.NullHandler())
    log.warning("before")
    old = moved(path)
    log.warning("still the old one")
    assert reopen_log_files() >= 1
    log.warning("after")
    assert old.read_text() == "before\nstill the old one\n"
    assert path.read_text() == "after\n"


def test_files_behind_other_handlers(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "log"
    target = logging.FileHandler(path)
    log.addHandler(logging.handlers.MemoryHandler(capacity=1, target=target))
    log.warning("before")
    moved(path)
    reopen_log_files()
    log.warning("after")
    assert path.read_text() == "after\n"
    target.close()


def test_files_that_are_not_open_yet(log: logging.Logger, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log.addHandler(logging.FileHandler(path, delay=True))
    reopen_log_files()
    assert not path.exists()
    log.warning("now")
    assert path.read_text() == "now\n"


def test_a_file_that_cannot_be_opened_anew_is_kept(
    log: logging.Logger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "log"
    log.addHandler(logging.FileHandler(path))
    log.warning("before")
    folder.rename(tmp_path / "elsewhere")
    assert reopen_log_files() >= 0
    log.warning("after")
    assert (tmp_path / "elsewhere" / "log").read_text() == "before\nafter\n"
