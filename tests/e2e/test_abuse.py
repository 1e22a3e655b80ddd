"""Requests that are attacks: endless, dribbled, never read. Each is cut off or bounded, and others are served meanwhile."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest

from e2e.attacks import Dribble, connections, large, memory_bound, read_to_the_cut, send_all_it_takes
from e2e.serving import MIB, Served, serving, until_true
from harness import Client
from raw_client import get

pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    timeouts = ("--timeout-request-header", "1", "--timeout-request-body", "1", "--timeout-keep-alive", "1")
    with serving("raw_app", "--no-access-log", *timeouts, body=body) as server:
        yield server


def seen(server: Served, what: str) -> int:
    count: int = json.loads(server.request(b"/seen").body).get(what, 0)
    return count


def others_are_served(server: Served) -> None:
    for _ in range(3):
        assert server.request().body == b"hello"


# -- endless

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST /digest HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
#: What is sent once, what is sent for ever, the status.
ENDLESS = {
    "header value": (HEAD + b"x: ", b"v" * 65536, 431),
    "header name": (HEAD, b"n" * 65536, 431),
    "header count": (HEAD, b"a: b\r\n" * 10000, 431),
    "target": (b"GET /", b"t" * 65536, 414),
    "query": (b"GET /?", b"q=1&" * 16384, 414),
    "method": (b"", b"M" * 65536, 414),
    "empty lines": (b"", b"\r\n" * 32768, 400),
    "chunk-size digits": (CHUNKED, b"0" * 65536, 400),
    "chunk extension": (CHUNKED + b"1;", b"e" * 65536, 400),
    "chunk extensions": (CHUNKED, b"1;a=b\r\nx\r\n" * 6000, 400),
    "trailer value": (CHUNKED + b"0\r\nt: ", b"v" * 65536, 400),
    "trailer count": (CHUNKED + b"0\r\n", b"a: b\r\n" * 10000, 400),
    "cookies": (HEAD, b"cookie: a=b\r\n" * 5000, 431),
}


@pytest.mark.parametrize("size", [4 * MIB, large(500 * MIB)])
@pytest.mark.parametrize("name", ENDLESS)
def test_endless(server: Served, name: str, size: int) -> None:
    begin, again, status = ENDLESS[name]
    with memory_bound(server, 8), server.connect() as client:
        client.send(begin)
        sent, ended = send_all_it_takes(client, itertools.repeat(again), size)
        assert ended, f"still open after {sent} bytes"
        # Not a reset that eats the answer: the client is told.
        answer = client.response()
        assert answer.status == status
        assert answer.get(b"connection") == b"close"
        others_are_served(server)
        assert client.closed()


@pytest.mark.parametrize("size", [MIB, large(200 * MIB)])
@pytest.mark.parametrize("chunk", [b"1\r\nx\r\n", b"00000001;a\r\nx\r\n"], ids=["plain", "extended"])
def test_content_in_chunks_of_one_byte(server: Served, chunk: bytes, size: int) -> None:
    """Legal, if costly: read as it comes, or refused once the extensions of a message exceed their limit."""
    with memory_bound(server, 16), server.connect() as client:
        client.send(CHUNKED)
        _, ended = send_all_it_takes(client, itertools.repeat(chunk * 10000), size)
        others_are_served(server)
        if not ended:
            client.send(b"0\r\n\r\n")
        assert client.response().status == (400 if b";" in chunk else 200)


# -- dribbled


@pytest.mark.parametrize("count", [10, large(500)])
@pytest.mark.parametrize(
    ("begin", "again"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"v"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"a: b\r\n"),
        (b"GET /", b"t"),
        (b"\r\n\r\n\r\nG", b"E"),
    ],
    ids=["value", "fields", "target", "method"],
)
def test_head_dribbled_for_ever_is_a_408(server: Served, begin: bytes, again: bytes, count: int) -> None:
    with memory_bound(server, 8), connections(server, count) as socks:
        dribble = Dribble(socks, begin, again)
        others_are_served(server)
        for answer in dribble.wait():
            # A long method or too many empty lines may be judged before the time is up.
            assert answer.split(b" ")[1] in {b"408", b"400", b"501"}, answer


def test_second_head_dribbled_for_ever(server: Served) -> None:
    """The keep-alive timer has ended with the first byte of the second request; the header timer must have begun."""
    with server.connect() as client:
        assert client.request().body == b"hello"
        dribble = Dribble([client.sock], b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"v")
        others_are_served(server)
        assert b" 408 " in dribble.wait()[0]


def test_silent_client_is_cut(server: Served) -> None:
    with connections(server, 20) as socks:
        others_are_served(server)
        assert {sock.recv(100) for sock in socks} == {b""}


def test_idle_keep_alive_client_is_cut(server: Served) -> None:
    with server.connect() as client:
        assert client.request().body == b"hello"
        assert client.closed()


def test_only_empty_lines_are_no_sign_of_life(server: Served) -> None:
    with server.connect() as client:
        dribble = Dribble([client.sock], b"\r\n\r\n", b"\r\n", pause_seconds=0.2)
        others_are_served(server)
        dribble.wait()


@pytest.mark.parametrize("framing", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_body_that_stalls_is_a_408(server: Served, framing: bytes) -> None:
    with server.connect() as client:
        client.send(b"POST /digest HTTP/1.1\r\nHost: a\r\n%b\r\n\r\n1" % framing)
        others_are_served(server)
        assert client.response().status == 408
        assert client.closed()


@pytest.mark.parametrize("count", [10, large(300)])
@pytest.mark.parametrize("target", [b"/digest", b"/wait?dribbled"])
def test_body_dribbled_for_ever_is_bounded(server: Served, target: bytes, count: int) -> None:
    """One byte now and then is progress: not cut, but it costs next to nothing and ends with the client."""
    head = b"POST %b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" % target
    with memory_bound(server, 8), connections(server, count, head) as socks:
        dribble = Dribble(socks, b"", b"1\r\nx\r\n", pause_seconds=0.005)
        until_true(lambda: server.left_behind().get("tasks") == count, "all are being served")
        for _ in range(30):
            others_are_served(server)
        dribble.stop()
    server.request(b"/open?dribbled")


# -- never read


def never_reads(server: Served) -> Client:
    return server.connect(receive_buffer_bytes=4096)


@pytest.mark.parametrize("count", [5, large(100)])
@pytest.mark.parametrize("target", [b"/large?1000000000", b"/events"])
def test_reader_that_never_reads(server: Served, target: bytes, count: int) -> None:
    sent_before = seen(server, "sent")
    # What a connection may hold: 64 KiB of ours and a message of the application's.
    with memory_bound(server, 8 + count * 0.4), connections(server, count, get(target), 4096):
        until_true(lambda: seen(server, "writing") == count, "all write")
        sent = -1
        # Until send() takes no more from any of them.
        while sent != (now := seen(server, "sent")):
            sent = now
            others_are_served(server)
        # The rest is in the kernel's buffers.
        assert (sent - sent_before) / count < 8 * MIB
    until_true(lambda: seen(server, "writing") == 0, "all have ended")


@pytest.mark.parametrize("count", [10_000, large(1_000_000)])
@pytest.mark.parametrize("target", [b"/", b"/large?5000"])
def test_pipelined_requests_whose_answers_are_never_read(server: Served, target: bytes, count: int) -> None:
    request = get(target)
    with memory_bound(server, 16):
        client = never_reads(server)
        taken, _ = send_all_it_takes(client, itertools.repeat(request * 100, count // 100), count * len(request))
        others_are_served(server)
        client.close()
    if target != b"/":
        # The requests themselves are not taken without bound either.
        assert taken < 16 * MIB


@pytest.mark.parametrize("count", [10_000, large(200_000)])
def test_pipelined_requests_whose_answers_are_read_late(server: Served, count: int) -> None:
    """Nothing is lost by the holding back, and they come in order."""
    request = get(b"/large?100") + get()
    with server.connect() as client, memory_bound(server, 16):
        for _ in range(count // 2000):
            client.send(request * 1000)
            for _ in range(1000):
                assert client.response().body == bytes(100)
                assert client.response().body == b"hello"


@pytest.mark.parametrize("size", [64 * MIB, large(2000 * MIB)])
@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"Content-Length: 4000000000\r\n\r\n", bytes(65536)),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + bytes(65536) + b"\r\n"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"2\r\nxy\r\n" * 10000),
    ],
    ids=["length", "chunks", "small chunks"],
)
def test_upload_that_nobody_reads(server: Served, head: bytes, piece: bytes, size: int) -> None:
    with memory_bound(server, 16), server.connect() as client:
        client.send(b"POST /wait?upload HTTP/1.1\r\nHost: a\r\n" + head)
        sent, ended = send_all_it_takes(client, itertools.repeat(piece), size)
        assert not ended
        # The kernel's own buffers are what it has taken.
        assert sent < size
        others_are_served(server)
        server.request(b"/open?upload")
        # The answer comes early, and with the close of the connection: so much is not read only to be dropped.
        answer = client.response()
        assert (answer.body, answer.get(b"connection")) == (b"at last", b"close")


def test_upload_that_goes_on_after_its_answer(server: Served) -> None:
    """The lingering close has an end too."""
    with memory_bound(server, 16), server.connect() as client:
        client.send(b"POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000000\r\n\r\n")
        assert client.response().status == 413
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            client.send(bytes(200 * MIB))
        others_are_served(server)
        read_to_the_cut(client)
