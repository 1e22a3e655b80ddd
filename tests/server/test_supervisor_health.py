"""Workers that crash, hang, reach their limits or leave: how a supervisor deals with them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import picocorn
from harness import SpawnedServer, wait_until
from server.supervising import APPS, Supervised, gate, supervised

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")


def test_a_crashed_worker_is_replaced_at_once_and_then_less_quickly() -> None:
    with supervised(workers=1) as running:
        running.wait_for_workers(1)
        running.send(b"/exit").closed()
        running.wait_for_workers(2)
        assert "Child process [PID] died" in running.lines
        assert "soon after they have started" not in running.server.output
        running.send(b"/exit").closed()
        running.wait_for_workers(3)
        assert "Child processes end soon after they have started. Starting the next one in 0.5 seconds." in running.lines
        running.wait_until_gone(*running.started[:2])
        running.wait_for_no_zombies()
        assert running.ask()[0] == running.started[2]
        assert running.server.stop() == 0


def test_what_has_ended_a_worker_is_told() -> None:
    with supervised() as running:
        running.wait_for_workers(2)
        os.kill(running.started[0], signal.SIGKILL)
        running.wait_for_workers(3)
        place = running.lines.index("Child process [PID] died")
        assert running.lines[place - 1] == "Child process [PID] was ended by SIGKILL."


def test_a_worker_that_cannot_start_later_does_not_end_the_supervisor(tmp_path: Path) -> None:
    path, pidfile = tmp_path / "fail", tmp_path / "pid"
    with supervised("--pidfile", str(pidfile), env={"FAIL_FILE": str(path)}) as running:
        running.wait_for_workers(2)
        # What workers log comes a little before what they tell the supervisor.
        wait_until(pidfile.exists, "the supervisor knows that both are ready")
        path.touch()
        os.kill(running.started[0], signal.SIGKILL)
        running.server.wait_for("Application startup failed")
        running.server.wait_for("Starting the next one in")
        # The other one serves.
        assert running.ask()[0] == running.started[1]
        path.unlink()
        running.wait_for_workers(3)


def test_a_worker_that_somebody_else_has_told_to_end_is_replaced_meanwhile(tmp_path: Path) -> None:
    with gate(tmp_path) as (path, open_gate), supervised(workers=1, env={"GATE": str(path)}) as running:
        client = running.send(b"/slow")
        os.kill(running.started[0], signal.SIGTERM)
        running.server.wait_for("Shutting down")
        # There is another one while the first still waits for its request.
        running.wait_for_workers(2)
        assert running.ask()[0] == running.started[1]
        assert not client.has_input()
        open_gate()
        assert client.response().body == f"{running.started[0]} ".encode()
        running.wait_until_gone(running.started[0])
        assert "died" not in running.server.output


def test_a_hung_worker_is_replaced_and_tells_where_it_was() -> None:
    with supervised("--timeout-worker-hung", "0.5", workers=1) as running:
        client = running.send(b"/stuck")
        said = running.server.wait_for(r"Child process \[(\d+)\] has not answered for .* seconds\. Replacing it\.")
        assert int(said[1]) == running.started[0]
        assert client.closed()
        running.wait_for_workers(2)
        assert running.ask()[0] == running.started[1]
        stack = running.server.output.split("was here:\n", 1)[1]
        assert "in block_the_loop" in stack.split("INFO:")[0]
        running.wait_for_no_zombies()


def test_a_blocked_worker_is_told_of_and_stays() -> None:
    with supervised("--timeout-worker-healthcheck", "0.3", workers=1) as running:
        client = running.send(b"/block")
        running.server.wait_for(r"Child process \[\d+\] has not answered for .* seconds: its event loop is blocked\.")
        running.server.wait_for(r"Child process \[\d+\] answers again, after .* seconds\.")
        assert client.response().status == 200
        assert running.ask()[0] == running.started[0]


def test_a_start_that_blocks_the_loop_is_no_reason_to_worry() -> None:
    options = ("--timeout-worker-healthcheck", "0.2", "--timeout-worker-hung", "0.4")
    with supervised(*options, workers=1, env={"START_SECONDS": "1"}) as running:
        running.wait_for_workers(1)
        running.ask()
        assert "has not answered" not in running.server.output


@pytest.mark.parametrize(
    ("options", "target", "why"),
    [
        (("--limit-max-requests", "3"), b"/", "Maximum request limit of 3 exceeded. Terminating process."),
        (("--limit-worker-lifetime", "0.5"), b"/", "Maximum lifetime of 0.5 seconds exceeded. Terminating process."),
        (("--limit-worker-rss", "64m"), b"/grow", "Maximum resident memory of 67108864 bytes exceeded: it is "),
    ],
)
def test_a_worker_that_has_done_enough_is_replaced(options: tuple[str, ...], target: bytes, why: str) -> None:
    with supervised(*options, workers=1) as running:
        running.wait_for_workers(1)
        kept = running.connect()
        first = running.started[0]
        answers = [kept.request(target) for _ in range(3)]
        assert all(answer.body == f"{first} ".encode() for answer in answers)
        running.server.wait_for("WARNING: +" + why.replace(".", r"\."))
        running.wait_for_workers(2)
        running.server.wait_for(rf"Terminated child process \[{first}\]")
        # Its connections are told before they are closed.
        running.server.wait_for("Shutting down")
        answer = kept.request(b"/")
        assert (answer.body, answer.get(b"connection")) == (f"{first} ".encode(), b"close")
        running.wait_until_gone(first)
        wait_until(lambda: running.ask()[0] != first, "another one answers")
        running.wait_for_no_zombies()
        assert running.server.stop() == 0


def test_workers_that_wind_up_by_themselves_over_and_over_back_off() -> None:
    """As when the application ends its process once it has started."""
    with supervised(workers=1) as running:
        for count in (1, 2):
            running.wait_for_workers(count)
            os.kill(running.started[-1], signal.SIGTERM)
        running.server.wait_for("Starting the next one in 0.5 seconds.")
        running.wait_for_workers(3)
        assert running.ask()[0] == running.started[2]
        running.wait_for_no_zombies()
        assert running.server.stop() == 0


def test_a_limit_of_workers_asks_for_a_supervisor() -> None:
    with supervised("--limit-worker-lifetime", "3600", workers=None) as running:
        running.server.wait_for("Started parent process")
        assert running.ask()[0] != running.pid


def test_times_may_be_longer_than_the_system_waits_for() -> None:
    """epoll_wait(2) takes milliseconds as an int: 24 days."""
    with supervised("--timeout-worker-healthcheck", "0", "--timeout-worker-hung", "9999999", workers=1) as running:
        running.wait_for_workers(1)
        running.ask()
        assert running.server.stop() == 0


def as_process_one() -> tuple[str, ...]:
    """How to run a command as process 1, if we may."""
    command = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
    allowed = shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True, check=False).returncode == 0
    return command if allowed else ()


def test_as_process_one_it_waits_for_orphans(tmp_path: Path) -> None:
    command = as_process_one()
    if not command:
        pytest.skip("namespaces are not ours to make")
    environment = {**os.environ, "GATE": str(tmp_path / "gate"), "PYTHONPATH": str(Path(picocorn.__file__).parent.parent)}
    serve = (sys.executable, "-m", "picocorn", "supervised:app", "--app-dir", str(APPS), "--workers", "1")
    bind = ("--bind", "127.0.0.1:0", "--bind", f"unix:{tmp_path / 's'}")
    with gate(tmp_path) as (_path, open_gate):
        server = SpawnedServer([*command, *serve, *bind], None, environment)
        try:
            running = Supervised(server)
            server.wait_for(r"Started parent process \[1\]")
            running.pid = int(Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text())
            running.send(b"/orphan").response()
            server.wait_for("orphan ")
            children = Path(f"/proc/{running.pid}/task/{running.pid}/children")
            before = set(children.read_text().split())
            open_gate()
            # Nobody else is there to do it: it would be a zombie for ever.
            wait_until(lambda: len(before - set(children.read_text().split())) == 1, "the orphan was waited for")
            os.kill(running.pid, signal.SIGTERM)
            assert server.join() == 0
            # It has no parent: not even one that it could take for a server which goes on.
            assert not (tmp_path / "s").exists()
        finally:
            for client in server.clients:
                client.close()
            server.process.kill()
            server.join()
