"""`picocorn.workers` under a real gunicorn: what gunicorn promises of its workers, from the first boot to the last."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from certificates import client_context, write_pair
from e2e.serving import APPS
from harness import Client, SpawnedServer, spawned, wait_until

WORKERS = {"native": "picocorn.workers.PicocornWorker", "pure": "picocorn.workers.PicocornPureWorker"}

HOOKS = """
def worker_int(worker):
    worker.log.info("hook: int")

def worker_abort(worker):
    worker.log.info("hook: abort")

def worker_exit(server, worker):
    server.log.info("hook: exit of %s", worker.pid)
"""


@contextlib.contextmanager
def gunicorn(tmp_path: Path, *options: str, app: str = "gunicorn_app:app", env: dict[str, str] | None = None) -> Iterator[Any]:
    """gunicorn on a port of its choice, killed at the end, workers and all, unless the test has ended it."""
    hooks = tmp_path / "hooks.py"
    hooks.write_text(HOOKS)
    where = ("-b", "127.0.0.1:0", "--chdir", str(APPS), "--no-control-socket", "-c", str(hooks))
    if "-k" not in options:
        where = (*where, "-k", WORKERS["native"])
    environment = {"WEB_CONCURRENCY": "", "FORWARDED_ALLOW_IPS": "", **(env or {})}
    with spawned(app, *where, *options, run=("-m", "gunicorn"), anywhere=False, env=environment) as server:
        try:
            yield server
        except Exception:
            # What the test has seen is only half of it.
            print(server.output)
            raise
        finally:
            if server.process.poll() is None:
                server.stop(signal.SIGQUIT)


def address(server: SpawnedServer) -> tuple[str, int]:
    return "127.0.0.1", int(server.wait_for(r"Listening at: \S*http://127\.0\.0\.1:(\d+)")[1])


def ask(where: Any, target: bytes = b"/", *fields: bytes) -> dict[str, Any]:
    with Client(where) as client:
        response = client.request(target, b"Connection: close", *fields)
        assert response.status == 200, response
        told: dict[str, Any] = json.loads(response.body)
        return told


@pytest.mark.parametrize("body", WORKERS)
def test_a_life(body: str, tmp_path: Path) -> None:
    access, unix = tmp_path / "access.log", str(tmp_path / "s")
    options = ("-w", "2", "-b", f"unix:{unix}", "--keep-alive", "20", "--access-logfile", str(access), "--threads", "3")
    with gunicorn(tmp_path, *options, "-k", WORKERS[body]) as server:
        where = address(server)
        server.wait_for("Application startup complete", 2)
        assert "The setting threads has no effect on" in server.output
        with Client(where) as idle:
            old = json.loads(idle.request().body)
            assert old["parent"] == server.process.pid
            assert ask(unix)["server"] == [unix, None]
            # Not the workers' own lines only: what they serve is written down as gunicorn was told to.
            wait_until(lambda: '"GET / HTTP/1.1" 200\n' in access.read_text(), "the access log")

            access.rename(tmp_path / "access.log.1")
            server.send_signal(signal.SIGUSR1)
            wait_until(lambda: access.exists() and ask(where) and access.read_text(), "a new access log")

            server.send_signal(signal.SIGHUP)
            server.wait_for(rf"\[{old['pid']}\] \[INFO\] Shutting down")
            # New workers are there, and the old one has still answered what was on its way.
            last = idle.request()
            assert (last.status, last.get(b"connection"), json.loads(last.body)["pid"]) == (200, b"close", old["pid"])
        server.wait_for(r"hook: exit of \d+", 2)
        server.wait_for("Application startup complete", 4)
        server.send_signal(signal.SIGTTIN)
        server.wait_for("Application startup complete", 5)
        server.send_signal(signal.SIGTTOU)
        server.wait_for(r"hook: exit of \d+", 3)
        ask(where)
        assert server.stop() == 0
        # Each has ended by itself, application and all: gunicorn had to kill nobody.
        assert server.output.count("Application shutdown complete") == server.output.count("hook: exit of") == 5
        assert "was sent" not in server.output
    assert not os.path.exists(unix)


def test_tls(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, "localhost")
    with gunicorn(tmp_path, "--certfile", certificate, "--keyfile", key) as server:
        where = "127.0.0.1", int(server.wait_for(r"Listening at: https://127\.0\.0\.1:(\d+)")[1])
        with Client(where, tls=client_context(alpn=("http/1.1",))) as client:
            assert client.request().status == 200
            assert client.sock.selected_alpn_protocol() == "http/1.1"
        assert server.stop() == 0


def test_what_cannot_start_ends_gunicorn(tmp_path: Path) -> None:
    (tmp_path / "fail").touch()
    with gunicorn(tmp_path, env={"FAIL_FILE": str(tmp_path / "fail")}) as server:
        assert server.join() == 3
        assert "Worker failed to boot." in server.output
    with gunicorn(tmp_path, app="flask_app:app") as server:
        # What gunicorn takes for an application, and is none for this worker.
        assert server.join() == 3
        assert "Error loading ASGI app" in server.output
    with gunicorn(tmp_path, "-k", "gunicorn_app.Misconfigured") as server:
        assert server.join() == 3
        assert "Reason: Invalid value for '--limit-request-fields'" in server.output
        assert "Traceback" not in server.output


def test_a_blocked_event_loop(tmp_path: Path) -> None:
    start = tmp_path / "start"
    with gunicorn(tmp_path, "--timeout", "2", env={"START_FILE": str(start)}) as server:
        where = address(server)
        server.wait_for("Waiting for application startup")
        stuck = Client(where)
        stuck.send(b"GET /stuck HTTP/1.1\r\nHost: a\r\n\r\n")
        start.touch()
        # The one that gunicorn gives up says where it is, as does its hook, and another takes its place.
        server.wait_for(r"WORKER TIMEOUT")
        assert "gunicorn_app.py" in server.wait_for(r"is stuck here:\n(?:  .*\n)+")[0]
        server.wait_for("hook: abort")
        ask(where)
        stuck.close()
        # SIGQUIT waits for nobody.
        with Client(where) as slow:
            slow.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            server.wait_for("slowly")
            assert server.stop(signal.SIGQUIT) == 0
        assert "hook: int" in server.output
        assert server.output.count("Waiting for application shutdown") == 0


def test_recycling(tmp_path: Path) -> None:
    with gunicorn(tmp_path, "--max-requests", "4", "--preload", "--keep-alive", "1") as server:
        where = address(server)
        pids: list[int] = []
        client = Client(where)
        # One worker, and no moment without: gunicorn starts the next one when this one has gone.
        while len(set(pids)) < 2:
            response = client.request()
            assert response.status == 200
            pids.append(json.loads(response.body)["pid"])
            if response.get(b"connection") == b"close":
                client.close()
                client = Client(where)
        client.close()
        assert "Maximum request limit of 4 exceeded. Terminating process." in server.output
        # Without gunicorn's master there is nobody to serve for.
        server.process.kill()
        wait_until(lambda: not os.path.exists(f"/proc/{pids[-1]}"), "the worker has ended")
        server.join()
        assert "Parent changed, shutting down" in server.output


def test_reloading(tmp_path: Path) -> None:
    module = tmp_path / "changing.py"
    text = (
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await send({'type': 'http.response.start', 'status': 200, 'headers': [(b'content-length', b'3')]})\n"
        "    await send({'type': 'http.response.body', 'body': b'WHAT'})\n"
    )

    def answers(status: int, body: bytes) -> bool:
        with contextlib.suppress(ConnectionError, AssertionError), Client(where) as client:
            response = client.request(b"/", b"Connection: close")
            return response.status == status and body in response.body
        return False

    def save(text: str) -> None:
        # At once: a worker that finds an empty file has no application, and gunicorn ends for that.
        fresh = module.with_suffix(".fresh")
        fresh.write_text(text)
        fresh.replace(module)

    save(text.replace("WHAT", "one"))
    options = ("--reload", "--pythonpath", str(tmp_path))
    with gunicorn(tmp_path, *options, app="changing:app") as server:
        where = address(server)
        wait_until(lambda: answers(200, b"one"), "the first form")
        for saved, status, body in (("async def app(:\n", 500, b"SyntaxError"), (text.replace("WHAT", "two"), 200, b"two")):

            def shows_it(saved: str = saved, status: int = status, body: bytes = body) -> bool:
                # Again and again: gunicorn may not have looked at it for the first time yet.
                save(saved)
                return answers(status, body)

            wait_until(shows_it, f"the page with {body!r}")
        assert server.stop() == 0
