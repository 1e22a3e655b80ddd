"""A file on its way to a client over a real socket: one that does not read or goes away, a server that shuts down."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from harness import Gate, running, wait_until
from picocorn.asgi.files import FILE_CHUNK_BYTES
from raw_client import get

#: Far more than two kernels hold for a connection between them.
CONTENT = bytes(range(256)) * 40_000
RECEIVE_BUFFER_BYTES = 32768


class Sends:
    """Sends the file at `path`, and keeps how that ended."""

    def __init__(self, path: Path, declared_bytes: int) -> None:
        self.path = path
        self.declared_bytes = declared_bytes
        self.error: BaseException | None = None
        self.started = Gate()
        self.ended = Gate()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise RuntimeError("only http")
        self.started.open()
        headers = [(b"content-length", b"%d" % self.declared_bytes)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await send({"type": "http.response.pathsend", "path": str(self.path)})
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.ended.open()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def open_copies(path: Path) -> int:
    folder = Path("/proc/self/fd")
    found = 0
    for name in os.listdir(folder):
        try:
            found += os.readlink(folder / name) == str(path)
        except OSError:
            continue  # closed since it was listed
    return found


def test_a_client_that_does_not_read_stops_the_file(twin: str, path: Path) -> None:
    app = Sends(path, len(CONTENT))
    with running(app, http=twin) as server, server.connect(receive_buffer_bytes=RECEIVE_BUFFER_BYTES) as client:
        client.send(get())
        response = client.head()
        app.started.wait()
        [connection] = server.state.connections
        wait_until(lambda: server.call(lambda: connection.is_blocked()), "the queue is full")
        assert server.call(lambda: connection.transport.get_write_buffer_size()) <= 2 * FILE_CHUNK_BYTES
        assert not app.ended.is_open()
        assert response.status == 200
        assert client.read_exactly(len(CONTENT)) == CONTENT
        app.ended.wait()
        assert app.error is None


def test_a_reset_ends_the_file(twin: str, path: Path) -> None:
    app = Sends(path, len(CONTENT))
    with running(app, http=twin) as server:
        client = server.connect(receive_buffer_bytes=RECEIVE_BUFFER_BYTES)
        client.send(get())
        assert client.read_until(b"\r\n\r\n")
        client.reset()
        app.ended.wait()
        assert isinstance(app.error, OSError)
        wait_until(lambda: open_copies(path) == 0, "the file is closed")


def test_a_shutdown_lets_the_file_arrive(twin: str, path: Path) -> None:
    app = Sends(path, len(CONTENT))
    with running(app, http=twin) as server, server.connect(receive_buffer_bytes=RECEIVE_BUFFER_BYTES) as client:
        client.send(get())
        client.head()
        app.started.wait()
        server.stop()
        assert client.read_to_end() == CONTENT
        assert app.error is None


def test_a_file_that_grows_is_sent_as_long_as_it_was(twin: str, path: Path) -> None:
    app = Sends(path, len(CONTENT))
    with running(app, http=twin) as server, server.connect(receive_buffer_bytes=RECEIVE_BUFFER_BYTES) as client:
        client.send(get())
        client.head()
        with path.open("ab") as file:
            file.write(b"more")
        assert client.read_exactly(len(CONTENT)) == CONTENT
        app.ended.wait()
        assert client.request(b"/next", method=b"HEAD").status == 200


@pytest.mark.parametrize("short_bytes", [-4, 4])
def test_a_file_of_another_length_than_declared_is_no_clean_answer(twin: str, path: Path, short_bytes: int) -> None:
    app = Sends(path, len(CONTENT) + short_bytes)
    with running(app, http=twin) as server, server.connect() as client:
        client.send(get())
        client.head()
        assert len(client.read_to_end()) < len(CONTENT) + short_bytes
        app.ended.wait()
        assert "Content-Length" in str(app.error)
        assert server.errors()
