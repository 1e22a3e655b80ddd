"""Quart end to end: JSON, streamed requests and responses, forms, files. It cancels its own task when the client leaves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from e2e.serving import MIB, Served, fetch_all, serving


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("quart_app", "--lifespan", "on", "--no-access-log", body=body) as server:
        yield server


def test_hooks_and_sync_endpoint(client: httpx.Client) -> None:
    assert client.get("/").json() == {"greeting": "hello", "before": True}
    assert client.get("/sync").json() == {"ran": "in a thread"}


def test_json(client: httpx.Client) -> None:
    assert client.post("/json", json={"a": [1, None, "ü"]}).json() == {"a": [1, None, "ü"]}
    assert client.post("/json", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


@pytest.mark.parametrize("size", [0, 1, 65537, 2 * MIB])
def test_streamed_request_and_response(client: httpx.Client, size: int) -> None:
    content = b"q" * size
    digest = {"sha256": hashlib.sha256(content).hexdigest()}
    assert client.post("/digest", content=content).json() == digest
    assert client.post("/digest", content=iter([content])).json() == digest
    assert client.post("/echo-stream", content=content).content == content


def test_upload(client: httpx.Client) -> None:
    content = b"file" * 100_000
    answer = client.post("/upload", files={"file": ("f.bin", content)}, data={"note": "n"})
    assert answer.json() == {"note": "n", "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def test_stream(server: Served, client: httpx.Client) -> None:
    assert client.get("/stream").text.split() == [str(number) for number in range(100)]
    assert server.request(b"/stream", version=b"1.0").until_close


def test_errors_and_head(client: httpx.Client) -> None:
    assert client.get("/bug").status_code == 500
    assert client.get("/nowhere").status_code == 404
    head = client.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert client.get("/").status_code == 200


def test_many_at_once(server: Served, nothing_left: None) -> None:
    answers = fetch_all(server.url, ["/", "/stream"] * 60)
    assert {answer.status_code for answer in answers} == {200}
