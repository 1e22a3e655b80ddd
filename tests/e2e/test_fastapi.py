"""FastAPI end to end: models, dependencies, uploads, streams, background tasks, handlers, state, no WebSocket."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from e2e.serving import MIB, Served, fetch_all, serving
from e2e.websocket_frames import handshake


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("fastapi_app", "--lifespan", "on", "--no-access-log", body=body) as server:
        yield server


def test_state_of_the_lifespan_reaches_requests(client: httpx.Client) -> None:
    assert client.get("/").json() == {"greeting": "hello"}


def test_sync_endpoint(client: httpx.Client) -> None:
    assert client.get("/sync").json() == {"ran": "in a thread"}


def test_model_in_and_out(client: httpx.Client) -> None:
    item = {"name": "pear", "price": 1.5, "tags": ["fruit", "grün"]}
    answer = client.post("/items", json=item)
    assert (answer.status_code, answer.json()) == (201, item)


def test_invalid_model_is_422(client: httpx.Client) -> None:
    answer = client.post("/items", json={"name": "", "price": -1})
    assert answer.status_code == 422
    assert {tuple(error["loc"]) for error in answer.json()["detail"]} == {("body", "name"), ("body", "price")}


def test_dependencies(client: httpx.Client) -> None:
    assert client.get("/numbers?offset=3&limit=4").json() == [3, 4, 5, 6]
    assert client.get("/numbers?limit=51").status_code == 422
    refused = client.get("/secret")
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/secret", headers={"Authorization": "Bearer right"}).json() == {"token": "right"}


def test_dependency_with_an_exit_is_left_once_per_request(client: httpx.Client) -> None:
    for _ in range(3):
        assert client.get("/lent").json() == {"session": "session"}
    assert client.get("/visits").json() == ["enter", "exit"] * 3


def test_exception_handlers(client: httpx.Client) -> None:
    sold = client.get("/sold/pear")
    assert (sold.status_code, sold.json()) == (409, {"sold": "pear"})
    assert client.get("/nowhere").json() == {"detail": "Not Found"}


def test_bug_is_a_500_and_its_traceback_is_logged(server: Served, client: httpx.Client) -> None:
    assert client.get("/bug").status_code == 500
    server.server.wait_for("ZeroDivisionError: on purpose")
    # The next one is answered as if nothing had been.
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("size", [0, 1, 100_000, 5 * MIB])
def test_upload(client: httpx.Client, size: int) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    answer = client.post("/upload", files={"file": ("a name.bin", content)}, data={"note": "größer"})
    assert answer.json() == {
        "name": "a name.bin",
        "note": "größer",
        "size": size,
        "sha256": hashlib.sha256(content).hexdigest(),
    }


def test_request_stream_with_and_without_length(client: httpx.Client) -> None:
    content = b"0123456789abcdef" * 65536
    expected = {"sha256": hashlib.sha256(content).hexdigest()}
    assert client.post("/digest", content=content).json() == expected

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 10_007):
            yield content[start : start + 10_007]

    assert client.post("/digest", content=pieces()).json() == expected


def test_streamed_response(client: httpx.Client) -> None:
    with client.stream("GET", "/stream/1000") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert list(answer.iter_lines()) == [f"line {number}" for number in range(1000)]


def test_background_task_does_not_delay_the_next_request_of_its_connection(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        for name in (b"a", b"b"):
            assert client.request(b"/background/" + name, b"Content-Length: 0", method=b"POST").status == 200
            # Only this second request lets the first one's task end.
            assert client.request(b"/background/" + name).body == b'{"running":true}'


def test_websocket_route_that_is_asked_by_http(server: Served, nothing_left: None) -> None:
    # There is no such HTTP route.
    assert server.request(b"/ws").status == 404


def test_websocket_route_without_websockets(body: str) -> None:
    with serving("fastapi_app", "--lifespan", "on", "--ws", "none", body=body) as server, server.connect() as client:
        client.send(handshake(b"/ws"))
        assert client.response().status == 404
        assert client.closed(), "what follows a refused upgrade may be frames"


def test_many_at_once(server: Served, nothing_left: None) -> None:
    targets = [f"/numbers?offset={number}&limit=3" for number in range(200)]
    targets += ["/sync"] * 50 + ["/stream/50"] * 50
    answers = fetch_all(server.url, targets)
    assert {answer.status_code for answer in answers} == {200}
    assert [answer.json() for answer in answers[:200]] == [[n, n + 1, n + 2] for n in range(200)]
    assert {answer.text.count("\n") for answer in answers[250:]} == {50}


def test_async_client_posts_at_once(async_client: Any) -> None:
    async def post_all() -> list[httpx.Response]:
        async with async_client() as client:
            return await asyncio.gather(*(client.post("/items", json={"name": f"item {n}", "price": n + 1}) for n in range(100)))

    answers = asyncio.run(post_all())
    assert [answer.json()["name"] for answer in answers] == [f"item {n}" for n in range(100)]
