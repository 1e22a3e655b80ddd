"""Clients that stop reading while the application goes on sending, over real sockets."""

from __future__ import annotations

import json
import select
from pathlib import Path
from typing import Any

import pytest

from certificates import client_context, write_pair
from e2e.serving import APPS, until_true
from harness import DEADLINE_SECONDS, spawned
from raw_client import get

IMPATIENT = str(Path(__file__).parent / "impatient.py")


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_a_client_that_stops_reading_is_given_up(body: str, tls: bool, tmp_path: Path) -> None:
    options: dict[str, Any] = {"tls": client_context()} if tls else {}
    arguments: tuple[str, ...] = ()
    if tls:
        certificate, key = write_pair(tmp_path, "localhost")
        arguments = ("--ssl-certfile", str(certificate), "--ssl-keyfile", str(key))
    env = {"PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else ""}
    with spawned("raw_app:app", "--app-dir", str(APPS), *arguments, env=env, run=(IMPATIENT, "0.4")) as server:

        def seen() -> dict[str, int]:
            with server.connect(**options) as client:
                told: dict[str, int] = json.loads(client.request(b"/seen").body)
                return told

        stuck = server.connect(receive_buffer_bytes=4096, **options)
        stuck.send(get(b"/events"))
        # A reset is told without being read for; an end would stand behind all that was sent.
        poll = select.poll()
        poll.register(stuck.sock, 0)
        assert poll.poll(DEADLINE_SECONDS * 1000), "still open"
        until_true(lambda: seen().get("send refused") == 1, "the application is told")
        assert seen()["writing"] == 0
        assert server.stop() == -15
        assert "Traceback" not in server.output
