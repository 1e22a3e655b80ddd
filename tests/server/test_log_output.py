"""Where access lines go: real files, pipes and terminals, full, stuck and gone."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import logging
import os
import select
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from picocorn.server import log_output
from picocorn.server.log_output import LineOutput

pytestmark = pytest.mark.skipif(os.name != "posix", reason="descriptors")

LINE = 'INFO:     1.2.3.4:55 - "GET /{} HTTP/1.1" 200 OK\n'


class Desk:
    """A stream that is taken for the process's own output, and a loop that runs when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.loop = asyncio.new_event_loop()
        self.streams: list[Any] = []
        self.descriptors: list[int] = []

    def output(self, fd: int, **options: Any) -> LineOutput:
        """An output to `fd`, which is given away."""
        stream = io.TextIOWrapper(open(fd, "wb"), "utf-8", newline="\n", **options)  # noqa: SIM115
        self.streams.append(stream)
        self.monkeypatch.setattr("sys.__stdout__", stream)
        return LineOutput(logging.StreamHandler(stream), self.loop)

    def pipe(self) -> tuple[int, LineOutput]:
        """A pipe's reading end, which does not block, and the output to its other end."""
        reading, writing = os.pipe()
        os.set_blocking(reading, False)
        self.descriptors.append(reading)
        return reading, self.output(writing)

    def turn(self) -> None:
        self.loop.run_until_complete(asyncio.sleep(0))

    def drain(self, reading: int, output: LineOutput) -> bytes:
        """Read, and let the loop run, until nothing waits."""
        got = b""
        while True:
            with contextlib.suppress(BlockingIOError):
                while data := os.read(reading, 65536):
                    got += data
            if not output.is_busy:
                return got
            self.loop.run_until_complete(asyncio.sleep(log_output.RETRY_SECONDS))

    def end(self) -> None:
        for fd in self.descriptors:
            with contextlib.suppress(OSError):
                os.close(fd)
        for stream in self.streams:
            with contextlib.suppress(OSError, ValueError):
                stream.close()
        self.loop.close()


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    desk = Desk(monkeypatch)
    yield desk
    desk.end()


@pytest.fixture
def complaints(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    logging.getLogger("picocorn.error").propagate = True
    caplog.set_level(logging.INFO, "picocorn.error")
    return caplog


def put(output: LineOutput, *lines: str) -> None:
    output.lines.extend(lines)
    output.flush()


def lines(count: int, start: int = 0) -> list[str]:
    return [LINE.format(number) for number in range(start, start + count)]


def stick(output: LineOutput) -> int:
    """Write until the reader would have to read. Returns how many lines that took."""
    count = 0
    while not output.is_busy:
        put(output, *lines(50, count))
        count += 50
    return count


def test_a_file(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "log"
    output = desk.output(os.open(path, os.O_CREAT | os.O_WRONLY))
    output.stream.write("printed before, ")
    output.lines.append(LINE.format("é"))
    output.schedule()
    assert path.read_text() == ""
    desk.turn()
    # In the order in which it was said, though print() keeps its own until somebody flushes.
    assert path.read_text() == "printed before, " + LINE.format("é")
    put(output, *lines(10000))
    assert path.read_text().endswith("".join(lines(10000)))
    assert not output.is_busy


def test_a_stuck_reader_holds_up_nobody(desk: Desk) -> None:
    reading, output = desk.pipe()
    count = stick(output)
    # The loop goes on, and so does the log.
    desk.turn()
    put(output, *lines(50, count))
    output.stream.write("printed\n")
    put(output, *lines(50, count + 50))
    printed = desk.drain(reading, output).decode()
    assert printed.replace("printed\n", "") == "".join(lines(count + 100))
    assert printed.count("printed\n") == 1


def test_pieces_end_with_a_line_and_fit_into_a_pipe(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[bytes] = []
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: pieces.append(bytes(data)) or write(fd, data))
    reading, output = desk.pipe()
    long_line = "x" * 5000 + "\n"
    put(output, *lines(200), long_line, *lines(3))
    assert desk.drain(reading, output).decode() == "".join([*lines(200), long_line, *lines(3)])
    assert all(len(piece) <= select.PIPE_BUF for piece in pieces)
    # But for the line that no pipe takes whole.
    assert [piece[-1:] for piece in pieces].count(b"x") == 1


def test_the_backlog_is_bounded_and_the_gap_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "BACKLOG_BYTES", 50000)
    reading, output = desk.pipe()
    count = stick(output)
    kept = count
    while not output._dropped:
        put(output, *lines(100, kept))
        kept += 100
    kept -= 100
    put(output, *lines(11, kept))
    assert len(output._backlog) <= 50000
    printed = desk.drain(reading, output).decode()
    gap = "WARNING:  111 lines of the access log were dropped here: nobody read them.\n"
    assert printed == "".join(lines(kept)) + gap
    put(output, LINE)
    assert desk.drain(reading, output).decode() == LINE


def test_a_reader_that_has_gone(desk: Desk, complaints: pytest.LogCaptureFixture) -> None:
    reading, output = desk.pipe()
    stick(output)
    os.close(reading)
    for _ in range(3):
        put(output, LINE)
    assert not output.is_busy
    # Once, and not for each line.
    assert complaints.messages == ["The access log cannot be written: BrokenPipeError: [Errno 32] Broken pipe"]


def test_complaints_are_made_where_logging_makes_them(
    desk: Desk, complaints: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    reading, output = desk.pipe()
    os.close(reading)
    put(output, LINE)
    assert complaints.messages == []


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux")
def test_a_full_disk(desk: Desk, complaints: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    output = desk.output(os.open("/dev/full", os.O_WRONLY))
    put(output, *lines(2))
    put(output, LINE)
    assert complaints.messages == ["The access log cannot be written: OSError: [Errno 28] No space left on device"]
    # Somebody makes room.
    path = tmp_path / "log"
    with open(path, "wb") as file:
        os.dup2(file.fileno(), output.stream.fileno())
    put(output, *lines(1, 2))
    assert path.read_text() == "".join(lines(2)) + LINE + "".join(lines(1, 2))


def test_a_closed_stream(desk: Desk, complaints: pytest.LogCaptureFixture) -> None:
    _reading, output = desk.pipe()
    output.stream.close()
    put(output, LINE)
    put(output, LINE)
    assert complaints.messages == ["The access log cannot be written: ValueError: I/O operation on closed file."]
    assert not output.is_busy


def test_a_stream_that_is_closed_while_lines_wait(desk: Desk, complaints: pytest.LogCaptureFixture) -> None:
    _reading, output = desk.pipe()
    stick(output)
    waiting = output._backlog.count(b"\n")
    output.stream.close()
    desk.loop.run_until_complete(asyncio.sleep(2 * log_output.RETRY_SECONDS))
    assert not output.is_busy
    assert complaints.messages == [f"{waiting} lines of the access log are lost: they could not be written."]


def test_a_descriptor_that_does_not_block(desk: Desk) -> None:
    reading, output = desk.pipe()
    os.set_blocking(output.stream.fileno(), False)
    count = stick(output)
    assert desk.drain(reading, output).decode() == "".join(lines(count))


def test_a_terminal_that_is_stopped(desk: Desk) -> None:
    master, slave = os.openpty()
    desk.descriptors.append(master)
    os.set_blocking(master, False)
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    output = desk.output(slave)
    termios.tcflow(slave, termios.TCOOFF)
    put(output, *lines(3))
    assert output.is_busy
    termios.tcflow(slave, termios.TCOON)
    assert desk.drain(master, output).decode() == "".join(lines(3))


def test_unbuffered_output(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log"
    raw = open(path, "wb", buffering=0)  # noqa: SIM115
    stream = io.TextIOWrapper(raw, "utf-8", newline="\n", write_through=True)  # type: ignore[type-var]
    desk.streams.append(stream)
    monkeypatch.setattr("sys.__stdout__", stream)
    output = LineOutput(logging.StreamHandler(stream), desk.loop)
    put(output, LINE)
    assert output._target.fd == raw.fileno()
    assert path.read_text() == LINE


def test_somebodys_own_write_is_called(desk: Desk) -> None:
    _reading, output = desk.pipe()
    put(output, LINE)
    written: list[str] = []
    output.stream.write = written.append
    put(output, *lines(2))
    assert written == ["".join(lines(2))]


def test_close_waits_a_moment(desk: Desk, complaints: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    reading, output = desk.pipe()
    count = stick(output)
    got: list[bytes] = []
    # Who reads while it waits.
    monkeypatch.setattr("time.sleep", lambda seconds: got.append(os.read(reading, 4096)))
    output.close()
    assert not output.is_busy
    with contextlib.suppress(BlockingIOError):
        got.append(os.read(reading, 65536))
    assert b"".join(got).decode() == "".join(lines(count))
    assert complaints.messages == []


def test_close_does_not_wait_for_ever(desk: Desk, complaints: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_output, "CLOSE_SECONDS", 0.05)
    _reading, output = desk.pipe()
    stick(output)
    waiting = output._backlog.count(b"\n")
    output.close()
    assert not output.is_busy
    assert complaints.messages == [f"{waiting} lines of the access log are lost: they could not be written."]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
def test_a_forked_process_does_not_write_its_parents_lines(desk: Desk) -> None:
    reading, output = desk.pipe()
    count = stick(output)
    output.lines.append(LINE)
    child = os.fork()
    if child == 0:
        try:
            output.close()
        finally:
            os._exit(0 if not output.is_busy else 1)
    assert os.waitpid(child, 0)[1] == 0
    output.flush()
    assert desk.drain(reading, output).decode() == "".join(lines(count)) + LINE


def test_other_processes_cannot_make_the_loop_wait(desk: Desk) -> None:
    # Three quarters of the pipe are left to them.
    _reading, output = desk.pipe()
    stick(output)
    if hasattr(fcntl, "F_GETPIPE_SZ"):
        fd = output.stream.fileno()
        size = fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)
        unread = int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, b"\0\0\0\0"), "little")
        assert size // 4 < unread <= size // 4 + select.PIPE_BUF
