"""Flask end to end: a WSGI application behind `--interface wsgi`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx
import pytest

from e2e.serving import MIB, Served, fetch_all, serving


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("flask_app", "--interface", "wsgi", "--no-access-log", body=body) as server:
        yield server


def test_environ(client: httpx.Client) -> None:
    assert client.get("/").json() == {"greeting": "hello", "scheme": "http", "multithread": True}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_methods(client: httpx.Client, method: str) -> None:
    assert client.request(method, "/method").text == method


def test_head_keeps_the_connection_in_step(server: Served) -> None:
    with server.connect() as client:
        assert client.request(b"/method", method=b"HEAD").body == b""
        assert client.request(b"/method").body == b"GET"


def test_form_and_cookies(client: httpx.Client) -> None:
    assert client.post("/form", data={"a": "1", "b": "grün"}).json() == {"a": "1", "b": "grün"}
    assert len(client.get("/cookies").headers.get_list("set-cookie")) == 2
    assert client.get("/cookies").json() == {"first": "1", "second": "2"}


@pytest.mark.parametrize("size", [0, 1, 65537, 2 * MIB])
def test_bodies(client: httpx.Client, size: int) -> None:
    content = b"w" * size
    digest = hashlib.sha256(content).hexdigest()
    assert client.post("/digest", content=content).json() == {"sha256": digest}
    upload = client.post("/upload", files={"file": ("f.bin", content)}, data={"note": "n"})
    assert upload.json() == {"note": "n", "size": size, "sha256": digest}


def test_stream(client: httpx.Client) -> None:
    assert client.get("/stream").text.split() == [str(number) for number in range(100)]


def test_errors(client: httpx.Client) -> None:
    assert client.get("/bug").status_code == 500
    assert client.get("/nowhere").status_code == 404
    assert client.get("/").status_code == 200


def test_many_at_once(server: Served, nothing_left: None) -> None:
    answers = fetch_all(server.url, ["/", "/stream"] * 60)
    assert {answer.status_code for answer in answers} == {200}
