"""An ASGI 2 double callable, recognised by itself and when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from e2e.serving import Served, serving


@pytest.fixture(scope="module", params=["auto", "asgi2"])
def server(body: str, request: pytest.FixtureRequest) -> Iterator[Served]:
    with serving("asgi2_app", "--interface", str(request.param), "--no-access-log", body=body) as server:
        yield server


def test_request(client: httpx.Client) -> None:
    answer = client.post("/a/b", content=b"content")
    assert answer.json() == {"asgi": "2.0", "path": "/a/b", "body": "content"}
    assert client.get("/").json()["path"] == "/"
