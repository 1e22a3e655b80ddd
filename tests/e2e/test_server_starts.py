"""The walk from a command line to an answer: each way of starting, each kind of socket, what is logged, what is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import picocorn
from e2e.serving import APPS, Served, serving
from harness import DEADLINE_SECONDS, Client, SpawnedServer
from raw_client import get

SOURCE = str(Path(picocorn.__file__).parent.parent)


def environment(body: str) -> dict[str, str]:
    env = {**os.environ, "PYTHONPATH": SOURCE, "PYTHONUNBUFFERED": "1"}
    env.pop("PICOCORN_NO_EXTENSIONS", None)
    return {**env, "PICOCORN_NO_EXTENSIONS": "1"} if body == "pure" else env


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("raw_app", body=body) as server:
        yield server


def commands() -> dict[str, list[str]]:
    script = Path(sys.executable).parent / "picocorn"
    return {
        "module": [sys.executable, "-m", "picocorn"],
        # Where the package is not installed, what the console script would do.
        "script": [str(script)] if script.exists() else [sys.executable, "-c", "from picocorn.cli.main import main; main()"],
    }


@pytest.mark.parametrize("how", ["module", "script"])
def test_started_and_asked_by_curl(body: str, how: str) -> None:
    command = [*commands()[how], "raw_app:app", "--app-dir", str(APPS), "--port", "0"]
    server = SpawnedServer(command, None, environment(body))
    try:
        url = f"http://127.0.0.1:{server.port}/"
        if shutil.which("curl"):
            ran = subprocess.run(["curl", "-sS", "-i", "--noproxy", "*", url], capture_output=True, check=True, text=True)
            head, _, content = ran.stdout.partition("\n\n")
            assert head.startswith("HTTP/1.1 200 OK")
            assert content == "hello"
        with Client(("127.0.0.1", server.port)) as client:
            assert client.request().body == b"hello"
        server.wait_for(r'INFO: +127\.0\.0\.1:\d+ - "GET / HTTP/1\.1" 200 OK')
        assert server.stop() == -15
        lines = [re.sub(r"\[\d+\]|:\d+", "", line) for line in server.output.splitlines() if line not in server.stdout]
        assert lines == [
            "INFO:     Started server process ",
            "INFO:     Waiting for application startup.",
            "INFO:     Application startup complete.",
            "INFO:     Picocorn running on http://127.0.0.1 (Press CTRL+C to quit)",
            "INFO:     Shutting down",
            "INFO:     Waiting for application shutdown.",
            "INFO:     Application shutdown complete.",
            "INFO:     Finished server process ",
        ]
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.join()


#: Raw requests whose answers must be the same, byte for byte, whoever gives them.
RECORDED = [
    get(),
    get(b"/", method=b"HEAD"),
    get(b"/", version=b"1.0"),
    get(b"/stream"),
    get(b"/stream", version=b"1.0"),
    get(b"/stream", b"Connection: close"),
    get(b"/nowhere?x=%20"),
    get(b"/scope?a=b&c=%C3%A9", b"X-A: 1", b"x-a:  2 ", b"Cookie: a=1", b"Cookie: b=2"),
    get(b"/scop%65/%E4%BD%A0", b"X: \xff"),
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://other:8000/scope?x HTTP/1.1\r\nHost: a\r\n\r\n",
    get(b"/digest", method=b"POST", body=b"content"),
    b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nT: 1\r\n\r\n",
    b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody",
    b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n",
    b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 400000\r\n\r\nbegun",
    get(b"/refuse", method=b"POST", body=b"little"),
    get(b"/raise"),
    get(b"/break-off"),
    *(get(b"/status?%d" % status, method=method) for status in (200, 204, 205, 304, 404, 599) for method in (b"GET", b"HEAD")),
    get(b"/ws", b"Connection: Upgrade", b"Upgrade: websocket"),
    get(b"/", b"Connection: Upgrade", b"Upgrade: h2c"),
    get() + get(b"/stream") + get(b"/", method=b"HEAD") + get(),
    get() + b"garbage\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET /\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"FOO /scope HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n folded\r\n\r\n",
    b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 101 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"v" * 70000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nExpect: something\r\nContent-Length: 1\r\n\r\nx",
]


def exchange(server: Served, request: bytes, whole: bool) -> bytes:
    """All that is answered to `request` up to the close that follows, without the dates."""
    with Client(server.address) as client:
        if whole:
            client.send(request)
        else:
            middle = len(request) // 2
            client.send(request[:middle], request[middle:])
        client.half_close()
        try:
            received = client.read_to_end()
        except ConnectionResetError:
            received = b"reset"
    return re.sub(rb"date: [^\r]+", b"date: -", received)


def test_both_bodies_give_the_same_bytes() -> None:
    with (
        serving("raw_app", "--no-access-log", body="native") as native,
        serving("raw_app", "--no-access-log", body="pure") as pure,
    ):
        for request in RECORDED:
            for whole in (True, False):
                one, other = exchange(native, request, whole), exchange(pure, request, whole)
                assert one, request
                assert one == other, request[:200]


if os.environ.get("PICOCORN_NO_EXTENSIONS", "") not in ("", "0"):
    test_both_bodies_give_the_same_bytes = pytest.mark.skip("the native body is deselected")(test_both_bodies_give_the_same_bytes)


def test_unix_socket(body: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with serving("raw_app", body=body, uds=str(path)) as server:
        scope = json.loads(server.request(b"/scope").body)
        assert scope["path"] == "/scope"
        server.server.wait_for(r'- "GET /scope HTTP/1\.1" 200 OK')
        for _ in range(50):
            assert server.request(b"/digest", method=b"POST", body=b"x" * 1000).status == 200
    assert not path.exists()


def test_inherited_descriptor(body: str) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.set_inheritable(True)
        number = listening.fileno()
        command = [sys.executable, "-m", "picocorn", "raw_app:app", "--app-dir", str(APPS), "--fd", str(number)]
        process = subprocess.Popen(
            command, env=environment(body), pass_fds=[number], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        try:
            # The socket listens already: whoever connects before the server is up waits.
            with Client(listening.getsockname()) as client:
                assert client.request().body == b"hello"
            process.terminate()
            output, _ = process.communicate(timeout=DEADLINE_SECONDS)
            assert "Picocorn running on socket" in output
            assert process.returncode == -15
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def test_proxy_headers(server: Served, body: str) -> None:
    fields = (b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https")
    assert json.loads(server.request(b"/scope", *fields).body)["scheme"] == "https"
    server.server.wait_for(r'192\.0\.2\.7:0 - "GET /scope HTTP/1\.1" 200 OK')
    with serving("raw_app", "--forwarded-allow-ips", "192.0.2.1", body=body) as careful:
        assert json.loads(careful.request(b"/scope", *fields).body)["scheme"] == "http"
        careful.server.wait_for(r'127\.0\.0\.1:\d+ - "GET /scope')


def test_access_log(server: Served) -> None:
    server.request(b"/stream?x=%20&y=%C3%A9")
    server.server.wait_for(r'- "GET /stream\?x=%20&y=%C3%A9 HTTP/1\.1" 200 OK')
    server.request(b"/%1b%0a/%C3%A9%2F")
    server.server.wait_for(r'- "GET /%1B%0A/%C3%A9/ HTTP/1\.1" 404 Not Found')
    server.request(b"/raise", version=b"1.0")
    server.server.wait_for(r'- "GET /raise HTTP/1\.0" 500 Internal Server Error')


def test_port_in_use(server: Served, body: str) -> None:
    command = [sys.executable, "-m", "picocorn", "raw_app:app", "--app-dir", str(APPS), "--port", str(server.port)]
    ran = subprocess.run(command, env=environment(body), capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert ran.returncode == 3
    complaint = [line for line in ran.stderr.splitlines() if line.startswith("ERROR")]
    assert len(complaint) == 1
    assert str(server.port) in complaint[0]
    assert "Traceback" not in ran.stderr
    # The other one goes on.
    assert server.request().body == b"hello"
