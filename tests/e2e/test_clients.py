"""Clients of every kind, good and bad: each is served or sent away as it deserves, and leaves nothing behind.

Every test ends with the check that connections, tasks, descriptors and the server's own objects are back to where they were.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.serving import MIB, Served, serving, until_true
from harness import DEADLINE_SECONDS
from raw_client import get

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("raw_app", "--no-access-log", body=body) as server:
        yield server


def seen(server: Served) -> dict[str, int]:
    answer: dict[str, int] = json.loads(server.request(b"/seen").body)
    return answer


def digest_of(content: bytes) -> bytes:
    return b"%d %s" % (len(content), hashlib.sha256(content).hexdigest().encode())


# -- the good


def test_keep_alive_client(server: Served) -> None:
    with server.connect() as client:
        for number in range(500):
            content = b"%d" % number * number
            assert client.request(b"/digest", method=b"POST", body=content or b"-").body == digest_of(content or b"-")
            assert client.request().body == b"hello"


def test_http10_client(server: Served) -> None:
    with server.connect() as client:
        answer = client.request(version=b"1.0")
        assert (answer.body, answer.get(b"connection")) == (b"hello", b"close")
        assert client.closed()
    with server.connect() as client:
        # Even a client of HTTP/1.0 that asks for it: one request, one connection.
        answer = client.request(b"/stream", b"Connection: keep-alive", version=b"1.0")
        assert (answer.body, answer.until_close) == (b"one two three", True)
    with server.connect() as client:
        client.send(b"POST /digest HTTP/1.0\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\nbody")
        answer = client.response()
        assert (answer.body, answer.interim) == (digest_of(b"body"), [])


def test_pipelining_client(server: Served) -> None:
    requests, bodies = [], []
    for number in range(200):
        content = b"%d" % number
        requests += [get(b"/digest", method=b"POST", body=content), get(), get(b"/stream"), get(b"/", method=b"HEAD")]
        bodies += [digest_of(content), b"hello", b"one two three", b""]
    with server.connect() as client:
        client.send(b"".join(requests))
        methods = [b"POST", b"GET", b"GET", b"HEAD"] * 200
        assert [client.response(method).body for method in methods] == bodies


def test_pipelined_answers_keep_their_order_when_the_first_is_slow(server: Served) -> None:
    with server.connect() as client:
        client.send(get(b"/wait?pipelined") + get() + get(b"/stream"))
        until_true(lambda: seen(server)["waiting"] == 1, "the first runs")
        assert not client.has_input()
        server.request(b"/open?pipelined")
        assert [client.response().body for _ in range(3)] == [b"at last", b"hello", b"one two three"]


def test_half_closing_client_gets_its_answer(server: Served) -> None:
    with server.connect() as client:
        client.send(get(b"/wait?half"))
        client.half_close()
        until_true(lambda: seen(server)["waiting"] == 1, "the application runs")
        server.request(b"/open?half")
        assert client.response().body == b"at last"
        assert client.closed()


def test_client_that_closes_at_once_after_connecting(server: Served) -> None:
    for _ in range(20):
        server.connect().close()
        server.connect().reset()


@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
@pytest.mark.parametrize("status", [204, 205, 304])
def test_status_without_content_keeps_the_connection_in_step(server: Served, method: bytes, status: int) -> None:
    with server.connect() as client:
        client.send(get(b"/status?%d" % status, method=method) + get())
        assert client.response(method).status == status
        assert client.response().body == b"hello"


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_expect_100_continue(server: Served, framing: str) -> None:
    field = b"Content-Length: 4" if framing == "length" else b"Transfer-Encoding: chunked"
    content = b"body" if framing == "length" else b"4\r\nbody\r\n0\r\n\r\n"
    with server.connect() as client:
        client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n%b\r\n\r\n" % field)
        # The 100 comes because the application reads; only then the content is sent.
        assert client.head().status == 100
        client.send(content)
        assert client.response().body == digest_of(b"body")
        assert client.request().body == b"hello"
    with server.connect() as client:
        client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n%b\r\n\r\n%b" % (field, content))
        # Whoever does not wait may be spared the 100.
        answer = client.response()
        assert answer.body == digest_of(b"body")
    with server.connect() as client:
        client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n%b\r\n\r\n" % field)
        answer = client.response()
        assert (answer.status, answer.interim) == (413, [])
        assert answer.get(b"connection") == b"close"


def test_early_answer_reaches_a_client_that_is_still_sending(server: Served) -> None:
    content = bytes(MIB)
    with server.connect() as client:
        client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(content))
        client.send(content)
        assert client.response().status == 413
        assert client.closed()


# -- the slow


@pytest.mark.parametrize("request_bytes", [get(b"/stream"), get(b"/digest", method=b"POST", body=b"body")])
def test_one_byte_dribbler(server: Served, request_bytes: bytes) -> None:
    with server.connect() as client:
        for _ in range(3):
            client.send(*(request_bytes[i : i + 1] for i in range(len(request_bytes))))
            assert client.response().status == 200


def test_one_byte_dribbler_of_chunks(server: Served) -> None:
    request = b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request += b"5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nT: 1\r\n\r\n"
    with server.connect() as client:
        client.send(*(request[i : i + 1] for i in range(len(request))))
        assert client.response().body == digest_of(b"hello world")


@pytest.mark.parametrize("target", [b"/large?100000000", b"/events"])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_never_reading_client_that_leaves(server: Served, target: bytes, how: str) -> None:
    refused = seen(server).get("send refused", 0)
    client = server.connect(receive_buffer_bytes=4096)
    client.send(get(target))
    until_true(lambda: seen(server).get("writing", 0) == 1, "the application writes")
    getattr(client, how)()
    until_true(lambda: seen(server)["writing"] == 0, "the application has ended")
    # `send` told it, as ASGI 2.4 wants.
    assert seen(server)["send refused"] == refused + 1


@pytest.mark.parametrize("taken", [0, MIB])
@pytest.mark.parametrize("how", ["close", "reset"])
def test_endless_stream_whose_client_leaves(server: Served, how: str, taken: int) -> None:
    """From then on send() must not pretend: an application that waits for nothing else would hold the loop for ever."""
    refused = seen(server).get("send refused", 0)
    client = server.connect()
    client.send(get(b"/torrent"))
    client.read_exactly(taken or 1)
    getattr(client, how)()
    until_true(lambda: seen(server).get("writing") == 0, "the application has ended")
    assert seen(server)["send refused"] == refused + 1


# -- the rude


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("framing", [b"Content-Length: 100000", b"Transfer-Encoding: chunked"])
def test_client_that_breaks_off_its_upload(server: Served, how: str, framing: bytes) -> None:
    before = seen(server).get("broken off", 0)
    client = server.connect()
    client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n1000\r\nbegun" % framing)
    getattr(client, how)()
    # A reset may overtake the request itself: then the application has never heard of it.
    if how == "close":
        until_true(lambda: seen(server).get("broken off", 0) == before + 1, "the application was told")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_long_poll_is_told_of_the_disconnect(server: Served, how: str) -> None:
    before = seen(server).get("disconnected", 0)
    client = server.connect()
    client.send(get(b"/listen"))
    until_true(lambda: seen(server).get("listening", 0) == 1, "the application listens")
    getattr(client, how)()
    until_true(lambda: seen(server).get("disconnected", 0) == before + 1, "the application was told")
    # It returned without a response to a client that has gone: nothing to complain about.
    server.settle()
    assert "without starting response" not in server.server.output


GARBAGE = [
    bytes(range(256)),
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),  # a TLS hello
    b"\x00" * 1000,
    b"GET\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\r\n" * 1000,
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda garbage: repr(garbage[:24]))
def test_garbage_is_a_400_and_the_end(server: Served, garbage: bytes) -> None:
    with server.connect() as client:
        client.send(garbage)
        answer = client.response()
        assert answer.status == 400
        assert answer.get(b"connection") == b"close"
        assert client.closed()


def test_garbage_after_a_good_request(server: Served) -> None:
    with server.connect() as client:
        client.send(get() + b"\x00garbage\r\n\r\n" + get())
        assert client.response().body == b"hello"
        assert client.response().status == 400
        assert client.closed()


def test_garbage_in_the_chunks_of_a_running_request(server: Served) -> None:
    with server.connect() as client:
        client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\nXYZ\r\n")
        assert client.response().status == 400
        assert client.closed()


def test_application_that_dies_in_the_middle(server: Served) -> None:
    with server.connect() as client:
        client.send(get(b"/break-off") + get())
        assert client.head().status == 200
        try:
            rest = client.read_to_end()
        except ConnectionResetError:
            rest = b""
        # No clean end, and no answer to the next request in its place.
        assert rest in (b"", b"5\r\nbegun\r\n")
    with server.connect() as client:
        # Where the close is the end of the content, only a reset can say that it is none.
        client.send(get(b"/break-off", version=b"1.0"))
        with pytest.raises(ConnectionResetError):
            client.read_to_end()


def test_application_that_raises(server: Served) -> None:
    with server.connect() as client:
        answer = client.request(b"/raise")
        assert (answer.status, answer.body) == (500, b"Internal Server Error")


# -- curl

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


def curl(server: Served, target: str, *options: str, content: bytes = b"") -> Any:
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(DEADLINE_SECONDS), *options]
    ran = subprocess.run([*command, server.url + target], input=content, capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@needs_curl
def test_curl(server: Served) -> None:
    assert curl(server, "/") == b"hello"
    assert curl(server, "/", "--http1.0") == b"hello"
    assert curl(server, "/stream", "--http1.0") == b"one two three"
    head = curl(server, "/", "--head")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"content-length: 5\r\n" in head
    assert curl(server, "/large?1000000") == bytes(1_000_000)
    both = subprocess.run(["curl", "-sS", "--noproxy", "*", server.url, server.url], capture_output=True, check=True)
    assert both.stdout == b"hellohello"


@needs_curl
@pytest.mark.parametrize("options", [(), ("-H", "Transfer-Encoding: chunked"), ("-H", "Expect: 100-continue"), ("-H", "Expect:")])
def test_curl_upload(server: Served, options: tuple[str, ...], tmp_path: Path) -> None:
    content = b"0123456789" * 300_000
    assert curl(server, "/digest", "--data-binary", "@-", *options, content=content) == digest_of(content)
    (tmp_path / "file").write_bytes(content)
    assert curl(server, "/digest", "--upload-file", str(tmp_path / "file"), *options) == digest_of(content)


@needs_curl
def test_curl_sees_a_refused_upload(server: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(4 * MIB))
    written = curl(server, "/refuse", "--upload-file", str(tmp_path / "file"), "--write-out", " %{http_code}")
    assert written == b"too much 413"


def test_many_clients_of_all_kinds_at_once(server: Served) -> None:
    """The rude ones do not disturb the good ones."""
    rude = []
    for number in range(20):
        client = server.connect(receive_buffer_bytes=4096)
        client.send((get(b"/events"), b"POST /digest HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nx", b"GET / HT")[number % 3])
        rude.append(client)
    with server.connect() as client:
        for _ in range(100):
            assert client.request().body == b"hello"
            assert client.request(b"/large?300000").body == bytes(300_000)
    for number, client in enumerate(rude):
        if number % 2:
            client.reset()
        else:
            client.close()


def test_socket_is_told_to_send_at_once(server: Served) -> None:
    """Two small writes of one response must not wait for each other's acknowledgement (Nagle against delayed ACK)."""
    with server.connect() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(20):
            assert client.request(b"/stream").body == b"one two three"
