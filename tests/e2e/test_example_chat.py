"""`examples/chat.py` as its clients see it; in a browser it is seen by `test_websocket_browser.py`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from e2e.websocket_frames import upgrade
from harness import DEADLINE_SECONDS, SpawnedServer, spawned

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[SpawnedServer]:
    env = {"PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else ""}
    options = ("--app-dir", str(EXAMPLES), "--ws-ping-interval", "1", "--ws-ping-timeout", "1")
    with spawned("chat:app", *options, env=env) as server:
        yield server
        assert server.stop() == -15
        assert "Traceback" not in server.output, server.output[-4000:]


def join(server: SpawnedServer, name: str, **options: Any) -> ClientConnection:
    url = f"ws://127.0.0.1:{server.port}/ws?name={name}"
    return connect(url, proxy=None, open_timeout=DEADLINE_SECONDS, **options)


def hear(member: ClientConnection) -> tuple[str, str, str]:
    message = json.loads(member.recv(DEADLINE_SECONDS))
    return message["kind"], message["name"], message["text"]


def test_page(server: SpawnedServer) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        page = client.get("/")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert "<title>picocorn chat</title>" in page.text
        assert client.get("/other").status_code == 404


def test_members_hear_each_other(server: SpawnedServer) -> None:
    with join(server, "Ann") as ann, join(server, "Bob") as bob:
        assert [hear(ann), hear(ann), hear(bob)] == [("joined", "Ann", ""), ("joined", "Bob", ""), ("joined", "Bob", "")]
        bob.send("grüß euch")
        assert [hear(ann), hear(bob)] == [("said", "Bob", "grüß euch")] * 2
        bob.close()
        assert hear(ann) == ("left", "Bob", "")


def test_nameless_clients_and_pages_of_others_are_refused(server: SpawnedServer) -> None:
    for name, options in (("", {}), ("Eve", {"origin": "http://elsewhere.example"})):
        with pytest.raises(InvalidStatus) as caught, join(server, name, **options):
            pass
        assert caught.value.response.status_code == 403
    with join(server, "Ann", origin=f"http://127.0.0.1:{server.port}") as ann:
        assert hear(ann) == ("joined", "Ann", "")


def test_member_who_does_not_read_is_let_go(server: SpawnedServer) -> None:
    text = "x" * 50_000
    with server.connect(receive_buffer_bytes=4096) as slow, join(server, "Ann") as ann:
        assert hear(ann) == ("joined", "Ann", "")
        upgrade(slow, b"/ws?name=Slow")
        assert hear(ann) == ("joined", "Slow", "")
        deadline = time.monotonic() + DEADLINE_SECONDS
        heard = ("said", "Ann", text)
        while heard == ("said", "Ann", text):
            # Ann is answered at once, whoever else is not.
            ann.send(text)
            heard = hear(ann)
            assert time.monotonic() < deadline, "still a member"
        assert heard == ("left", "Slow", "")
