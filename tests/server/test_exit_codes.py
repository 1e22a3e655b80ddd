"""Exit codes and messages of a server that ends by itself, or that never starts."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from harness import spawned
from raw_client import get

APPS = str(Path(__file__).parent / "apps")


def test_the_application_refuses_to_start() -> None:
    with spawned("signalled:fails_to_start", "--app-dir", APPS) as server:
        assert server.join() == 3
        assert re.findall("^ERROR: +(.*)$", server.output, re.MULTILINE) == [
            "no database",
            "Application startup failed. Exiting.",
        ]


def test_the_application_exits_in_its_startup() -> None:
    with spawned("signalled:exits_in_startup", "--app-dir", APPS) as server:
        assert server.join() == 7


def test_lifespan_on_and_an_application_without() -> None:
    with spawned("signalled:no_lifespan", "--app-dir", APPS, "--lifespan", "on") as server:
        assert server.join() == 3
        assert "ERROR:    Exception in 'lifespan' protocol" in server.output
        assert "AssertionError" in server.output


def test_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with spawned("signalled:app", "--app-dir", APPS, "--port", str(port)) as server:
            assert server.join() == 3
            (line,) = re.findall("^ERROR: +(.*)$", server.output, re.MULTILINE)
            assert line.endswith(f"error while attempting to bind on address ('127.0.0.1', {port}): address already in use")
            # The application has started, so it is ended.
            assert server.stdout.split() == ["lifespan.startup", "lifespan.shutdown"]
            assert "Traceback" not in server.output


@pytest.mark.parametrize(
    ("source", "said", "traceback"),
    [
        (None, 'Error loading ASGI app. Could not import module "broken".', False),
        ("", 'Error loading ASGI app. Attribute "app" not found in module "broken".', False),
        ("app = 3", '"broken:app" is not callable, so it is no ASGI application: it is of type int.', False),
        ("def app(environ, start_response): ...", "use --interface wsgi", False),
        ("x = (", '"broken:app" raised SyntaxError.', True),
        ("import not_there", '"broken:app" raised ModuleNotFoundError.', True),
        ("1 / 0", '"broken:app" raised ZeroDivisionError.', True),
        ("def app():\n    raise OSError('no disk')", '"broken:app" raised OSError.', True),
    ],
)
def test_the_application_cannot_be_loaded(source: str | None, said: str, traceback: bool, tmp_path: Path) -> None:
    if source is not None:
        (tmp_path / "broken.py").write_text(source)
    with spawned("broken:app", "--app-dir", str(tmp_path)) as server:
        assert server.join() == 3
        first, *more = server.output.splitlines()
        assert first.startswith("ERROR:    ")
        assert said in first
        assert bool(more) is traceback
        if traceback:
            # Where the application is wrong, and nothing of how we got there.
            assert "broken.py" in server.output
            assert "picocorn/" not in server.output
            assert "importlib" not in server.output


def test_enough_requests() -> None:
    with spawned("signalled:app", "--app-dir", APPS, "--limit-max-requests", "2") as server:
        for _ in range(2):
            assert server.connect().request().body == b"ok"
        assert server.join() == 0
        assert "WARNING:  Maximum request limit of 2 exceeded. Terminating process." in server.output
        assert "Finished server process" in server.output


def test_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with spawned("signalled:app", "--app-dir", APPS, "--uds", str(path)) as server:
        server.wait_for(re.escape(f"Picocorn running on unix socket {path} (Press CTRL+C to quit)"))
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(get(b"/", b"Connection: close"))
            assert client.makefile("rb").read().endswith(b"ok")
        server.wait_for('INFO:      - "GET / HTTP/1.1" 200 OK')
        server.stop()
        assert not path.exists()


def test_descriptor() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        # subprocess closes what is not asked for; dup2 onto standard input is what init systems do too.
        saved = os.dup(0)
        os.dup2(listening.fileno(), 0)
        try:
            with spawned("signalled:app", "--app-dir", APPS, "--fd", "0") as server:
                address = listening.getsockname()
                server.wait_for(re.escape(f"Picocorn running on socket {address} (Press CTRL+C to quit)"))
                with socket.create_connection(address) as client:
                    client.sendall(get(b"/", b"Connection: close"))
                    assert client.makefile("rb").read().endswith(b"ok")
                server.stop()
        finally:
            os.dup2(saved, 0)
            os.close(saved)


def test_a_factory_without_the_flag() -> None:
    with spawned("signalled:factory", "--app-dir", APPS) as server:
        assert server.connect().request().body == b"ok"
        assert "WARNING:  ASGI app factory detected. Using it, but please consider setting the --factory flag" in server.output


def test_colours_are_for_terminals_or_on_demand() -> None:
    with spawned("signalled:app", "--app-dir", APPS) as server:
        assert server.port
        assert "\x1b" not in server.output
    with spawned("signalled:app", "--app-dir", APPS, "--use-colors") as server:
        server.wait_for(re.escape("\x1b[32mINFO\x1b[0m:     Picocorn running on \x1b[1mhttp://127.0.0.1:"))
