"""HTTP/2 in cleartext with clients that others have written: curl, nghttp, h2load, httpx; and applications of frameworks."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.http2_frames import HTTP2Client, request
from e2e.serving import MIB, Served, serving
from harness import DEADLINE_SECONDS
from picocorn.http2.codes import DATA, END_STREAM, GOAWAY

needs_curl = pytest.mark.skipif(
    shutil.which("curl") is None or b"HTTP2" not in subprocess.run(["curl", "-V"], capture_output=True).stdout,
    reason="curl that speaks HTTP/2 is not installed",
)
needs_nghttp = pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed")
needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("raw_app", body=body) as server:
        yield server


def run(*command: str, content: bytes | None = None) -> bytes:
    done = subprocess.run(command, input=content, capture_output=True, timeout=DEADLINE_SECONDS * 2)
    assert done.returncode == 0, done
    return done.stdout


def curl(server: Served, path: str, *options: str, content: bytes | None = None) -> bytes:
    return run("curl", "-sS", "--http2-prior-knowledge", *options, server.url + path, content=content)


@needs_curl
def test_curl(server: Served, tmp_path: Path) -> None:
    assert curl(server, "/", "-w", " %{http_version} %{http_code}") == b"hello 2 200"
    assert curl(server, "/stream") == b"one two three"
    assert curl(server, f"/large?{5 * MIB}") == b"\0" * (5 * MIB)
    content = bytes(range(256)) * 20_000
    expected = b"%d %s" % (len(content), hashlib.sha256(content).hexdigest().encode())
    assert curl(server, "/digest", "--data-binary", "@-", content=content) == expected
    assert curl(server, "/status?204", "-w", "%{http_code}") == b"204"
    head = curl(server, "/large?1000", "-I").decode()
    assert head.startswith("HTTP/2 200")
    assert "content-length: 1000" in head
    # Answered before it was read.
    assert curl(server, "/refuse", "--data-binary", "@-", content=bytes(4 * MIB)) == b"too much"
    scope = json.loads(curl(server, "/scope?q=1", "-H", "Cookie: a=1", "-H", "X-A: b"))
    assert (scope["http_version"], scope["scheme"], scope["query_string"]) == ("2", "http", "q=1")
    assert scope["headers"][0] == ["host", f"127.0.0.1:{server.port}"]
    assert ["cookie", "a=1"] in scope["headers"]
    # On the same port as HTTP/1.1.
    assert run("curl", "-sS", "--http1.1", server.url) == b"hello"
    server.server.wait_for(r'"GET /stream HTTP/2" 200')


@needs_nghttp
def test_nghttp(server: Served) -> None:
    urls = [f"{server.url}/large?{size}" for size in (1, 1_000, 100_000, 1_000_000)]
    out = run("nghttp", "-ns", *urls).decode()
    assert out.count(" 200 ") == 4
    out = run("nghttp", "-nvy", f"{server.url}/").decode()
    assert "ENABLE_CONNECT_PROTOCOL" in out or "0x08):1" in out or "UNKNOWN(0x08):1" in out


@needs_h2load
def test_h2load(server: Served) -> None:
    out = run("h2load", "-n2000", "-c8", "-m32", f"{server.url}/").decode()
    assert "2000 succeeded, 0 failed, 0 errored, 0 timeout" in out
    out = run("h2load", "-n64", "-c4", "-m16", f"{server.url}/large?300000").decode()
    assert "64 succeeded, 0 failed, 0 errored, 0 timeout" in out


def test_many_clients_at_once(server: Served) -> None:
    async def fetch() -> None:
        async with httpx.AsyncClient(http1=False, http2=True, base_url=server.url, trust_env=False, timeout=20) as client:
            answers = await asyncio.gather(*(client.post("/digest", content=b"%d" % one * one) for one in range(1, 200)))
        assert {answer.http_version for answer in answers} == {"HTTP/2"}
        for one, answer in enumerate(answers, 1):
            content = b"%d" % one * one
            assert answer.content == b"%d %s" % (len(content), hashlib.sha256(content).hexdigest().encode())

    asyncio.run(fetch())


def test_what_dies_in_the_middle_dies_alone(server: Served) -> None:
    with server.connect() as client:
        peer = HTTP2Client(client)
        peer.send(request(1, b"/break"), request(3, b"/stream"))
        assert peer.read_response(3) == (200, b"one two three")


FASTAPI = {
    "/": {"greeting": "hello"},
    "/sync": {"ran": "in a thread"},
    "/numbers?offset=3&limit=4": [3, 4, 5, 6],
    "/nowhere": {"detail": "Not Found"},
}


def test_fastapi(body: str) -> None:
    with (
        serving("fastapi_app", "--lifespan", "on", "--no-access-log", body=body) as server,
        httpx.Client(http1=False, http2=True, base_url=server.url, trust_env=False, timeout=DEADLINE_SECONDS) as client,
    ):
        for path, answer in FASTAPI.items():
            assert client.get(path).json() == answer
        item = {"name": "pear", "price": 1.5, "tags": ["fruit", "grün"]}
        assert client.post("/items", json=item).json() == item
        assert client.get("/secret", headers={"Authorization": "Bearer right"}).json() == {"token": "right"}


def test_django(body: str) -> None:
    with (
        serving("django_app", "--no-access-log", body=body) as server,
        httpx.Client(http1=False, http2=True, base_url=server.url, trust_env=False, timeout=DEADLINE_SECONDS) as client,
    ):
        for view in ("sync", "async"):
            answer = client.get(f"/{view}?q=caf%C3%A9+au+lait")
            assert answer.json() == {"view": view, "q": "café au lait", "method": "GET"}
        token = client.get("/form").text
        assert client.post("/form", data={"name": "Zoë"}).status_code == 403
        # Two Cookie fields are one (RFC 9113 8.2.3).
        assert client.post("/form", data={"name": "Zoë", "csrfmiddlewaretoken": token}).json() == {"name": "Zoë"}


def test_it_can_be_switched_off(body: str) -> None:
    with serving("raw_app", "--no-http2", "--no-access-log", body=body) as server:
        assert server.request().body == b"hello"
        with server.connect() as client:
            client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            assert client.response().status == 505


def test_a_signal_loses_nothing(body: str) -> None:
    with serving("raw_app", "--no-access-log", body=body, check=False) as server, server.connect() as client:
        peer = HTTP2Client(client)
        peer.send(*(request(stream_id, b"/wait?end") for stream_id in range(1, 40, 2)))
        peer.ping()
        server.server.send_signal(signal.SIGTERM)
        while (one := peer.read()).kind != GOAWAY:
            pass
        assert one.payload == (2**31 - 1).to_bytes(4, "big") + bytes(4)
        # Sent before the client has read that.
        peer.send(request(41, b"/open?end"))
        ended: set[int] = set()
        while one.kind != GOAWAY or one.payload[:4] != (41).to_bytes(4, "big") or len(ended) < 21:
            one = peer.read()
            if one.kind == DATA and one.flags & END_STREAM:
                ended.add(one.stream_id)
        assert ended == set(range(1, 42, 2))
        assert client.read_to_end() == b""
        client.close()
        assert server.server.join() == -signal.SIGTERM
        assert "Cancel" not in server.server.output
