"""A server that is described by a file alone, and follows it when it is told to."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from harness import spawned, wait_until

pytest.importorskip("fcntl", reason="workers need a POSIX system")

APPLICATION = """
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": __name__.encode()})
"""


def described(app: str, value: str) -> str:
    return f"""
        [tool.picocorn]
        app = "{app}:app"
        app-dir = "source"
        workers = 1
        bind = ["127.0.0.1:0"]
        headers = {{ X-Value = "{value}" }}
        timeout-keep-alive = 0
    """


def test_a_supervisor_follows_its_file(tmp_path: Path) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(described("one", "1"))
    (tmp_path / "source").mkdir()
    for name in ("one", "two"):
        (tmp_path / "source" / f"{name}.py").write_text(APPLICATION)
    # No argument but one that says what is so anyway: everything stands in the file of this folder.
    with spawned("--access-log", cwd=tmp_path, anywhere=False) as server:

        def asked() -> tuple[bytes, bytes | None]:
            client = server.connect()
            response = client.request(b"/")
            client.close()
            return response.body, response.get(b"x-value")

        server.wait_for("Application startup complete")
        assert asked() == (b"one", b"1")

        file.write_text(described("two", "2").replace("bind", "bidn"))
        server.send_signal(signal.SIGHUP)
        server.wait_for("Keeping the running processes.")
        assert "ERROR:    pyproject.toml: 'bidn': there is no such option; did you mean 'bind'?" in server.output
        assert asked() == (b"one", b"1")

        file.write_text(described("two", "2"))
        server.send_signal(signal.SIGHUP)
        server.wait_for("Finished server process")
        wait_until(lambda: asked() == (b"two", b"2"), "the new configuration is served")
        server.stop()
