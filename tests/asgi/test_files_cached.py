"""Opening and reading without waiting: both bodies, and what they leave to the ordinary calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from picocorn.asgi import files_cached_py

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def cached(room: Callable[[str], ModuleType]) -> Any:
    return room("asgi.files_cached")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def descriptor(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize(
    ("offset", "size", "expected"),
    [
        (0, len(CONTENT), CONTENT),
        (1000, 500, CONTENT[1000:1500]),
        (len(CONTENT) - 3, 500, CONTENT[-3:]),
        (len(CONTENT), 500, b""),
        (2**40, 1, b""),
    ],
)
def test_reads_what_is_there(cached: Any, descriptor: int, offset: int, size: int, expected: bytes) -> None:
    data = cached.read_cached(descriptor, size, offset)
    if data is None:
        pytest.skip("this kernel or this file system cannot read without waiting")
    assert type(data) is bytes
    assert data == expected
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0


@pytest.mark.parametrize("offset", [-1, -2])
def test_no_offset_means_the_position(cached: Any, descriptor: int, offset: int) -> None:
    assert cached.read_cached(descriptor, 4, offset) is None
    assert os.lseek(descriptor, 0, os.SEEK_CUR) == 0


def test_reads_nothing_from_what_is_no_file(cached: Any) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"kept")
    try:
        assert cached.read_cached(reading, 4, 0) is None
        assert os.read(reading, 4) == b"kept"
    finally:
        os.close(reading)
        os.close(writing)
    assert cached.read_cached(-1, 4, 0) is None


def test_reads_nothing_where_the_kernel_cannot_promise(monkeypatch: pytest.MonkeyPatch, descriptor: int) -> None:
    monkeypatch.setattr(files_cached_py, "_DO_NOT_WAIT", None)
    assert files_cached_py.read_cached(descriptor, 4, 0) is None


def test_opens_or_says_that_it_did_not(cached: Any, path: Path) -> None:
    descriptor = cached.open_cached(str(path), os.O_RDONLY | os.O_CLOEXEC)
    if descriptor < 0:
        pytest.skip("this body or this kernel cannot open without waiting")
    try:
        assert not os.get_inheritable(descriptor)
        assert os.pread(descriptor, 10, 0) == CONTENT[:10]
    finally:
        os.close(descriptor)


@pytest.mark.parametrize("name", ["missing", "missing/below", "nul\0", "\udcff"])
def test_opens_nothing_that_is_not_there(cached: Any, tmp_path: Path, name: str) -> None:
    assert cached.open_cached(f"{tmp_path}/{name}", os.O_RDONLY) == -1
