"""Litestar end to end: typed bodies, uploads, streams, server-sent events, background tasks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from e2e.serving import MIB, Served, fetch_all, serving


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("litestar_app", "--lifespan", "on", "--no-access-log", body=body) as server:
        yield server


def test_state_of_the_lifespan(client: httpx.Client) -> None:
    assert client.get("/").json() == {"greeting": "hello"}
    assert client.get("/sync").json() == {"ran": "in a thread"}


def test_typed_body(client: httpx.Client) -> None:
    answer = client.post("/points", json={"x": 1, "y": 2})
    assert (answer.status_code, answer.json()) == (201, {"x": 2, "y": 1})
    assert client.post("/points", json={"x": "one"}).status_code == 400
    assert client.post("/points", content=b"{").status_code == 400


@pytest.mark.parametrize("size", [10, 2 * MIB])
def test_upload_and_stream(client: httpx.Client, size: int) -> None:
    content = b"abcdefgh" * (size // 8)
    digest = hashlib.sha256(content).hexdigest()
    assert client.post("/upload", files={"data": ("f.bin", content)}).json()["sha256"] == digest
    assert client.post("/digest", content=content).json() == {"sha256": digest}
    assert client.post("/digest", content=iter([content[:7], content[7:]])).json() == {"sha256": digest}


def test_streams(client: httpx.Client) -> None:
    assert client.get("/stream").text.split() == [str(number) for number in range(100)]
    events = client.get("/events")
    assert events.headers["content-type"].startswith("text/event-stream")
    assert events.text.replace("\r\n", "\n").count("data: ") == 3


def test_background_task_does_not_delay_the_next_request(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        assert client.request(b"/background").body == b"started"
        assert client.request(b"/release").body == b"released"


def test_errors(client: httpx.Client) -> None:
    assert client.get("/teapot").status_code == 418
    assert client.get("/bug").status_code == 500
    assert client.get("/nowhere").status_code == 404
    assert client.delete("/").status_code == 405


def test_many_at_once(server: Served, nothing_left: None) -> None:
    answers = fetch_all(server.url, ["/", "/stream", "/events"] * 60)
    assert {answer.status_code for answer in answers} == {200}
