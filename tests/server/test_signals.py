"""Signals to real processes: what is said, what is finished, what is ended, and the exit code."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from harness import SpawnedServer, spawned
from raw_client import get

APPS = Path(__file__).parent / "apps"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(params=["uvloop", "asyncio"])
def loop(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    return request.param


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def serve(app: str, *options: str, **kwargs: object) -> object:
    return spawned(f"signalled:{app}", "--app-dir", str(APPS), *options, **kwargs)  # type: ignore[arg-type]


def lines(server: SpawnedServer) -> list[str]:
    """What the server itself has said, without process ids and port."""
    said = re.findall(r"^(?:INFO|WARNING|ERROR|CRITICAL): +(.*)$", server.output, re.MULTILINE)
    return [re.sub(r"\[\d+\]", "[PID]", re.sub(r":\d+ \(", ":PORT (", line)) for line in said]


START = [
    "Started server process [PID]",
    "Waiting for application startup.",
    "Application startup complete.",
    "Picocorn running on http://127.0.0.1:PORT (Press CTRL+C to quit)",
]
END = ["Waiting for application shutdown.", "Application shutdown complete.", "Finished server process [PID]"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 0)])
def test_an_idle_server(number: int, code: int, loop: str) -> None:
    with serve("app", "--loop", loop) as server:
        idle = server.connect()
        assert idle.request().body == b"ok"
        assert server.stop(number) == code
        assert idle.read_to_end() == b""
        assert [line for line in lines(server) if "GET /" not in line] == [*START, "Shutting down", *END]
        assert re.search(r'^INFO: {5}127\.0\.0\.1:\d+ - "GET / HTTP/1\.1" 200 OK$', server.stdout, re.MULTILINE)
        assert server.stdout.splitlines()[-1] == "lifespan.shutdown"


def test_a_signal_that_is_not_handled(loop: str) -> None:
    with serve("app", "--loop", loop) as server:
        assert server.port
        assert server.stop(signal.SIGHUP) == -signal.SIGHUP
        assert lines(server) == START


def test_what_runs_is_finished(gate: Path, twin: str, loop: str) -> None:
    with serve("app", "--loop", loop, "--http", twin, env={"GATE": str(gate)}) as server:
        busy = server.connect()
        busy.send(get(b"/slow"))
        server.wait_for("(?m)^slow$")
        server.send_signal(signal.SIGTERM)
        server.wait_for("Waiting for connections to close")
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        with open(gate, "w"):
            pass
        response = busy.response()
        assert (response.body, response.get(b"connection")) == (b"finished", b"close")
        assert busy.read_to_end() == b""
        assert server.join() == -signal.SIGTERM
        said = [line for line in lines(server) if "GET /" not in line]
        assert said == [*START, "Shutting down", "Waiting for connections to close. (CTRL+C to force quit)", *END]


def test_who_waits_for_the_client_is_told(twin: str) -> None:
    with serve("app", "--http", twin, "--timeout-graceful-shutdown", "0.2") as server:
        server.connect().send(get(b"/wait"))
        server.wait_for("(?m)^waiting$")
        assert server.stop() == -signal.SIGTERM
        assert server.stdout.splitlines()[-2:] == ["disconnected", "lifespan.shutdown"]
        assert "timeout graceful shutdown exceeded" not in server.output


def test_who_goes_on_is_cancelled(twin: str, loop: str) -> None:
    with serve("app", "--http", twin, "--loop", loop, "--timeout-graceful-shutdown", "0.2") as server:
        server.connect().send(get(b"/sleep"))
        server.wait_for("(?m)^sleeping$")
        assert server.stop() == -signal.SIGTERM
        assert server.stdout.splitlines()[-2:] == [
            "cancelled: Task cancelled, timeout graceful shutdown exceeded",
            "lifespan.shutdown",
        ]
        assert "Cancel 1 running task(s), timeout graceful shutdown exceeded" in lines(server)


def test_who_swallows_cancellation_is_left_behind(loop: str) -> None:
    with serve("app", "--loop", loop, "--timeout-graceful-shutdown", "0.2") as server:
        server.connect().send(get(b"/stubborn"))
        server.wait_for("(?m)^stubborn$")
        assert server.stop() == -signal.SIGTERM
        assert "1 task(s) did not end when they were cancelled" in lines(server)
        assert "lifespan.shutdown" in server.stdout


def test_who_blocks_the_loop_does_not_stop_the_end(loop: str) -> None:
    # Each signal with one loop: the watchdog knows neither.
    number = signal.SIGTERM if loop == "asyncio" else signal.SIGINT
    with serve("app", "--loop", loop, "--timeout-graceful-shutdown", "0.2") as server:
        server.connect().send(get(b"/block"))
        server.wait_for("(?m)^blocking$")
        assert server.stop(number) == -number
        assert "Graceful shutdown did not end in time. Ending the process; its main thread was here:" in lines(server)
        assert "time.sleep(3600)" in server.output


def test_a_shutdown_of_the_application_that_never_ends() -> None:
    with serve("never_ends", "--timeout-graceful-shutdown", "0.2") as server:
        assert server.port
        assert server.stop() == -signal.SIGTERM
        assert "stuck in shutdown" in server.stdout
        assert any("The application's shutdown did not end in time." in line for line in lines(server))


def test_a_second_interrupt_forces_the_end(loop: str) -> None:
    with serve("app", "--loop", loop, "--timeout-graceful-shutdown", "0") as server:
        server.connect().send(get(b"/sleep"))
        server.wait_for("(?m)^sleeping$")
        server.send_signal(signal.SIGINT)
        server.wait_for("Waiting for connections to close")
        server.send_signal(signal.SIGINT)
        assert server.join() == 0
        # The application's shutdown is left out.
        assert "lifespan.shutdown" not in server.stdout
        assert lines(server)[-1] == "Finished server process [PID]"
        assert "Traceback" not in server.output


def test_a_second_term_does_not_force_it(gate: Path) -> None:
    with serve("app", env={"GATE": str(gate)}) as server:
        busy = server.connect()
        busy.send(get(b"/slow"))
        server.wait_for("(?m)^slow$")
        server.send_signal(signal.SIGTERM)
        server.wait_for("Waiting for connections to close")
        server.send_signal(signal.SIGTERM)
        with open(gate, "w"):
            pass
        assert busy.response().body == b"finished"
        assert server.join() == -signal.SIGTERM


def test_a_signal_during_startup(gate: Path) -> None:
    with serve("starts_slowly", "--port", "0", env={"GATE": str(gate)}) as server:
        server.wait_for("(?m)^starting$")
        server.send_signal(signal.SIGTERM)
        with open(gate, "w"):
            pass
        assert server.join() == -signal.SIGTERM
        # It finishes its start, then ends in order.
        assert lines(server)[-len(END) :] == END
        assert server.stdout.splitlines()[-1] == "lifespan.shutdown"


def test_output_in_buffers_is_not_lost() -> None:
    # A process that a signal ends does not flush by itself, and a pipe is buffered in blocks.
    code = (
        "async def app(scope, receive, send):\n"
        "    await receive(); await send({'type': 'lifespan.startup.complete'})\n"
        "    await receive(); await send({'type': 'lifespan.shutdown.complete'})\n"
        "    print('last words')\n"
    )
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "talks.py").write_text(code)
        with spawned("talks:app", "--app-dir", folder) as server:
            assert server.port
            server.stop()
            assert "last words" in server.stdout
