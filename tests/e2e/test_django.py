"""Django through its ASGI handler: sync and async views, CSRF form, uploads, streams. It has no lifespan: the server goes on."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator

import httpx
import pytest

from e2e.serving import MIB, Served, fetch_all, serving


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("django_app", "--no-access-log", body=body) as server:
        yield server


def test_lifespan_is_unsupported_and_that_is_fine(server: Served) -> None:
    server.server.wait_for("ASGI 'lifespan' protocol appears unsupported")


@pytest.mark.parametrize("view", ["sync", "async"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_views(client: httpx.Client, view: str, method: str) -> None:
    answer = client.request(method, f"/{view}?q=caf%C3%A9+au+lait")
    if method in {"POST", "PUT", "DELETE"}:
        # Unsafe methods without a token.
        assert answer.status_code == 403
    else:
        assert answer.json() == {"view": view, "q": "café au lait", "method": method}


def test_head(client: httpx.Client) -> None:
    answer = client.head("/sync")
    assert (answer.status_code, answer.content) == (200, b"")
    assert client.get("/sync").status_code == 200


def test_form_behind_csrf(client: httpx.Client) -> None:
    token = client.get("/form").text
    assert client.post("/form", data={"name": "Zoë"}).status_code == 403
    answer = client.post("/form", data={"name": "Zoë", "csrfmiddlewaretoken": token})
    assert answer.json() == {"name": "Zoë"}


@pytest.mark.parametrize("size", [10, 65536, 3 * MIB])
def test_upload(client: httpx.Client, size: int) -> None:
    content = b"0123456789abcdef" * (size // 16 + 1)
    answer = client.post("/upload", files={"file": ("up.bin", content)}, data={"note": "n"})
    assert answer.json() == {
        "name": "up.bin",
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "note": "n",
    }


def test_body_with_and_without_length(client: httpx.Client) -> None:
    content = b"some bytes \x00\xff" * 50_000
    assert client.post("/body", content=content).content == content
    assert client.post("/body", content=iter([content[:1000], content[1000:]])).content == content


@pytest.mark.parametrize("view", ["sync-stream", "async-stream"])
def test_streams(server: Served, view: str) -> None:
    expected = b"".join(b"%d\n" % number for number in range(100))
    plain = server.request(f"/{view}".encode())
    assert (plain.get(b"transfer-encoding"), plain.body) == (b"chunked", expected)
    # A stream of an async view comes as one gzip member per piece.
    zipped = server.request(f"/{view}".encode(), b"Accept-Encoding: gzip")
    assert zipped.get(b"content-encoding") == b"gzip"
    assert gzip.decompress(zipped.body) == expected


def test_headers_and_cookies(client: httpx.Client) -> None:
    answer = client.get("/headers", headers={"X-One": "1", "X-Two": "zwei"})
    assert answer.json() == {"X-One": "1", "X-Two": "zwei"}
    assert len(answer.headers.get_list("set-cookie")) == 2


def test_errors(server: Served, client: httpx.Client) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/broken").status_code == 500
    assert client.get("/sync").status_code == 200


def test_many_at_once(server: Served, nothing_left: None) -> None:
    targets = [f"/{view}?q={number}" for number in range(60) for view in ("sync", "async")]
    answers = fetch_all(server.url, targets, connections=8)
    assert [answer.json()["q"] for answer in answers] == [target.split("=")[1] for target in targets]
