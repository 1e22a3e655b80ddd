"""HTTP/2 connections that are attacks: floods, bombs, resets, windows that stay shut. Each is cut off or bounded.

Meanwhile others are served; afterwards nothing is left behind, and no traceback is in the log.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import select
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from e2e.attacks import answered_at_once, connections, large, memory_bound, read_to_the_cut, send_all_it_takes
from e2e.http2_frames import HTTP2Client, block, frame, request, settings, uint32
from e2e.serving import MIB, Served, serving, until_true
from harness import DEADLINE_SECONDS
from picocorn.http2.codes import (
    CANCEL,
    CONNECTION_PREFACE,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    WINDOW_UPDATE,
)

#: Windows as wide as they get.
WIDE = {"_4": 2**31 - 1}


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    with serving("raw_app", "--no-access-log", "--timeout-request-header", "1", "--timeout-keep-alive", "2", body=body) as server:
        yield server


@pytest.fixture(autouse=True)
def survived(server: Served) -> Iterator[None]:
    yield
    others_are_served(server)
    server.settle()
    assert "Traceback" not in server.server.output, server.server.output[-4000:]


def seen(server: Served, what: str) -> Any:
    return json.loads(server.request(b"/seen").body).get(what, 0)


def others_are_served(server: Served) -> None:
    """HTTP/1.1 and HTTP/2, on connections of their own."""

    def ask() -> None:
        assert server.request().body == b"hello"
        with server.connect() as client:
            other = HTTP2Client(client)
            other.send(request(1))
            assert other.read_response(1) == (200, b"hello")

    answered_at_once(server, ask)


def streams(*frames: Any) -> Iterator[bytes]:
    """What the functions `frames` make of 1, 3, 5..., so many at a time that one write takes a while."""
    for first in itertools.count(1, 1000):
        yield b"".join(make(stream_id) for stream_id in range(first, first + 1000, 2) for make in frames)


def reset(stream_id: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, uint32(CANCEL))


def sending(flood: Iterable[bytes], server: Served, size: int = 64 * MIB) -> list[int]:
    """Send the flood, reading what comes meanwhile, until the connection ends. Returns the codes of the GOAWAYs."""
    with server.connect() as client:
        HTTP2Client(client)
        received = b""
        for piece in flood:
            assert size > 0, "it is never cut off"
            size -= len(piece)
            sent = 0
            client.sock.setblocking(False)
            while sent < len(piece):
                readable, _, _ = select.select([client.sock], [client.sock], [], DEADLINE_SECONDS)
                try:
                    if readable:
                        more = client.sock.recv(65536)
                        if not more:
                            return goaways(received)
                        received += more
                    sent += client.sock.send(piece[sent : sent + 65536])
                except BlockingIOError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    return goaways(received)
        raise AssertionError("it is never cut off")


def goaways(received: bytes) -> list[int]:
    codes = []
    while len(received) >= 9:
        size = int.from_bytes(received[:3], "big")
        if received[3] == GOAWAY:
            codes.append(int.from_bytes(received[13:17], "big"))
        received = received[9 + size :]
    return codes


# -- floods: each ends with ENHANCE_YOUR_CALM


FLOODS = {
    "rapid reset": lambda: streams(request, reset),
    "rapid reset of requests that run": lambda: streams(lambda one: request(one, b"/wait?never"), reset),
    # The server resets each of them: for a window beyond all bounds, for more content than there was to be.
    "made you reset by too much window": lambda: streams(
        lambda one: request(one, b"/wait?never"), lambda one: frame(WINDOW_UPDATE, 0, one, uint32(2**31 - 1))
    ),
    "made you reset by content beyond its length": lambda: streams(
        lambda one: request(one, b"/wait?never", (b"content-length", b"1"), end=False, method=b"POST"),
        lambda one: frame(DATA, 0, one, b"xx"),
    ),
    "malformed requests": lambda: streams(lambda one: request(one, b"nowhere")),
    "ping": lambda: itertools.repeat(frame(PING, 0, 0, bytes(8)) * 1000),
    "settings": lambda: itertools.repeat(settings(_4=65535) * 1000),
    "priority": lambda: streams(lambda one: frame(PRIORITY, 0, one, uint32(0) + b"\x10")),
    "priority update": lambda: streams(lambda one: frame(PRIORITY_UPDATE, 0, 0, uint32(one) + b"u=1")),
    "window update": lambda: itertools.repeat(frame(WINDOW_UPDATE, 0, 0, uint32(1)) * 1000),
    "unknown frames": lambda: itertools.repeat(frame(0xFA, 0, 0, b"") * 1000),
    "empty content": lambda: itertools.chain(
        [request(1, b"/wait?never", end=False, method=b"POST")], itertools.repeat(frame(DATA, 0, 1) * 1000)
    ),
    "empty continuations": lambda: itertools.chain(
        [frame(HEADERS, END_STREAM, 1, block())], itertools.repeat(frame(CONTINUATION, 0, 1) * 1000)
    ),
    "continuations of one byte": lambda: itertools.chain(
        [frame(HEADERS, END_STREAM, 1, block())], itertools.repeat(frame(CONTINUATION, 0, 1, b"\x82") * 1000)
    ),
    "large continuations": lambda: itertools.chain(
        [frame(HEADERS, END_STREAM, 1, block())],
        itertools.repeat(frame(CONTINUATION, 0, 1, (b"\x00\x78" + b"x" * 120 + b"\x78" + b"y" * 120) * 60)),
    ),
}


@pytest.mark.parametrize("name", FLOODS)
def test_floods(server: Served, name: str) -> None:
    with memory_bound(server, 12):
        assert sending(FLOODS[name](), server) == [ENHANCE_YOUR_CALM]
    until_true(lambda: seen(server, "waiting") == 0 or not server.request(b"/open?never").status, "requests have ended")


def test_rapid_resets_run_no_more_than_so_many(server: Served) -> None:
    """Below what counts as a flood, over a long time: the tasks of requests that were reset are held to the limit."""
    with server.connect() as client:
        peer = HTTP2Client(client)
        for stream_id in range(1, 2 * 150, 2):
            peer.send(request(stream_id, b"/wait?slow"), reset(stream_id))
            peer.ping()
        assert seen(server, "waiting") <= 130
        server.request(b"/open?slow")


# -- bombs


@pytest.mark.parametrize("name", [b"x-bomb", b"cookie"])
def test_a_small_block_that_grows(server: Served, name: bytes) -> None:
    """One field of 4000 bytes in the dynamic table, then referred to again and again (RFC 7541 7.3)."""
    literal = b"\x40" + bytes([len(name)]) + name + b"\x7f" + bytes([(3900 - 127) % 128 | 128, (3900 - 127) // 128]) + b"x" * 3900
    bomb = block(method=b"GET") + literal + b"\xbe" * 12000
    with memory_bound(server, 8):
        for _ in range(3):
            with server.connect() as client:
                peer = HTTP2Client(client)
                peer.send(frame(HEADERS, END_STREAM | END_HEADERS, 1, bomb[:16384]))
                try:
                    assert peer.read_goaway() == ENHANCE_YOUR_CALM
                except AssertionError:
                    pass
                read_to_the_cut(client)


def test_a_field_section_over_the_limit_is_431(server: Served) -> None:
    with server.connect() as client:
        peer = HTTP2Client(client)
        fields = [(b"x-%d" % number, b"y" * 1000) for number in range(70)]
        data = block(b"/", *fields)
        pieces = [data[at : at + 16384] for at in range(0, len(data), 16384)]
        peer.send(frame(HEADERS, END_STREAM, 1, pieces[0]))
        for piece in pieces[1:-1]:
            peer.send(frame(CONTINUATION, 0, 1, piece))
        peer.send(frame(CONTINUATION, END_HEADERS, 1, pieces[-1]))
        assert peer.read_response(1)[0] == 431
        peer.send(request(3))
        assert peer.read_response(3) == (200, b"hello")


# -- windows and readers


@pytest.mark.parametrize("count", [100, large(128)])
def test_large_responses_for_who_gives_no_window(server: Served, count: int) -> None:
    with memory_bound(server, 16), server.connect() as client:
        peer = HTTP2Client(client, _4=0)
        peer.send(*(request(1 + 2 * number, b"/torrent") for number in range(count)))
        until_true(lambda: seen(server, "writing") == count, "all are writing")
        others_are_served(server)
        peer.ping()
    until_true(lambda: seen(server, "writing") == 0, "all have ended")


def test_large_responses_for_who_never_reads(server: Served) -> None:
    with memory_bound(server, 16), server.connect(receive_buffer_bytes=4096) as client:
        peer = HTTP2Client(client, **WIDE)
        peer.send(frame(WINDOW_UPDATE, 0, 0, uint32(2**30)), *(request(1 + 2 * number, b"/torrent") for number in range(50)))
        until_true(lambda: seen(server, "writing") == 50, "all are writing")
        others_are_served(server)
    until_true(lambda: seen(server, "writing") == 0, "all have ended")


@pytest.mark.parametrize(("count", "mib"), [(20, 8), large((128, 40))])
def test_uploads_that_nobody_reads_are_held_to_their_windows(server: Served, count: int, mib: int) -> None:
    """Each of them to its own: none takes what another one may send."""
    with memory_bound(server, mib), server.connect() as client:
        peer = HTTP2Client(client)
        # The windows are as wide as that once our settings are known to be.
        peer.ping()
        for stream_id in range(1, 2 * count, 2):
            peer.send(
                request(stream_id, b"/wait?upload", end=False, method=b"POST"), frame(DATA, 0, stream_id, bytes(16384)) * 16
            )
            peer.ping()
        others_are_served(server)
        peer.send(frame(DATA, 0, 1, bytes(16384)))
        while (one := peer.read()).kind not in (RST_STREAM, GOAWAY):
            pass
        # FLOW_CONTROL_ERROR: nobody has given credit for that.
        assert one.error_code == 3
    server.request(b"/open?upload")


@pytest.mark.parametrize("size", [100_000, large(250_000)])
def test_content_of_single_bytes_that_nobody_reads(server: Served, size: int) -> None:
    with memory_bound(server, 3), server.connect() as client:
        peer = HTTP2Client(client)
        peer.ping()
        peer.send(request(1, b"/wait?single", end=False, method=b"POST"))
        for _ in range(size // 10_000):
            peer.send(frame(DATA, 0, 1, b"x") * 10_000)
        peer.ping()
    server.request(b"/open?single")


def test_a_flood_of_small_requests_for_who_never_reads(server: Served) -> None:
    with memory_bound(server, 16), server.connect(receive_buffer_bytes=4096) as client:
        HTTP2Client(client)
        client.sock.settimeout(1)
        # Until it is cut off, or nothing more is taken.
        with contextlib.suppress(TimeoutError, ConnectionError):
            for piece in itertools.islice(streams(request), 100):
                client.send(piece)
        others_are_served(server)


# -- slowness, and the end


@pytest.mark.parametrize("count", [100, large(1000)])
@pytest.mark.parametrize(
    "begun", [CONNECTION_PREFACE[:20], CONNECTION_PREFACE, CONNECTION_PREFACE + settings() + frame(HEADERS, 0, 1, block())]
)
def test_beginnings_without_an_end(server: Served, begun: bytes, count: int) -> None:
    with memory_bound(server, 8 + count * 0.05), connections(server, count, begun) as clients:
        others_are_served(server)
        for sock in clients:
            while sock.recv(65536):
                pass


def test_goaway_and_rubbish(server: Served) -> None:
    with memory_bound(server, 4), server.connect() as client:
        peer = HTTP2Client(client)
        peer.send(request(1, b"/listen"), frame(GOAWAY, 0, 0, bytes(8)), b"\xff" * 1000)
        send_all_it_takes(client, itertools.repeat(b"\xff" * 65536), MIB)
        read_to_the_cut(client)
    until_true(lambda: seen(server, "listening") == 0, "the application was told")


def test_resets_of_the_connection(server: Served) -> None:
    with memory_bound(server, 8):
        for _ in range(20):
            client = server.connect()
            peer = HTTP2Client(client)
            peer.send(*(request(1 + 2 * number, b"/listen") for number in range(20)))
            peer.ping()
            client.reset()
    until_true(lambda: seen(server, "listening") == 0, "the applications were told")
