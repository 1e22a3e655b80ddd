"""A supervisor with real workers: how they start, how they end, and what is said meanwhile."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import picocorn
from harness import SpawnedServer, wait_until
from server.supervising import APPS, READY, supervised

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

END = (
    "Terminated child process [PID]",
    "Waiting for child process [PID]",
    "Shutting down",
    "Waiting for application shutdown.",
    "Application shutdown complete.",
    "Finished server process [PID]",
)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_from_start_to_end(number: signal.Signals) -> None:
    with supervised() as running:
        running.wait_for_workers(2)
        assert running.server.stop(number) == 0
        lines = running.lines
        assert lines[:2] == ["Picocorn running on http://127.0.0.1:PORT (Press CTRL+C to quit)", "Started parent process [PID]"]
        assert Counter(lines[2:8]) == dict.fromkeys(READY, 2)
        assert lines[8] == f"Received {number.name}, exiting."
        assert Counter(lines[9:-1]) == dict.fromkeys(
            ("Terminated child process [PID]", "Waiting for child process [PID]", *END), 2
        )
        assert lines[-1] == "Stopping parent process [PID]"


def test_the_supervisor_does_not_import_the_application() -> None:
    with supervised() as running:
        running.wait_for_workers(2)
        # By another pipe than the log.
        running.server.wait_for("imported by", 2)
        imported = {int(pid) for pid in re.findall(r"imported by (\d+)", running.server.stdout)}
        assert imported == set(running.started)
        assert running.pid not in imported


def test_one_worker_has_a_supervisor_when_asked_for() -> None:
    with supervised(workers=1) as running:
        running.wait_for_workers(1)
        assert running.ask()[0] == running.started[0] != running.pid


def test_number_of_workers_from_the_environment_file(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("WEB_CONCURRENCY=3\nGENERATION=from the file\n")
    with supervised("--env-file", str(path), workers=None) as running:
        running.wait_for_workers(3)
        assert running.ask()[1] == "from the file"
    # The option beats it.
    with supervised("--env-file", str(path), workers=1) as running:
        running.server.wait_for("Started parent process")
        running.wait_for_workers(1)
        assert running.server.stop() == 0
        assert len(running.started) == 1


@pytest.mark.parametrize(
    ("app", "env", "said"),
    [
        ("supervised:nothing", {}, 'Error loading ASGI app. Attribute "nothing" not found in module "supervised".'),
        ("supervised:app", {"FAIL_FILE": __file__}, "Application startup failed. Exiting."),
        ("supervised:app", {"EXIT_AT_IMPORT": "7"}, ""),
        ("supervised:app", {"EXIT_AT_IMPORT": "0"}, "has ended by itself before it was ready"),
    ],
)
def test_workers_that_cannot_start_end_the_supervisor(app: str, env: dict[str, str], said: str) -> None:
    with supervised(app=app, env=env) as running:
        assert running.server.join() == 3
        assert said in running.server.output
        assert "Child process [PID] failed to start, stopping the parent process." in running.lines
        assert running.lines[-1] == "Stopping parent process [PID]"


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, supervised("--port", str(taken.getsockname()[1])) as running:
        assert running.server.join() == 3
        (line,) = running.lines
        assert "address already in use" in line


def test_the_second_interrupt_waits_for_nobody() -> None:
    with supervised() as running:
        client = running.send(b"/wait")
        running.server.send_signal(signal.SIGINT)
        running.server.wait_for("Waiting for connections to close")
        running.server.send_signal(signal.SIGINT)
        assert running.server.join() == 0
        assert client.closed()
        assert f"shut down by {running.started}" not in running.server.stdout


def test_quit_waits_for_nobody() -> None:
    with supervised() as running:
        running.wait_for_workers(2)
        client = running.send(b"/wait")
        assert running.server.stop(signal.SIGQUIT) == 0
        assert client.closed()
        assert "Received SIGQUIT, exiting at once." in running.lines
        assert "shut down by" not in running.server.stdout


def test_quit_ends_a_worker_that_is_stuck() -> None:
    with supervised(workers=1) as running:
        running.send(b"/stuck")
        assert running.server.stop(signal.SIGQUIT) == 0
        assert "Child process [PID] did not end in time. Killing it." in running.lines


def test_a_worker_that_is_stuck_does_not_stop_the_end() -> None:
    with supervised("--timeout-graceful-shutdown", "0.2") as running:
        running.wait_for_workers(2)
        running.send(b"/stuck")
        assert running.server.stop() == 0
        # It has said so itself, and where it was.
        assert "Graceful shutdown did not end in time. Ending the process; its main thread was here:" in running.lines
        assert "in block_the_loop" in running.server.output


def test_a_worker_that_cannot_even_do_that_is_killed() -> None:
    with supervised("--timeout-graceful-shutdown", "0.2", workers=1) as running:
        running.wait_for_workers(1)
        os.kill(running.started[0], signal.SIGSTOP)
        assert running.server.stop() == 0
        assert "Child process [PID] did not end in time. Killing it." in running.lines


def test_workers_notice_that_their_supervisor_is_gone() -> None:
    with supervised() as running:
        running.wait_for_workers(2)
        started = running.started
        running.server.process.kill()
        # The end of the output is the end of all who could write to it.
        assert running.server.join() == -signal.SIGKILL
        running.wait_until_gone(*started)
        assert all(f"shut down by {pid}" in running.server.stdout for pid in started)


def test_workers_that_do_not_serve_yet_notice_as_well() -> None:
    with supervised("--timeout-graceful-shutdown", "0.2", env={"START_SECONDS": "3600"}) as running:
        running.server.wait_for("Waiting for application startup", 2)
        started = running.started
        running.server.process.kill()
        running.server.join()
        running.wait_until_gone(*started)


def test_a_unix_socket_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with supervised("--uds", str(path)) as running:
        running.server.wait_for(re.escape(f"Picocorn running on unix socket {path} (Press CTRL+C to quit)"))
        running.wait_for_workers(2)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")
        assert running.server.stop() == 0
        assert not path.exists()


def test_a_unix_socket_is_removed_by_the_last_worker_of_a_killed_supervisor(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with supervised("--uds", str(path)) as running:
        running.wait_for_workers(2)
        running.server.process.kill()
        running.server.join()
        running.wait_until_gone(*running.started)
        assert not path.exists()


def test_connections_wait_for_the_first_worker() -> None:
    with supervised(env={"START_SECONDS": "1"}) as running:
        running.server.wait_for("running on")
        client = running.server.connect()
        assert "Application startup complete" not in running.server.output
        assert client.request().status == 200


def test_an_inherited_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        saved = os.dup(0)
        os.dup2(listening.fileno(), 0)
        try:
            with supervised("--fd", "0") as running:
                running.wait_for_workers(2)
                with socket.create_connection(listening.getsockname()) as client:
                    client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    assert client.makefile("rb").read().startswith(b"HTTP/1.1 200 OK")
        finally:
            os.dup2(saved, 0)
            os.close(saved)


def test_one_socket_for_each_worker() -> None:
    with supervised("--socket-balance", "reuseport") as running:
        running.wait_for_workers(2)
        # Which one is asked is up to the kernel.
        answered: set[int] = set()
        wait_until(lambda: answered.add(running.ask()[0]) or answered == set(running.started), "both answer")


def test_nothing_of_the_supervisor_is_open_in_what_the_application_runs() -> None:
    with supervised(workers=1) as running:
        running.wait_for_workers(1)
        sockets = [
            entry for entry in Path(f"/proc/{running.started[0]}/fd").iterdir() if str(entry.readlink()).startswith("socket:")
        ]
        flags = [
            int(Path(f"/proc/{running.started[0]}/fdinfo/{entry.name}").read_text().split("flags:")[1].split()[0], 8)
            for entry in sockets
        ]
        assert sockets
        assert all(flag & os.O_CLOEXEC for flag in flags)


@contextlib.contextmanager
def program(folder: Path, text: str) -> Iterator[SpawnedServer]:
    """A program of somebody's that imports us."""
    path = folder / "program.py"
    path.write_text(text)
    source = str(Path(picocorn.__file__).parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((source, str(APPS)))}
    server = SpawnedServer([sys.executable, str(path)], APPS, environment)
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        server.process.kill()
        server.join()


def test_a_program_that_runs_workers_as_soon_as_it_is_imported(tmp_path: Path) -> None:
    """Each worker imports it, as is the way of spawn: what would start a server in them does nothing."""
    text = "import picocorn\npicocorn.run('supervised:app', workers=2, port=0, app_dir='.')\nprint('after run', flush=True)\n"
    with program(tmp_path, text) as server:
        server.wait_for("Application startup complete", 2)
        server.wait_for("after run", 2)
        assert server.stop() == 0
        assert server.stdout.count("after run") == 3
        assert server.output.count("Started parent process") == 1


def test_a_program_that_asks_for_one_worker_is_it(tmp_path: Path) -> None:
    text = "import picocorn\nif __name__ == '__main__':\n    picocorn.run('supervised:app', workers=1, port=0, app_dir='.')\n"
    with program(tmp_path, text) as server:
        pid = server.process.pid
        server.wait_for(rf"Started server process \[{pid}\]")
        server.wait_for("running on")
        assert server.stop() == -signal.SIGTERM


def test_an_application_that_is_no_import_string(tmp_path: Path) -> None:
    text = "import picocorn\nasync def app(*args): ...\nif __name__ == '__main__':\n    picocorn.run(app, workers=2)\n"
    with program(tmp_path, text) as server:
        assert server.join() == 3
        assert "You must pass the application as an import string to enable 'reload' or 'workers'." in server.output


def test_a_program_with_a_run_of_its_own(tmp_path: Path) -> None:
    text = (
        "import picocorn\nfrom picocorn.supervisors import Multiprocess\n"
        "if __name__ == '__main__':\n"
        "    config = picocorn.Config('supervised:app', workers=2, port=0)\n"
        "    Multiprocess(config, sockets=[config.bind_socket()]).run()\n"
    )
    with program(tmp_path, text) as server:
        server.wait_for("Application startup complete", 2)
        with server.connect() as client:
            assert client.request().status == 200
        assert server.output.count("running on") == 1
        server.send_signal(signal.SIGHUP)
        server.wait_for("Finished server process", 2)
        assert server.stop() == 0
