"""What a supervisor does when it is signalled while it serves: restart, more and fewer workers, new log files, a new server."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from harness import Client, wait_until
from server.supervising import gate, is_gone, supervised

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

RESTARTED = [
    "Received SIGHUP, restarting processes.",
    "Started server process [PID]",
    "Waiting for application startup.",
    "Application startup complete.",
    "Terminated child process [PID]",
    "Waiting for child process [PID]",
    "Shutting down",
    "Waiting for application shutdown.",
    "Application shutdown complete.",
    "Finished server process [PID]",
]


def test_restart_of_one_worker_finishes_what_runs(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("GENERATION=first\n")
    with (
        gate(tmp_path) as (path, open_gate),
        supervised("--env-file", str(env_file), workers=1, env={"GATE": str(path)}) as running,
    ):
        old, generation = running.ask()
        assert generation == "first"
        slow = running.send(b"/slow")
        env_file.write_text("GENERATION=second\n")
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Shutting down")
        # The new one serves while the old one finishes, which still answers who had connected before it stopped accepting.
        answers = (running.ask() for _ in range(1000))
        generation = next(generation for worker, generation in answers if worker != old)
        assert generation == "second"
        assert not slow.has_input()
        open_gate()
        response = slow.response()
        assert response.body == f"{old} first".encode()
        assert response.get(b"connection") == b"close"
        running.wait_until_gone(old)
        running.wait_for_no_zombies()


def test_restart_one_by_one() -> None:
    with supervised() as running:
        running.wait_for_workers(2)
        before = len(running.lines)
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Finished server process", 2)
        # The second is started when the first has been replaced.
        assert running.lines[before:][:20] == [*RESTARTED, *RESTARTED[1:]]
        assert running.ask()[0] in running.started[2:]
        assert running.server.stop() == 0


def test_an_idle_connection_may_ask_once_more() -> None:
    with supervised(workers=1) as running:
        client = running.connect()
        assert client.request().get(b"connection") is None
        silent = running.connect()
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Shutting down")
        for asking in (client, silent):
            answer = asking.request()
            assert answer.body == f"{running.started[0]} ".encode()
            assert answer.get(b"connection") == b"close"
            assert asking.closed()
        running.wait_until_gone(running.started[0])


def test_an_idle_connection_is_not_waited_for_longer_than_it_may_be_idle() -> None:
    with supervised("--timeout-keep-alive", "0.3", workers=1) as running:
        client = running.connect()
        client.request()
        running.server.send_signal(signal.SIGHUP)
        assert client.closed()
        running.wait_until_gone(running.started[0])
        assert "Waiting for connections to close. (CTRL+C to force quit)" not in running.lines


def test_a_configuration_that_cannot_be_used_changes_nothing(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("GENERATION=first\n")
    with supervised("--env-file", str(env_file), workers=1) as running:
        old = running.ask()
        env_file.unlink()
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Keeping the running processes.")
        assert running.ask() == old
        assert "Invalid value for '--env-file'" in running.server.output


@pytest.mark.parametrize(
    ("change", "why"),
    [("FAIL_FILE=env", r"failed to start"), ("START_SECONDS=3600", r"was not ready in time")],
)
def test_a_new_worker_that_does_not_get_ready_leaves_the_old_one(change: str, why: str, tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("GENERATION=first\n")
    options = ("--env-file", str(env_file), "--timeout-worker-healthcheck", "0.2")
    with supervised(*options) as running:
        running.wait_for_workers(2)
        old = running.started
        env_file.write_text(f"GENERATION=second\n{change.replace('=env', f'={env_file}')}\n")
        running.server.send_signal(signal.SIGHUP)
        kept = running.server.wait_for(rf"New child process \[(\d+)\] {why}; keeping worker \[(\d+)\] and aborting the restart\.")
        running.wait_until_gone(int(kept[1]))
        assert int(kept[2]) in old
        assert running.ask()[0] in old
        assert running.ask()[1] == "first"
        # A worker that dies now is replaced by one of the old kind.
        os.kill(old[1], signal.SIGKILL)
        running.wait_for_workers(3)
        wait_until(lambda: running.ask()[0] == running.started[-1], "the new one answers")
        assert running.ask()[1] == "first"
        # And when the mistake is mended, all goes well.
        env_file.write_text("GENERATION=third\n")
        everybody = running.started
        running.server.send_signal(signal.SIGHUP)
        running.wait_until_gone(*everybody)
        assert running.ask()[1] == "third"
        running.wait_for_no_zombies()


def test_another_restart_overtakes_one_that_does_not_get_on(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("GENERATION=first\n")
    with supervised("--env-file", str(env_file), "--timeout-worker-healthcheck", "600", workers=1) as running:
        old, _ = running.ask()
        env_file.write_text("START_SECONDS=3600\n")
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Waiting for application startup", 2)
        env_file.write_text("GENERATION=third\n")
        running.server.send_signal(signal.SIGHUP)
        running.wait_until_gone(old, running.started[1])
        assert running.ask()[1] == "third"


def test_a_restart_may_change_the_number_of_workers(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("WEB_CONCURRENCY=2\nGENERATION=first\n")
    with supervised("--env-file", str(env_file), workers=None) as running:
        running.wait_for_workers(2)
        env_file.write_text("WEB_CONCURRENCY=3\nGENERATION=second\n")
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Finished server process", 2)
        running.wait_for_workers(5)
        # The one that was not there before, too.
        environments = [Path(f"/proc/{pid}/environ").read_text() for pid in running.started[2:]]
        assert all("GENERATION=second" in environment for environment in environments)
        env_file.write_text("WEB_CONCURRENCY=1\n")
        running.server.send_signal(signal.SIGHUP)
        running.server.wait_for("Finished server process", 5)
        wait_until(lambda: sum(not is_gone(pid) for pid in running.started) == 1, "one is left")


@pytest.mark.parametrize("balance", ["shared", "reuseport"])
def test_more_and_fewer_workers(balance: str) -> None:
    with supervised("--socket-balance", balance, workers=1) as running:
        running.wait_for_workers(1)
        running.server.send_signal(signal.SIGTTIN)
        running.wait_for_workers(2)
        running.server.send_signal(signal.SIGTTOU)
        running.server.wait_for("Finished server process")
        running.server.send_signal(signal.SIGTTOU)
        running.server.wait_for("Already reached one process")
        running.ask()
        said = [line for line in running.lines if "number of processes" in line]
        assert said == [
            "Received SIGTTIN, increasing the number of processes.",
            "Received SIGTTOU, decreasing number of processes.",
            "Received SIGTTOU, decreasing number of processes.",
            "Already reached one process, cannot decrease the number of processes anymore.",
        ]
        running.wait_for_no_zombies()
        assert running.server.stop() == 0


def test_log_files_are_opened_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    config = tmp_path / "log.ini"
    config.write_text(
        "[loggers]\nkeys=root\n[handlers]\nkeys=file\n[formatters]\nkeys=\n"
        f"[logger_root]\nlevel=INFO\nhandlers=file\n[handler_file]\nclass=FileHandler\nargs=({str(path)!r},)\n"
    )
    with supervised("--log-config", str(config), "--port", "0") as running:

        def lines() -> str:
            return path.read_text() if path.exists() else ""

        wait_until(lambda: lines().count("Application startup complete") == 2, "both have started")
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", lines())[1])  # type: ignore[index]
        old = path.rename(tmp_path / "log.1")
        running.server.send_signal(signal.SIGUSR1)
        wait_until(lambda: path.exists(), "the new file is there")
        workers = [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", old.read_text())]
        wait_until(lambda: all(is_open(pid, path) for pid in (running.pid, *workers)), "all have opened it")
        assert not any(is_open(pid, old) for pid in (running.pid, *workers))
        assert port
        assert running.server.stop() == 0
        assert "Stopping parent process" in lines()
        assert lines().count("Finished server process") == 2
        assert "Received SIGUSR1, reopening log files." in old.read_text()


def is_open(pid: int, path: Path) -> bool:
    """Whether a process has a file open."""
    try:
        return path.stat().st_ino in {os.stat(entry).st_ino for entry in Path(f"/proc/{pid}/fd").iterdir()}
    except FileNotFoundError:
        return False


def test_a_new_server_takes_the_sockets_over(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with supervised(workers=1) as running:
        old, _ = running.ask()
        running.server.send_signal(signal.SIGUSR2)
        new = int(running.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        running.wait_for_workers(2)
        # Both accept.
        answered: set[int] = set()
        wait_until(lambda: answered.add(running.ask()[0]) or answered == set(running.started), "both answer")
        running.server.send_signal(signal.SIGUSR2)
        running.server.wait_for(rf"Received SIGUSR2, but the new parent process \[{new}\] runs already\.")
        running.server.process.send_signal(signal.SIGTERM)
        running.server.process.wait(20)
        assert running.ask()[0] == running.started[1] != old
        os.kill(new, signal.SIGTERM)
        running.wait_until_gone(new)
    assert not path.exists()


def test_the_file_of_a_unix_socket_stays_for_who_still_listens(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with supervised("--uds", str(path), workers=1) as running:
        running.wait_for_workers(1)
        running.server.send_signal(signal.SIGUSR2)
        new = int(running.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        running.wait_for_workers(2)
        # The new one is given up: the old one serves on.
        os.kill(new, signal.SIGTERM)
        running.server.wait_for(rf"New parent process \[{new}\] has ended, with exit code 0\.")
        assert path.exists()
        running.server.send_signal(signal.SIGUSR2)
        newer = int(running.server.wait_for(r"Started new parent process \[(\d+)\]", 2)[1])
        running.wait_for_workers(3)
        running.server.process.send_signal(signal.SIGTERM)
        running.server.process.wait(20)
        assert path.exists()
        os.kill(newer, signal.SIGTERM)
        running.wait_until_gone(newer)
        assert not path.exists()


@pytest.mark.parametrize("who", ["old", "new"])
def test_who_ends_while_another_server_serves_loses_no_idle_connection(who: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    # The port of one is the port of the other, who only names the sockets that it gets.
    with supervised("--bind", "127.0.0.1:0", "--bind", f"unix:{path}", workers=1) as running:
        running.wait_for_workers(1)
        running.server.send_signal(signal.SIGUSR2)
        pids = {"old": running.pid, "new": int(running.server.wait_for(r"Started new parent process \[(\d+)\]")[1])}
        running.wait_for_workers(2)
        worker = dict(zip(("old", "new"), running.started, strict=True))[who]
        # Which worker takes a connection is not for us to say.
        clients = [running.connect()]
        wait_until(lambda: told(clients[-1], worker) or clients.append(running.connect()), "it has a connection")
        kept = clients[-1]
        os.kill(pids[who], signal.SIGTERM)
        running.server.wait_for("Shutting down")
        # For longer than clients have when nobody takes over.
        wait_until(lambda: {running.ask()[0] for _ in range(20)} == set(running.started) - {worker}, "the other one answers")
        assert kept.request().get(b"connection") == b"close"
        for client in clients:
            client.close()
        running.wait_until_gone(worker)
        for pid in pids.values():
            if not is_gone(pid):
                os.kill(pid, signal.SIGTERM)
        running.wait_until_gone(*pids.values())
    assert not path.exists()


def told(client: Client, worker: int) -> bool:
    """Whether it is this worker whose client that is."""
    return client.request().body == f"{worker} ".encode()


def test_the_file_of_a_unix_socket_goes_with_the_last_of_two_servers_that_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    # What runs in the old one keeps it from ending, not from being no server any more.
    bind = ("--bind", "127.0.0.1:0", "--bind", f"unix:{path}")
    with gate(tmp_path) as (pipe, open_gate), supervised(*bind, workers=1, env={"GATE": str(pipe)}) as running:
        running.send(b"/slow")
        running.server.send_signal(signal.SIGUSR2)
        new = int(running.server.wait_for(r"Started new parent process \[(\d+)\]")[1])
        running.wait_for_workers(2)
        running.server.send_signal(signal.SIGTERM)
        running.server.wait_for("Shutting down")
        os.kill(new, signal.SIGTERM)
        wait_until(lambda: is_gone(new), "the new one has ended")
        assert not is_gone(running.pid)
        open_gate()
        running.wait_until_gone(running.pid)
    assert not path.exists()


def test_signals_for_the_supervisor_do_not_hurt_workers() -> None:
    """Who signals the whole process group reaches them too."""
    with supervised(workers=1) as running:
        worker, _ = running.ask()
        for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH):
            os.kill(worker, number)
        assert running.ask()[0] == worker
        os.kill(running.pid, signal.SIGWINCH)
        # This one has a worker say where it is.
        os.kill(worker, signal.SIGUSR2)
        running.server.wait_for(rf"Child process \[{worker}\] was here:\n(?:.*\n)*?.*in run")
        assert running.ask()[0] == worker
