"""The load generator counts what was right and names what was not; it compiles without a warning."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from faulty_websocket import MISTAKES, STALE, UNUSUAL, serving
from websocket_echo import echoing

import environment
import websocket_generator
from failure import BenchFailure
from process import Server, free_port
from websocket_generator import Generator, arguments
from websocket_verify import check
from workloads import WEBSOCKET_WORKLOADS, WebSocketWorkload, pattern, text
from wrk import Load

STRICT = ("-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover")
WORKLOADS = {workload.name: workload for workload in WEBSOCKET_WORKLOADS}
NO_ERRORS = dict.fromkeys(("connect", "handshake", "protocol", "content", "close", "timeout"), 0)

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="no C compiler")
pytestmark = needs_compiler


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the generator is, and can compress."""
    made: Path = tmp_path_factory.mktemp("generator")
    _, error = environment.compile_program(environment.GENERATOR, made, ("-DWITH_ZLIB", *STRICT, "-lz"))
    assert error is None
    return made


def run(folder: Path, port: int, message: bytes, *options: str) -> dict[str, Any]:
    """What one run prints, all its lines in one."""
    (folder / "message").write_bytes(message)
    command = [
        folder / environment.GENERATOR,
        "--port",
        str(port),
        "--message",
        folder / "message",
        "--patience",
        "20",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    printed: dict[str, Any] = {}
    for line in done.stdout.splitlines():
        printed.update(json.loads(line))
    return printed


def echo(folder: Path, port: int, message: bytes, *options: str) -> dict[str, Any]:
    return run(folder, port, message, "--mode", "echo", "--seconds", "0.1", *options)


def test_both_programs_compile_without_zlib_and_without_warnings(tmp_path: Path) -> None:
    for program in (environment.GENERATOR, "websocket_floor"):
        assert environment.compile_program(program, tmp_path, STRICT)[1] is None
    command = [tmp_path / environment.GENERATOR, "--port", "1", "--mode", "echo", "--message", "/dev/null", "--deflate"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "websocket_load: --deflate: built without zlib\n")


def test_what_does_not_compile_has_a_reason(tmp_path: Path) -> None:
    assert "error" in str(environment.compile_program("floor", tmp_path, ("-lno-such-library",))[1])


@pytest.mark.parametrize(
    ("message", "options"),
    [
        (b"", ("--sockets", "2")),
        (b"hello", ("--sockets", "2")),
        (text(125), ("--sockets", "3")),
        (text(126), ("--sockets", "3", "--depth", "16")),
        (pattern(65535), ("--binary", "--sockets", "2")),
        (pattern(65536), ("--binary", "--sockets", "2", "--depth", "2")),
        (pattern(1 << 20), ("--binary", "--sockets", "1")),
    ],
    ids=lambda value: " ".join(value).replace("--", "") if isinstance(value, tuple) else str(len(value)),
)
def test_echoes_are_counted(folder: Path, message: bytes, options: tuple[str, ...]) -> None:
    with echoing() as port:
        printed = echo(folder, port, message, *options)
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert printed["opened"] == int(options[options.index("--sockets") + 1])
    assert printed["messages"] >= printed["opened"]
    assert printed["per_second"] == pytest.approx(printed["messages"] / printed["seconds"], rel=1e-3)
    assert 0 < printed["p50_us"] <= printed["p99_us"] <= printed["max_us"]


def test_compressed_echoes(folder: Path) -> None:
    with echoing(deflate=True) as port:
        printed = echo(folder, port, text(1024), "--deflate", "--sockets", "2")
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert printed["messages"] > 1


@pytest.mark.parametrize("deflate", [False, True])
def test_messages_take_turns(folder: Path, deflate: bool) -> None:
    with echoing(deflate=deflate) as port:
        printed = echo(folder, port, text(4096), "--pieces", "64", "--depth", "64", "--sockets", "1", *["--deflate"] * deflate)
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert printed["messages"] >= 64


def test_compression_that_is_declined(folder: Path) -> None:
    with echoing() as port:
        printed = echo(folder, port, text(1024), "--deflate", "--sockets", "2")
    assert (printed["errors"]["handshake"], printed["first_error"]) == (2, "declines permessage-deflate")


def test_every_delivery_of_a_broadcast_is_counted(folder: Path) -> None:
    with echoing(room=6) as port:
        printed = run(folder, port, text(64), "--mode", "broadcast", "--sockets", "6", "--seconds", "0.1", "--depth", "2")
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert printed["messages"] >= 10
    assert printed["messages"] % 5 == 0


def test_a_broadcast_that_comes_back_to_its_sender(folder: Path) -> None:
    with echoing() as port:
        printed = run(folder, port, text(64), "--mode", "broadcast", "--sockets", "3")
    assert (printed["errors"]["protocol"], printed["first_error"]) == (1, "a message that nobody has sent")


def test_whole_connections_are_counted(folder: Path) -> None:
    with echoing() as port:
        printed = run(folder, port, text(64), "--mode", "churn", "--sockets", "2", "--seconds", "0.1")
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert printed["messages"] >= 2


def test_sockets_that_rest_answer_once(folder: Path) -> None:
    with echoing() as port:
        printed = run(folder, port, text(64), "--mode", "idle", "--sockets", "20")
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert (printed["opened"], printed["messages"]) == (20, 20)


@pytest.mark.parametrize("manner", UNUSUAL)
def test_what_is_unusual_is_right(folder: Path, manner: str) -> None:
    with serving(manner) as port:
        printed = echo(folder, port, text(64), "--sockets", "2")
    assert printed["errors"] == NO_ERRORS, printed["first_error"]
    assert printed["messages"] >= 2


@pytest.mark.parametrize("mode", ["echo", "churn"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(folder: Path, mistake: str, mode: str) -> None:
    kind, what, _ = MISTAKES[mistake]
    with serving(mistake) as port:
        # Short only where nothing else ends the wait: what is slow for being crowded is no mistake.
        patience = ("--patience", "0.2") if kind == "timeout" else ()
        printed = run(folder, port, text(64), "--mode", mode, "--sockets", "2", "--seconds", "0.05", *patience)
    assert printed["errors"] == {**NO_ERRORS, kind: 2}
    # A connection is one thing to wait for, be it for its answer, its close frame or its end.
    assert ("no answer within 0.2 s" if (mode, kind) == ("churn", "timeout") else what) in printed["first_error"]


def test_an_answer_to_an_earlier_message(folder: Path) -> None:
    with serving(STALE) as port:
        printed = echo(folder, port, text(64), "--sockets", "1")
    assert (printed["errors"]["content"], printed["first_error"]) == (1, "message 1 is not what was sent")
    assert printed["messages"] == 1


def test_nobody_there(folder: Path) -> None:
    with echoing() as port:
        pass
    printed = echo(folder, port, text(64), "--sockets", "3")
    assert (printed["opened"], printed["errors"]["connect"]) == (0, 3)
    assert "refused" in printed["first_error"]


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--mode", "echo", "--message", "/dev/null"), "--port is missing"),
        (("--port", "1", "--mode", "dance", "--message", "/dev/null"), "--mode is none of"),
        (("--port", "1", "--mode", "echo", "--message", "/no/such/file"), "no file that can be read"),
        (("--port", "1", "--mode", "echo", "--message", "/dev/null", "--depth", "65"), "--depth has to be"),
        (("--port", "1", "--mode", "churn", "--message", "/dev/null", "--depth", "2"), "--depth is for echo"),
        (("--port", "1", "--mode", "echo", "--message", __file__, "--pieces", "0"), "--pieces does not divide"),
        (("--port", "1", "--mode", "broadcast", "--message", "/dev/null", "--sockets", "1"), "--sockets is too small"),
        (("--port", "1", "--mode", "echo", "--message", "/dev/null", "more"), "takes options only"),
    ],
)
def test_what_cannot_be_run(folder: Path, options: tuple[str, ...], reason: str) -> None:
    done = subprocess.run([folder / environment.GENERATOR, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert reason in done.stderr


# --- as the suite runs it ------------------------------------------------------------------------------------------------


@pytest.fixture
def compiled(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(websocket_generator, "program", lambda: folder / environment.GENERATOR)
    return folder


needs_taskset = pytest.mark.skipif(shutil.which("taskset") is None, reason="the generator is started with taskset")


def generator(port: int, workload: WebSocketWorkload, folder: Path) -> Generator:
    return Generator(port, workload, 0.1, 0, folder)


def play(running: Generator) -> Load:
    running.await_open()
    load = running.load()
    running.finish()
    return load


@needs_taskset
def test_a_run_step_by_step(compiled: Path) -> None:
    with echoing() as port, generator(port, WORKLOADS["ws-echo-64"], compiled) as running:
        load = play(running)
    assert load.requests >= 32


@needs_taskset
@pytest.mark.parametrize("mistake", ["refuses", "keeps silent", "changes a byte", "does not end"])
def test_a_mistake_is_a_failure(compiled: Path, mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(*told: Any) -> list[str]:
        return [*arguments(*told), "--patience", "0.2"]

    monkeypatch.setattr(websocket_generator, "arguments", impatient)
    workload = WebSocketWorkload("x", "x", text(64), sockets=2)
    with serving(mistake) as port, generator(port, workload, compiled) as running, pytest.raises(BenchFailure) as failure:
        play(running)
    assert MISTAKES[mistake][1] in str(failure.value)


@needs_taskset
def test_what_cannot_be_run_is_a_failure(compiled: Path) -> None:
    workload = WebSocketWorkload("x", "x", text(64), depth=65)
    with generator(1, workload, compiled) as running, pytest.raises(BenchFailure, match=r"ends with 2: .*--depth has to be"):
        running.await_open()


@pytest.mark.skipif(shutil.which("setpriv") is None, reason="servers are started with setpriv")
def test_the_floor_echoes_as_a_server_should(tmp_path: Path) -> None:
    program, error = environment.compile_program("websocket_floor", tmp_path, STRICT)
    assert error is None
    port = free_port()
    log = tmp_path / "log"
    floor = Server([str(program), str(port)], port, core=None, log=log, folder=tmp_path, env={})
    try:
        floor.await_start()
        for workload in WEBSOCKET_WORKLOADS:
            if workload.floor:
                assert check(port, workload) == ""
    finally:
        floor.stop()
    assert log.read_text() == ""
