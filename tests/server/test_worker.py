"""A worker's server, without a supervisor at the other end but with somebody who listens to what it says."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator
from typing import Any

import pytest

import picocorn
from harness import wait_until
from picocorn.server import worker as worker_module
from picocorn.server.worker import WorkerServer
from picocorn.server.worker_channel import (
    BEAT,
    ENDING_APPLICATION,
    LEAVING,
    READY,
    RECYCLE,
    REOPEN_LOGS,
    RETIRE,
    SupervisorEnd,
    WorkerEnd,
)


async def app(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})


class Line:
    """Both ends of a channel, and what was said so far."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair()
        self._supervisor = SupervisorEnd(ours)
        self.worker = WorkerEnd(self._theirs)
        self.said: list[str] = []

    def hears(self, message: str) -> bool:
        self.said += self._supervisor.receive()[0]
        return message in self.said

    def wait_for(self, message: str) -> None:
        wait_until(lambda: self.hears(message), message)

    def close(self) -> None:
        self._supervisor.close()
        self._theirs.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def server_of(line: Line, **options: Any) -> WorkerServer:
    config = picocorn.Config(app, lifespan="auto", log_config=None, **options)
    return WorkerServer(config, line.worker)


def run(server: WorkerServer, listening: socket.socket, meanwhile: Any) -> None:
    """Serve, and let `meanwhile(line)` run in a thread; then end."""

    async def main() -> None:
        serving = asyncio.ensure_future(server.serve([listening.dup()]))
        try:
            await asyncio.to_thread(meanwhile)
        finally:
            server.should_exit = True
            # A retired one raises its signal again at the end; here that is ours.
            with contextlib.suppress(KeyboardInterrupt):
                await serving

    asyncio.run(main())


def ask(listening: socket.socket) -> bytes:
    with socket.create_connection(listening.getsockname()) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        answer = b""
        while data := client.recv(4096):
            answer += data
        return answer


def test_what_it_says_from_start_to_end(line: Line, listening: socket.socket) -> None:
    server = server_of(line, timeout_worker_healthcheck=0.04)

    def meanwhile() -> None:
        line.wait_for(READY)
        wait_until(lambda: line.hears("nothing") or line.said.count(BEAT) >= 5, "its heart beats")
        assert LEAVING not in line.said

    run(server, listening, meanwhile)
    line.hears("nothing")
    said = [message for message in line.said if message != BEAT]
    assert said == [READY, LEAVING, ENDING_APPLICATION]


def test_it_asks_to_be_replaced_once_and_serves_on(
    line: Line, listening: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    server = server_of(line, limit_max_requests=2)

    def meanwhile() -> None:
        line.wait_for(READY)
        for _ in range(2):
            assert ask(listening).startswith(b"HTTP/1.1 200")
        line.wait_for(RECYCLE)
        for _ in range(3):
            assert ask(listening).startswith(b"HTTP/1.1 200")
        line.hears("nothing")
        assert line.said.count(RECYCLE) == 1
        assert LEAVING not in line.said

    run(server, listening, meanwhile)
    assert [text for text in caplog.messages if "request" in text] == [
        "Maximum request limit of 2 exceeded. Terminating process."
    ]


def test_it_is_retired_by_way_of_handle_exit(line: Line, listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Libraries replace that method to learn of the end."""
    seen: list[int] = []

    def handle_exit(self: WorkerServer, number: int, frame: Any) -> None:
        seen.append(number)
        self.should_exit = True

    monkeypatch.setattr(picocorn.Server, "handle_exit", handle_exit)
    server = server_of(line)

    def meanwhile() -> None:
        # Too early: nobody has taken its place.
        server.told(RETIRE)
        line.wait_for(READY)
        assert seen == []
        server.told(RETIRE)
        line.wait_for(LEAVING)

    run(server, listening, meanwhile)
    assert seen == [signal.SIGTERM]


def test_without_a_supervisor_it_ends_whatever_runs(
    line: Line, listening: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is left who could end it the hard way."""
    ended: list[str] = []

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        ended.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ended")

    def handle_exit(self: WorkerServer, number: int, frame: Any) -> None:
        self.should_exit = True

    monkeypatch.setattr(picocorn.Server, "handle_exit", handle_exit)
    monkeypatch.setattr(worker_module, "ABANDONED_SECONDS", 0.1)
    config = picocorn.Config(waits, lifespan="off", log_config=None, timeout_graceful_shutdown=0)
    server = WorkerServer(config, line.worker)

    def meanwhile() -> None:
        line.wait_for(READY)
        with socket.create_connection(listening.getsockname()) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            try:
                wait_until(lambda: bool(ended), "it runs")
                server.abandoned()
                wait_until(lambda: "ended" in ended, "it was ended")
            finally:
                server.force_exit = True

    run(server, listening, meanwhile)


def test_it_opens_its_log_files_anew(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    reopened: list[str] = []
    monkeypatch.setattr(worker_module, "reopen_log_files", lambda: reopened.append("reopened"))
    server = server_of(line)
    server.told(REOPEN_LOGS)
    server.told("something of another version's")
    assert reopened == ["reopened"]


def test_quit_is_a_forced_exit(line: Line) -> None:
    server = server_of(line)
    server.quit(signal.SIGQUIT, None)
    assert (server.should_exit, server.force_exit) == (True, True)
