"""pathsend (X4) and zerocopysend (X3) through a cycle, over a wire that keeps the content."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from picocorn.asgi import files
from picocorn.asgi.files import FILE_CHUNK_BYTES
from picocorn.base.errors import ClientDisconnected, LocalProtocolError

START = {"type": "http.response.start", "status": 200, "headers": []}
CONTENT = bytes(range(256)) * 4


@pytest.fixture
def make(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    class FakeWire(room("asgi.wire").Wire):
        def __init__(self) -> None:
            self.sent: list[tuple[bytes, bool]] = []
            self.before_data: Callable[[], None] = lambda: None

        def write_head(self, status: int, headers: Any, trailers: bool) -> None:
            pass

        def write_data(self, data: bytes, end: bool) -> bool:
            self.before_data()
            assert type(data) is bytes
            self.sent.append((data, bool(end)))
            return False

        def is_blocked(self) -> bool:
            return False

        @property
        def body(self) -> bytes:
            assert [end for _, end in self.sent] == [False] * (len(self.sent) - 1) + [True]
            return b"".join(data for data, _ in self.sent)

    return lambda method="GET": room("asgi.http_cycle").HTTPCycle(FakeWire(), {"type": "http"}, method == "HEAD")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(autouse=True, params=["from memory", "in a thread"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test both ways: what the kernel has at hand, and what it would have to wait for."""
    if request.param == "in a thread":
        monkeypatch.setattr(files, "open_cached", lambda path, flags: -1)
        monkeypatch.setattr(files, "read_cached", lambda descriptor, size_bytes, offset: None)


@pytest.fixture(autouse=True)
def _no_descriptor_is_left_open() -> Iterator[None]:
    asyncio.run(asyncio.sleep(0))
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before


def send(cycle: Any, *messages: dict[str, Any]) -> Any:
    async def main() -> None:
        for message in messages:
            await cycle.send(message)

    asyncio.run(main())
    return cycle.wire


def pathsend(path: Any) -> dict[str, Any]:
    return {"type": "http.response.pathsend", "path": str(path)}


def zerocopysend(file: Any, **window: Any) -> dict[str, Any]:
    return {"type": "http.response.zerocopysend", "file": file, **window}


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


# -- X4 -----------------------------------------------------------------------------------------------------------------


def test_x4_whole_file(make: Any, path: Path) -> None:
    assert send(make(), START, pathsend(path)).body == CONTENT


def test_x4_empty_file(make: Any, path: Path) -> None:
    path.write_bytes(b"")
    assert send(make(), START, pathsend(path)).sent == [(b"", True)]


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_x4_large_file_goes_in_pieces(make: Any, path: Path, extra: int) -> None:
    content = os.urandom(2 * FILE_CHUNK_BYTES + extra)
    path.write_bytes(content)
    wire = send(make(), START, pathsend(path))
    assert wire.body == content
    assert max(len(data) for data, _ in wire.sent) <= FILE_CHUNK_BYTES


def test_x4_head_reads_nothing(make: Any, path: Path) -> None:
    assert send(make("HEAD"), START, pathsend(path)).sent == [(b"", True)]


def test_x4_only_after_start(make: Any, path: Path) -> None:
    with pytest.raises(LocalProtocolError):
        send(make(), pathsend(path))


@pytest.mark.parametrize("wrong", ["relative", None, 5, b"/bytes", ""])
def test_x4_wrong_path(make: Any, wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match="absolute"):
        send(make(), START, {"type": "http.response.pathsend", "path": wrong})


@pytest.mark.parametrize("name", ["missing", "folder"])
def test_x4_unreadable_file_leaves_a_choice(make: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    cycle = make()
    with pytest.raises(OSError, match=name if name == "missing" else "directory") as caught:
        send(cycle, START, pathsend(tmp_path / name))
    assert not isinstance(caught.value, ClientDisconnected)
    assert cycle.wire.sent == []
    # The head is still held, so the application can go on with something else.
    assert send(cycle, body(b"sorry")).body == b"sorry"


def test_x4_named_pipe_holds_nobody(make: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="not a regular file"):
        send(make(), START, pathsend(tmp_path / "pipe"))


def test_x4_at_most_once(make: Any, path: Path) -> None:
    async def main() -> None:
        cycle = make()
        await cycle.send(START)
        first = asyncio.create_task(cycle.send(pathsend(path)))
        with pytest.raises(LocalProtocolError):
            await cycle.send(pathsend(path))
        with pytest.raises(LocalProtocolError):
            await cycle.send(body(b"mixed"))
        await first
        assert cycle.wire.body == CONTENT
        await cycle.send(pathsend(path))
        assert cycle.wire.body == CONTENT

    asyncio.run(main())


def test_x4_client_goes_meanwhile(make: Any, path: Path) -> None:
    path.write_bytes(b"x" * (3 * FILE_CHUNK_BYTES))
    cycle = make()
    cycle.wire.before_data = cycle.disconnect
    with pytest.raises(ClientDisconnected):
        send(cycle, START, pathsend(path))
    assert len(cycle.wire.sent) == 1


def test_x4_cancelled_meanwhile(make: Any, path: Path) -> None:
    path.write_bytes(b"x" * (3 * FILE_CHUNK_BYTES))

    async def main() -> None:
        cycle = make()
        await cycle.send(START)
        task = asyncio.create_task(cycle.send(pathsend(path)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_x4_others_get_their_turn(make: Any, path: Path) -> None:
    path.write_bytes(b"x" * (4 * FILE_CHUNK_BYTES))

    async def main() -> None:
        cycle = make()
        await cycle.send(START)
        other = asyncio.create_task(asyncio.sleep(0))
        done_after: list[int] = []
        other.add_done_callback(lambda _: done_after.append(len(cycle.wire.sent)))
        await cycle.send(pathsend(path))
        assert done_after
        assert done_after[0] < 4

    asyncio.run(main())


# -- X3 -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        ({}, CONTENT),
        ({"offset": 10}, CONTENT[10:]),
        ({"count": 10}, CONTENT[:10]),
        ({"offset": 5, "count": 10}, CONTENT[5:15]),
        ({"offset": 5, "count": None}, CONTENT[5:]),
        ({"offset": 0, "count": 0}, b""),
        ({"offset": len(CONTENT) + 10}, b""),
        ({"offset": 1000, "count": 1000}, CONTENT[1000:]),
    ],
)
def test_x3_windows(make: Any, path: Path, window: dict[str, Any], expected: bytes) -> None:
    with path.open("rb") as file:
        assert send(make(), START, zerocopysend(file, **window)).body == expected
        assert not file.closed
        # The descriptor is the application's: still open and usable.
        assert os.fstat(file.fileno()).st_size == len(CONTENT)


def test_x3_mixes_with_body_and_repeats(make: Any, path: Path) -> None:
    with path.open("rb") as file:
        wire = send(
            make(),
            START,
            body(b"<", True),
            zerocopysend(file, offset=3, count=2, more_body=True),
            body(b"|", True),
            zerocopysend(file, offset=0, count=1, more_body=True),
            body(b">"),
        )
    assert wire.body == b"<" + CONTENT[3:5] + b"|" + CONTENT[:1] + b">"


@pytest.mark.parametrize("buffering", [-1, 0])
def test_x3_without_offset_goes_on_from_the_position(make: Any, path: Path, buffering: int) -> None:
    with path.open("rb", buffering=buffering) as file:
        assert file.read(10) == CONTENT[:10]
        wire = send(make(), START, zerocopysend(file, count=5, more_body=True), zerocopysend(file, count=5))
        assert wire.body == CONTENT[10:20]
        assert file.read(1) == CONTENT[20:21]


def test_x3_with_offset_leaves_the_position(make: Any, path: Path) -> None:
    with path.open("rb") as file:
        file.seek(7)
        send(make(), START, zerocopysend(file, offset=100, count=5))
        assert file.tell() == 7


def test_x3_head_reads_nothing(make: Any, path: Path) -> None:
    with path.open("rb") as file:
        assert send(make("HEAD"), START, zerocopysend(file)).body == b""


@pytest.mark.parametrize("wrong", [None, b"bytes", io.BytesIO(b"no descriptor"), 3])
def test_x3_wrong_file(make: Any, wrong: Any) -> None:
    with pytest.raises(LocalProtocolError, match="file"):
        send(make(), START, zerocopysend(wrong))


def test_x3_file_that_shrinks(make: Any, path: Path) -> None:
    path.write_bytes(b"x" * (2 * FILE_CHUNK_BYTES))
    cycle = make()
    cycle.wire.before_data = lambda: os.truncate(path, FILE_CHUNK_BYTES)
    with path.open("rb") as file:
        assert send(cycle, START, zerocopysend(file)).body == b"x" * FILE_CHUNK_BYTES


def test_a_file_ends_with_its_response(make: Any, path: Path) -> None:
    # Once the response is complete, the wire may already carry the next one: nothing of this may reach it.
    path.write_bytes(b"x" * (3 * FILE_CHUNK_BYTES))

    async def main() -> None:
        cycle = make()
        await cycle.send(START)
        with path.open("rb") as file:
            task = asyncio.create_task(cycle.send(zerocopysend(file, more_body=True)))
            await asyncio.sleep(0)
            await cycle.send(body(b"the end"))
            await task
        assert cycle.wire.sent[-1] == (b"the end", True)

    asyncio.run(main())
