"""HTTP/2 over TLS, where ALPN has led to it: curl, httpx, a client that reads trailers, and a real browser."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx
import pytest

from bodies import TWINS
from certificates import authority, client_context, write_pair
from e2e.browser import chromium, find_chromium
from e2e.serving import APPS
from harness import DEADLINE_SECONDS, Client, SpawnedServer, spawned


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "ca.pem").write_bytes(authority().cert_pem.bytes())
    return folder


@pytest.fixture(scope="module", params=TWINS)
def server(request: pytest.FixtureRequest, folder: Path) -> Iterator[SpawnedServer]:
    certificate, key = write_pair(folder, "localhost", "127.0.0.1")
    options = ("--app-dir", str(APPS), "--ssl-certfile", certificate, "--ssl-keyfile", key, "--timeout-keep-alive", "1")
    with spawned("http2_app:app", *options, env={"PICOCORN_NO_EXTENSIONS": "1" if request.param == "pure" else ""}) as server:
        server.wait_for(r"running on https://")
        yield server
        assert server.stop() == -signal.SIGTERM
        assert "Traceback" not in server.output, server.output[-4000:]


def test_curl(server: SpawnedServer, folder: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    for option, version in (("--http2", "2"), ("--http1.1", "1.1")):
        command = ["curl", "-sS", option, "--cacert", str(folder / "ca.pem"), f"https://localhost:{server.port}/"]
        done = subprocess.run(command, capture_output=True, timeout=DEADLINE_SECONDS, check=True)
        assert json.loads(done.stdout)["http_version"] == version


def test_httpx(server: SpawnedServer) -> None:
    with httpx.Client(http2=True, verify=client_context(), trust_env=False, timeout=DEADLINE_SECONDS) as client:
        for size in (0, 10, 3_000_000):
            answer = client.post(f"https://localhost:{server.port}/", content=bytes(size))
            told = answer.json()
            assert (answer.http_version, told["http_version"], told["scheme"]) == ("HTTP/2", "2", "https")
            assert told["content_bytes"] == size
            assert "tls" in told["extensions"]


def test_trailers_both_ways_as_grpc_has_them(server: SpawnedServer) -> None:
    conn = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding=None))
    with Client(("127.0.0.1", server.port), tls=client_context(alpn=("h2",))) as client:
        assert client.sock.selected_alpn_protocol() == "h2"  # type: ignore[attr-defined]
        conn.initiate_connection()
        control = [(b":method", b"POST"), (b":scheme", b"https"), (b":authority", b"localhost"), (b":path", b"/pkg.Service/Call")]
        conn.send_headers(1, [*control, (b"te", b"trailers"), (b"content-type", b"application/grpc")])
        conn.send_data(1, b"\0\0\0\0\0")
        conn.send_headers(1, [(b"x-checksum", b"1")], end_stream=True)
        seen: list[Any] = []
        while not any(isinstance(event, h2.events.StreamEnded) for event in seen):
            client.send(conn.data_to_send())
            seen += conn.receive_data(client.sock.recv(65536))
        kinds = [type(event).__name__ for event in seen if getattr(event, "stream_id", 0) == 1]
        assert kinds == ["InformationalResponseReceived", "ResponseReceived", "DataReceived", "TrailersReceived", "StreamEnded"]
        (trailers,) = (event for event in seen if isinstance(event, h2.events.TrailersReceived))
        assert trailers.headers == [(b"grpc-status", b"0"), (b"grpc-message", b"fine")]


@pytest.mark.skipif(find_chromium() is None, reason="no Chromium found (Debian: apt-get install chromium)")
def test_browser(server: SpawnedServer, tmp_path: Path) -> None:
    with chromium(tmp_path, "--ignore-certificate-errors") as browser:
        page = browser.open(f"https://127.0.0.1:{server.port}/page")
        assert page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        told = page.evaluate("Promise.all([...Array(50)].map((_, n) => fetch('/' + n).then(r => r.json())))")
        assert {one["http_version"] for one in told} == {"2"}
        posted = page.evaluate("fetch('/', {method: 'POST', body: new Uint8Array(2000000)}).then(r => r.json())")
        assert posted["content_bytes"] == 2_000_000
        said = page.evaluate(
            "new Promise((resolve, reject) => { const said = [], socket = new WebSocket('wss://' + location.host + '/ws');"
            "socket.onmessage = e => { said.push(e.data); if (said.length == 1) socket.send('hello'); else socket.close(3000) };"
            "socket.onclose = e => resolve([...said, e.code, e.wasClean]); socket.onerror = reject })"
        )
        # Over a stream of the same connection (RFC 8441).
        assert said == ["2 wss", "hello", 3000, True]
