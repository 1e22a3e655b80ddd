"""A reloader as its user meets it: a tree of files that is edited, a process, sockets."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import SpawnedServer, spawned, wait_until
from raw_client import Client
from server.supervising import is_gone

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")

#: Answers with the text of `answer.py`, and does what keeps a server from ending.
APP = """
import asyncio
import sys
from answer import ANSWER

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()
    elif scope["path"] == "/never":
        while True:
            pass
    else:
        streams = scope["path"] == "/stream"
        body = sys.stdin.readline() if scope["path"] == "/stdin" else ANSWER
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body.encode(), "more_body": streams})
        while streams:
            await asyncio.sleep(0.05)
            await send({"type": "http.response.body", "body": b"data", "more_body": True})
"""
WEBSOCKET = (
    b"Connection: Upgrade",
    b"Upgrade: websocket",
    b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: " + b"A" * 22 + b"==",
)


class Project:
    """A tree of files, and what serves it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.server: SpawnedServer
        self.write("main.py", APP)
        self.answer("first")

    def write(self, name: str, text: str) -> None:
        """As editors do it, so that nobody reads half of it."""
        temporary = self.root / f".{name}.tmp"
        temporary.write_text(text)
        os.replace(temporary, self.root / name)

    def answer(self, text: str) -> None:
        self.write("answer.py", f"ANSWER = {text!r}\n")

    @property
    def lines(self) -> list[str]:
        """What was logged, without process ids and port."""
        said = re.findall(r"^(?:INFO|WARNING|ERROR|CRITICAL): +(.*)$", self.server.output, re.MULTILINE)
        return [re.sub(r"\[\d+\]", "[PID]", re.sub(r":\d+ \(", ":PORT (", line)) for line in said]

    @property
    def children(self) -> list[int]:
        """Process ids of the application's processes that have begun to start, in their order."""
        return [int(pid) for pid in re.findall(r"Started server process \[(\d+)\]", self.server.output)]

    def wait_for_starts(self, count: int) -> None:
        """Until so many processes have got ready, counted from the start."""
        self.server.wait_for("Application startup complete", count)

    def ask(self, target: bytes = b"/") -> str:
        """The answer: of the process that serves, or of the next one."""
        client = self.server.connect()
        return client.request(target, b"Connection: close").body.decode()

    def hold(self, target: bytes, *fields: bytes) -> Client:
        """A connection of which the head of an answer has come."""
        client = self.server.connect()
        client.send(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(field + b"\r\n" for field in fields) + b"\r\n")
        client.read_until(b"\r\n\r\n")
        return client

    def ends(self, number: int) -> None:
        """It does, with everything that belongs to it."""
        assert self.server.stop(number) == 0
        assert self.lines[-1] == "Stopping reloader process [PID]"
        assert all(is_gone(pid) for pid in self.children)


def is_at_work(pid: int) -> bool:
    """Whether there is such a process, and it neither sleeps nor waits for anything."""
    try:
        return "R" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2][:3]
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def reloading(project: Project, *options: str, watchfiles: bool = True) -> Iterator[Project]:
    hidden = project.root.parent / "hidden"
    hidden.mkdir(exist_ok=True)
    (hidden / "watchfiles.py").write_text("raise ImportError")
    env = {"WEB_CONCURRENCY": "", "PYTHONPATH": "" if watchfiles else str(hidden)}
    with spawned("main:app", "--reload", "--reload-delay", "0.1", *options, cwd=project.root, env=env) as project.server:
        try:
            yield project
        finally:
            # A killed reloader would leave the application to itself, if not for long.
            if project.server.process.poll() is None:
                project.server.stop()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "project"
    root.mkdir()
    return Project(root)


def test_a_day_at_work(project: Project) -> None:
    with reloading(project):
        assert project.ask() == "first"
        assert project.lines[:6] == [
            f"Will watch for changes in these directories: ['{project.root}']",
            "Picocorn running on http://127.0.0.1:PORT (Press CTRL+C to quit)",
            "Started reloader process [PID] using WatchFiles",
            "Started server process [PID]",
            "Waiting for application startup.",
            "Application startup complete.",
        ]
        # Neither a stream nor a WebSocket holds it up.
        stream, websocket = project.hold(b"/stream"), project.hold(b"/", *WEBSOCKET)
        project.answer("second")
        project.wait_for_starts(2)
        assert project.ask() == "second"
        assert "WatchFiles detected changes in 'answer.py'. Reloading..." in project.lines
        # 1012, and the stream has no end that could be taken for its last chunk.
        assert websocket.read_to_end()[:4] == b"\x88\x02\x03\xf4"
        assert not stream.read_to_end().endswith(b"0\r\n\r\n")
        # A mistake, which requests outlast: who comes meanwhile waits for the one that works.
        project.write("main.py", APP + "def (\n")
        project.server.wait_for("Waiting for changes to start it again")
        assert 'Error loading ASGI app. "main:app" raised SyntaxError.' in project.lines
        assert "Child process [PID] could not start: exit code 3." in project.lines
        client = project.server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        (project.root / "main.py").unlink()
        project.server.wait_for("Could not import module", 1)
        project.write("main.py", APP)
        assert client.response().body == b"second"
        # An application that never gives the event loop back says where it was.
        stuck = project.server.connect()
        stuck.send(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
        # Its first line may be read later than its first answer.
        wait_until(lambda: is_at_work(project.children[-1]), "the application runs")
        project.answer("third")
        project.server.wait_for("did not end in time. Killing it")
        assert project.ask() == "third"
        assert re.search(r'main.py", line \d+ in app', project.server.output)
        project.ends(signal.SIGTERM)


def test_the_first_start_fails_without_watchfiles(project: Project) -> None:
    project.write("answer.py", "import nothing_of_that_name\n")
    with reloading(project, "--workers", "2", watchfiles=False):
        project.server.wait_for("Waiting for changes to start it again")
        assert "Started reloader process [PID] using StatReload" in project.lines
        assert '"workers" flag is ignored when reloading is enabled.' in project.lines
        assert "No module named 'nothing_of_that_name'" in project.server.output
        project.answer("found")
        assert project.ask() == "found"
        assert "StatReload detected changes in 'answer.py'. Reloading..." in project.lines
        project.write("answer.py", "import nothing_of_that_name\n")
        project.server.wait_for("Waiting for changes to start it again", 2)
        project.ends(signal.SIGINT)


def test_the_end_comes_while_it_starts(project: Project) -> None:
    gate = project.root / "gate"
    os.mkfifo(gate)
    project.write("answer.py", "ANSWER = open('gate').read()\n")
    with reloading(project):
        # Opened for writing as soon as somebody reads: the application is being imported, and stays there.
        writer = os.open(gate, os.O_WRONLY)
        # An edit meanwhile is not waited for either.
        project.write("answer.py", "print('imported', flush=True)\nANSWER = open('gate').read()\n")
        project.server.wait_for("imported")
        project.ends(signal.SIGTERM)
        os.close(writer)


def test_a_taken_port_and_a_closed_terminal(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, reloading(project, "--port", str(taken.getsockname()[1])):
        assert project.server.join() == 3
        assert "address already in use" in project.server.output
    with reloading(project, "--uds", "socket"):
        project.wait_for_starts(1)
        assert project.server.stop(signal.SIGHUP) == -signal.SIGHUP
        assert all(is_gone(pid) for pid in project.children)
        assert not (project.root / "socket").exists()


def test_a_killed_reloader_leaves_nobody(project: Project) -> None:
    with reloading(project):
        client = project.hold(b"/stream")
        project.server.process.kill()
        project.server.join()
        wait_until(lambda: all(is_gone(pid) for pid in project.children), "the application has ended")
        client.read_to_end()


def test_a_child_that_ends_by_itself(project: Project) -> None:
    project.write("answer.py", "import os\nclass ANSWER:\n    encode = staticmethod(lambda: os._exit(5))\n")
    with reloading(project, "--limit-max-requests", "1"):
        client = project.server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        project.server.wait_for("Waiting for changes to start it again")
        assert "Child process [PID] has ended, with exit code 5." in project.lines
        project.answer("better")
        assert project.ask() == "better"
        # It has reached its limit: the next one takes its place.
        project.wait_for_starts(3)
        assert project.ask() == "better"
        project.ends(signal.SIGTERM)


def test_files_that_the_server_reads(project: Project) -> None:
    outside = project.root.parent
    (outside / "env").write_text("GREETING=hello\n")
    (outside / "picocorn.toml").write_text("")
    project.write("answer.py", "import os\nANSWER = os.environ.get('GREETING', 'nothing')\n")
    with reloading(project, "--config", str(outside / "picocorn.toml")):
        assert project.ask() == "nothing"
        # It says from now on that there is another file to look after.
        (outside / "picocorn.toml").write_text('env-file = "env"\n')
        project.wait_for_starts(2)
        assert project.ask() == "hello"
        (outside / "env").write_text("GREETING=good morning\n")
        project.wait_for_starts(3)
        assert project.ask() == "good morning"
        assert f"WatchFiles detected changes in '{outside / 'env'}'. Reloading..." in project.lines
        # A mistake: what was read before holds.
        (outside / "picocorn.toml").write_text("env-file = 1\n")
        project.server.wait_for("Going on with what was read before")
        assert project.ask() == "good morning"
        project.ends(signal.SIGTERM)


PROGRAM = """
import os
import picocorn
from picocorn.supervisors import ChangeReload

class Mine(picocorn.Server):
    def run(self, sockets=None):
        print("mine runs", flush=True)
        super().run(sockets)

if __name__ == "__main__":
    reader, writer = os.pipe()
    os.write(writer, b"typed\\n")
    os.dup2(reader, 0)
    config = picocorn.Config("main:app", port=0, reload=True, timeout_graceful_shutdown=1)
    ChangeReload(config, target=Mine(config).run, sockets=[config.bind_socket()]).run()
"""


def test_a_script_that_runs_itself(project: Project) -> None:
    script = "import picocorn\nfrom main import app\npicocorn.run('serve:app', reload=True, port=0)\n"
    project.write("serve.py", script)
    with spawned("unused", cwd=project.root, run=("serve.py",), anywhere=False) as project.server:
        assert project.ask() == "first"
        project.write("serve.py", script + ")")
        project.server.wait_for("Waiting for changes to start it again")
        assert "SyntaxError: unmatched ')'" in project.server.output
        project.write("serve.py", script)
        assert project.ask() == "first"
        assert project.server.output.count("Started reloader process") == 1
        project.ends(signal.SIGTERM)


def test_a_program_with_a_server_of_its_own(project: Project) -> None:
    project.write("serve.py", PROGRAM)
    with spawned("unused", cwd=project.root, run=("serve.py",), anywhere=False) as project.server:
        project.wait_for_starts(1)
        # For debuggers.
        assert project.ask(b"/stdin") == "typed\n"
        stream = project.hold(b"/stream")
        project.answer("second")
        project.wait_for_starts(2)
        assert project.ask() == "second"
        stream.read_to_end()
        assert project.server.stdout.count("mine runs") == 2
        project.ends(signal.SIGTERM)
