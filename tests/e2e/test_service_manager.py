"""What the service manager hears from a server, and what its pid file says: from the start to the end."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.binding import MODES, Listening, listening, passed_on
from harness import DEADLINE_SECONDS, Client, wait_until
from server.notifications import Manager, listening_manager

SUPERVISED = pytest.mark.parametrize("mode", ["workers"])


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with listening_manager(str(tmp_path / "notify")) as one:
        yield one


def address(server: Listening) -> tuple[str, int]:
    return "127.0.0.1", server.port()


def children(server: Listening) -> set[int]:
    """Processes that it has started, and that have not ended."""
    return set(map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()))


# -- the service manager


def test_from_start_to_end(mode: str, manager: Manager, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with listening(mode, "--uds", path, env={"NOTIFY_SOCKET": manager.address}) as server:
        assert manager.hear() == {"READY": "1", "STATUS": "Serving"}
        # It serves by now, and nobody has to try again.
        with Client(path) as client:
            environment = json.loads(client.request().body)["environment"]
        # An application that is the service may speak for itself; its workers are not asked.
        assert environment == ({"NOTIFY_SOCKET": manager.address} if mode == "single" else {})
        server.stop()
        assert manager.hear() == {"STOPPING": "1", "STATUS": "Stopping"}
    assert manager.rest() == []


def test_one_that_cannot_start_is_never_ready(mode: str, manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    with listening(mode, env={"NOTIFY_SOCKET": manager.address, "FAIL_FILE": str(tmp_path / "fail")}) as server:
        assert server.server.join() == 3
    assert not [message for message in manager.rest() if "READY" in message]


def test_signs_of_life(mode: str, manager: Manager) -> None:
    with listening(mode, env={"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}) as server:
        manager.hear_until("READY")
        for _ in range(3):
            assert manager.hear() == {"WATCHDOG": "1"}
        if mode == "workers":
            assert server.ask(address(server))["environment"] == {}
        server.stop()
        manager.hear_until("STOPPING")


@SUPERVISED
def test_a_reload(mode: str, manager: Manager) -> None:
    with listening(mode, env={"NOTIFY_SOCKET": manager.address}) as server:
        manager.hear_until("READY")
        before = children(server)
        server.server.send_signal(signal.SIGHUP)
        heard = manager.hear()
        assert (heard["RELOADING"], heard["MONOTONIC_USEC"].isdecimal()) == ("1", True)
        assert manager.hear() == {"READY": "1", "STATUS": "Serving"}
        # Whoever was asked to wait for it waits until all are new.
        assert len(children(server) - before) == 2
        # The last of the old ones may still take what has come to it.
        wait_until(lambda: server.ask(address(server))["pid"] not in before, "a new one answers")
        server.stop()


@SUPERVISED
def test_a_reload_that_fails_is_over_too(mode: str, manager: Manager, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("A=1\n")
    fail = tmp_path / "fail"
    env = {"NOTIFY_SOCKET": manager.address, "FAIL_FILE": str(fail)}
    with listening(mode, "--env-file", str(tmp_path / "env"), env=env) as server:
        manager.hear_until("READY")
        fail.touch()
        server.server.send_signal(signal.SIGHUP)
        manager.hear_until("RELOADING")
        assert manager.hear()["READY"] == "1"
        server.server.wait_for("aborting the restart")
        # A configuration that cannot be used is not even tried.
        (tmp_path / "env").unlink()
        server.server.send_signal(signal.SIGHUP)
        manager.hear_until("RELOADING")
        assert manager.hear()["READY"] == "1"
        server.ask(address(server))
        server.stop()


# -- a new server in the place of a running one


@SUPERVISED
def test_an_upgrade(mode: str, manager: Manager, tmp_path: Path) -> None:
    pid, aside = tmp_path / "pid", tmp_path / "pid.oldbin"
    env = {"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "60000000"}
    with listening(mode, "--pidfile", str(pid), env=env) as server:
        manager.hear_until("READY")
        where = address(server)
        server.server.send_signal(signal.SIGUSR2)
        new = int(server.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        try:
            # The new one says so too, and the manager will not believe it as long as the old one is the service.
            manager.hear_until("READY")
            assert (aside.read_text(), pid.read_text()) == (f"{server.pid}\n", f"{new}\n")
            server.server.send_signal(signal.SIGTERM)
            # Not `stop`, which would wait for the new one's output as well.
            assert server.server.process.wait(DEADLINE_SECONDS) == 0
            # With a sign of life: it may be half a timeout until the new one gives its own.
            assert manager.hear_until("MAINPID") == {"MAINPID": str(new), "WATCHDOG": "1"}
            assert (aside.exists(), pid.read_text()) == (False, f"{new}\n")
            told = server.ask(where)
            assert told["parent"] == new
            assert told["environment"] == {}
        finally:
            os.kill(new, signal.SIGTERM)
        # Nothing of the old one's end is heard: only the new one's.
        assert manager.hear_until("STOPPING")["STATUS"] == "Stopping"
        wait_until(lambda: not pid.exists(), "the new one has ended")
    assert manager.rest() == []


@SUPERVISED
def test_an_upgrade_that_is_given_up(mode: str, manager: Manager) -> None:
    with listening(mode, env={"NOTIFY_SOCKET": manager.address}) as server:
        manager.hear_until("READY")
        server.server.send_signal(signal.SIGUSR2)
        new = int(server.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        manager.hear_until("READY")
        os.kill(new, signal.SIGTERM)
        server.server.wait_for(rf"New parent process \[{new}\] has ended")
        # STOPPING=1 would have the manager end the service, which goes on.
        assert manager.rest() == []
        server.ask(address(server))
        server.stop()
        manager.hear_until("STOPPING")


@SUPERVISED
@pytest.mark.parametrize("passed", [False, True])
def test_an_upgrade_leaves_every_socket_where_it_is(mode: str, passed: bool, tmp_path: Path) -> None:
    path, pid = tmp_path / "s", tmp_path / "pid"
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        if passed:
            unix = stack.enter_context(socket.socket(socket.AF_UNIX))
            unix.bind(str(path))
            unix.listen()
            starting = passed_on(mode, {"web": tcp, "admin": unix}, "--pidfile", str(pid))
        else:
            binds = ("--bind", f"fd://{tcp.fileno()}", "--bind", f"unix:{path}")
            starting = listening(mode, *binds, "--pidfile", str(pid), pass_fds=(tcp.fileno(),))
        server = stack.enter_context(starting)
        wait_until(pid.exists, "it is up")
        before = server.announced(2)
        server.server.send_signal(signal.SIGUSR2)
        new = int(server.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        try:
            wait_until(pid.exists, "the new one is up")
            # It finds the same sockets, whatever has become of the variables and descriptors that they came by.
            assert server.announced(4) == before * 2
            server.server.send_signal(signal.SIGTERM)
            assert server.server.process.wait(DEADLINE_SECONDS) == 0
            for where in (tcp.getsockname(), str(path)):
                assert server.ask(where)["parent"] == new
        finally:
            os.kill(new, signal.SIGTERM)
        wait_until(lambda: not pid.exists(), "the new one has ended")
        assert path.exists() is passed


@SUPERVISED
def test_an_upgrade_that_fails(mode: str, manager: Manager, tmp_path: Path) -> None:
    pid, fail = tmp_path / "pid", tmp_path / "fail"
    env = {"NOTIFY_SOCKET": manager.address, "FAIL_FILE": str(fail)}
    with listening(mode, "--pidfile", str(pid), env=env) as server:
        manager.hear_until("READY")
        fail.touch()
        server.server.send_signal(signal.SIGUSR2)
        server.server.wait_for(r"New parent process \[\d+\] has ended")
        wait_until(pid.exists, "the pid file is back")
        assert pid.read_text() == f"{server.pid}\n"
        fail.unlink()
        server.ask(address(server))
        server.stop()
        assert manager.hear_until("STOPPING")
    assert not pid.exists()


# -- the pid file


def test_the_pid_file(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    with listening(mode, "--pidfile", str(path)) as server:
        server.wait_until_up()
        wait_until(path.exists, "the pid file")
        assert path.read_text() == f"{server.pid}\n"
        # Whoever finds the file finds a server.
        server.ask(address(server))
        with listening(mode, "--pidfile", str(path)) as second:
            assert second.server.join() == 3
            assert second.errors == [f"{path}: process {server.pid} has written this pid file, and is running"]
            # Not even the application was started for it.
            assert "startup" not in second.server.output
        assert path.read_text() == f"{server.pid}\n"
        server.stop()
    assert os.listdir(tmp_path) == []


def test_a_stale_pid_file(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "pid"
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    path.write_text(f"{dead.pid}\n")
    with listening(mode, "--pidfile", str(path)) as server:
        server.wait_until_up()
        wait_until(lambda: path.read_text() == f"{server.pid}\n", "the pid file")
        server.stop()
    assert not path.exists()


def test_a_pid_file_that_cannot_be_written(mode: str, tmp_path: Path) -> None:
    with listening(mode, "--pidfile", str(tmp_path / "nowhere" / "pid")) as server:
        assert server.server.join() == 3
        (line,) = server.errors
        assert line.endswith("nowhere, for the pid file")


def test_a_pid_file_that_somebody_else_has_written_meanwhile(mode: str, tmp_path: Path) -> None:
    path, start = tmp_path / "pid", tmp_path / "start"
    with listening(mode, "--pidfile", str(path), env={"START_FILE": str(start)}) as server:
        server.server.wait_for("Waiting for application startup")
        path.write_text("1\n")
        start.touch()
        assert server.server.join() == 3
        assert server.errors[0] == f"{path}: process 1 has written this pid file, and is running"
        assert path.read_text() == "1\n"


def test_one_that_is_ended_at_its_start_leaves_no_pid_file(mode: str, tmp_path: Path) -> None:
    path, start = tmp_path / "pid", tmp_path / "start"
    with listening(mode, "--pidfile", str(path), env={"START_FILE": str(start)}) as server:
        server.server.wait_for("Waiting for application startup", 1 if mode == "single" else 2)
        server.server.send_signal(signal.SIGTERM)
        start.touch()
        server.server.join()
    assert not path.exists()
