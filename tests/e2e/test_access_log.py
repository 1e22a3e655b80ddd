"""The access log of a server process: complete in a file, never in the way when nobody reads it, counted when it is lost."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import picocorn
from e2e.serving import APPS
from harness import DEADLINE_SECONDS, wait_until
from picocorn.server.log_output import BACKLOG_BYTES
from raw_client import Client, get

#: Requests sent in one piece.
BATCH = 100
COMMAND = (sys.executable, "-m", "picocorn", "raw_app:app", "--port", "0", "--lifespan", "off")
LINE = re.compile(r'INFO:     127\.0\.0\.1:\d+ - "GET /\?(\d+)x* HTTP/1\.1" 200 OK')


class Process:
    """A server whose standard output goes where the test wants it."""

    def __init__(self, body: str, stdout: Any, tmp_path: Path) -> None:
        source = str(Path(picocorn.__file__).parent.parent)
        environment = {**os.environ, "PYTHONPATH": source, "PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else "0"}
        self.errors = tmp_path / "stderr"
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                # The application prints when its lifespan ends.
                [*COMMAND, "--app-dir", str(APPS)],
                env=environment,
                stdout=stdout,
                stderr=errors,
            )
        self.clients: list[Client] = []
        self.requests = 0

    def connect(self) -> Client:
        wait_until(lambda: "running on" in self.errors.read_text(), "it listens")
        found = re.search(r"running on http://127\.0\.0\.1:(\d+)", self.errors.read_text())
        assert found is not None
        client = Client(("127.0.0.1", int(found[1])))
        self.clients.append(client)
        return client

    def ask(self, client: Client, batches: int = 1, padding: bytes = b"") -> None:
        """Requests whose query is their number, all answered."""
        for _ in range(batches):
            numbers = range(self.requests, self.requests + BATCH)
            client.send(b"".join(get(b"/?%d%s" % (number, padding)) for number in numbers))
            for _ in numbers:
                assert client.response().body == b"hello"
            self.requests += BATCH

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(DEADLINE_SECONDS)


@contextlib.contextmanager
def process(body: str, stdout: Any, tmp_path: Path) -> Iterator[Process]:
    server = Process(body, stdout, tmp_path)
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        server.process.kill()
        server.process.wait()


def numbers(text: str) -> list[int]:
    """The requests that the log tells of. Every line of it must be one."""
    found = [LINE.fullmatch(line) for line in text.splitlines()]
    assert all(found), [line for line, match in zip(text.splitlines(), found, strict=True) if match is None][:3]
    return [int(match[1]) for match in found if match is not None]


def test_a_file_has_every_answer(body: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    with open(path, "wb") as file, process(body, file, tmp_path) as server:
        server.ask(server.connect(), 10)
        assert server.end() == -signal.SIGTERM
        assert numbers(path.read_text()) == list(range(server.requests))


def test_terminated_under_load_it_has_every_answer(body: str, tmp_path: Path) -> None:
    path = tmp_path / "log"
    answers = 0
    with open(path, "wb") as file, process(body, file, tmp_path) as server:
        client = server.connect()
        server.ask(client)
        client.send(b"".join(get(b"/?%d" % (BATCH + number)) for number in range(20 * BATCH)))
        server.process.send_signal(signal.SIGTERM)
        with contextlib.suppress(AssertionError, ConnectionResetError):
            while client.response().body == b"hello":
                answers += 1
        assert server.process.wait(DEADLINE_SECONDS) == -signal.SIGTERM
        logged = numbers(path.read_text())
        # What was answered is told of. An answer that the closing cut off may be too.
        assert logged == list(range(len(logged)))
        assert BATCH + answers <= len(logged) <= BATCH + answers + 1


def test_a_reader_that_is_stuck_and_reads_on(body: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, process(body, writing, tmp_path) as server:
        os.close(writing)
        client = server.connect()
        # More than the pipe holds, less than the backlog.
        server.ask(client, 20, b"x" * 100)
        got: list[bytes] = []
        while b"".join(got[-2:]).find(b"/?%dx" % (server.requests - 1)) < 0:
            got.append(os.read(reader.fileno(), 65536))
        assert server.end() == -signal.SIGTERM
        assert numbers((b"".join(got) + reader.read()).decode()) == list(range(server.requests))


def test_a_reader_that_is_stuck_for_long(body: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, process(body, writing, tmp_path) as server:
        os.close(writing)
        client = server.connect()
        padding = b"x" * 1000
        server.ask(client, (BACKLOG_BYTES + 512 * 1024) // (len(padding) * BATCH), padding)
        # It answers still, and says what is missing once it can.
        text = b""
        while not (gap := re.search(rb"WARNING:  (\d+) lines of the access log were dropped here: nobody read them\.\n", text)):
            text += os.read(reader.fileno(), 65536)
        before = numbers(text[: gap.start()].decode())
        assert before == list(range(len(before)))
        assert len(before) + int(gap[1]) == server.requests
        dropped_up_to = server.requests
        server.ask(client)
        assert server.end() == -signal.SIGTERM
        after = text[gap.end() :] + reader.read()
        assert numbers(after.decode()) == list(range(dropped_up_to, server.requests))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_end_that_nobody_reads(body: str, tmp_path: Path, number: int) -> None:
    reading, writing = os.pipe()
    with open(reading, "rb") as reader, process(body, writing, tmp_path) as server:
        os.close(writing)
        server.ask(server.connect(), 10, b"x" * 100)
        assert server.end(number) == (-signal.SIGTERM if number == signal.SIGTERM else 0)
        lost = re.search(r"WARNING:  (\d+) lines of the access log are lost", server.errors.read_text())
        assert lost is not None
        kept = numbers(reader.read().decode())
        assert kept == list(range(len(kept)))
        assert len(kept) + int(lost[1]) == server.requests


def test_a_reader_that_has_gone(body: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with process(body, writing, tmp_path) as server:
        os.close(writing)
        os.close(reading)
        server.ask(server.connect(), 3)
        assert server.end() == -signal.SIGTERM
        assert server.errors.read_text().count("The access log cannot be written: BrokenPipeError") == 1
        assert "Traceback" not in server.errors.read_text()
