"""WebSockets that are attacks: floods, bombs, lies about lengths, peers that never read. Each is cut off or bounded.

Meanwhile others are served; afterwards nothing is left behind, and no traceback is in the log.
"""

from __future__ import annotations

import functools
import itertools
import json
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.attacks import Dribble, answered_at_once, connections, large, memory_bound, read_to_the_cut, send_all_it_takes
from e2e.serving import MIB, Served, serving, until_true
from e2e.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    ZERO_MASK,
    WebSocket,
    close_frame,
    frame,
    handshake,
    upgrade,
)

#: What the default --ws-max-size allows.
MAX_SIZE_BYTES = 16 * MIB
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    """No keep-alive pings: however long an attack takes, what the server says is an answer to it."""
    options = ("--timeout-request-header", "1", "--ws-ping-interval", "0")
    with serving("websocket_app", "--no-access-log", *options, body=body) as server:
        yield server


@pytest.fixture(autouse=True)
def survived(server: Served) -> Iterator[None]:
    server.request(b"/forget")
    yield
    others_are_served(server)
    server.settle()
    assert "Traceback" not in server.server.output, server.server.output[-4000:]


def seen(server: Served, what: str) -> Any:
    return json.loads(server.request(b"/seen").body).get(what, 0)


def ends(server: Served, path: str) -> list[list[Any]]:
    """Code and reason of each session of that path that has ended."""
    return [end for ended, *end in seen(server, "ends") if ended == path]


def others_are_served(server: Served) -> None:
    """HTTP and WebSocket, on connections of their own."""

    def ask() -> None:
        assert server.request().body == b"hello"
        with server.connect() as client:
            other = upgrade(client, behind=frame(TEXT, b"still there?") + close_frame())
            assert other.read_message() == "still there?"
            assert other.read_close()[0] == 1000
            assert other.closed()

    answered_at_once(server, ask)


def code_of_the_cut(client: Any) -> int:
    """The close code that comes after whatever else is on its way; the connection ends behind it."""
    socket_ = WebSocket(client, None)  # type: ignore[arg-type]
    while (got := socket_.read()).opcode != CLOSE:
        pass
    read_to_the_cut(client)
    return got.close_code


# -- fragments


# More than the kernel's buffers may hold, 40 MiB as a rule, behind what a message may have: a server may be slow to say so.
@pytest.mark.parametrize("size", [160 * MIB, large(500 * MIB)])
@pytest.mark.parametrize("piece_bytes", [65536, 1000])
def test_endless_message_in_fragments_is_1009(server: Served, piece_bytes: int, size: int) -> None:
    piece = frame(CONTINUATION, bytes(piece_bytes), fin=False, mask=ZERO_MASK) * (MIB // piece_bytes)
    # What a message may hold, once more for the block it grows into.
    with memory_bound(server, 3 * MAX_SIZE_BYTES / MIB + 8), server.connect() as client:
        upgrade(client, b"/listen").send(BINARY, b"", fin=False)
        sent, ended = send_all_it_takes(client, itertools.repeat(piece), size)
        assert ended, f"still open after {sent} bytes"
        assert code_of_the_cut(client) == 1009
    until_true(lambda: ends(server, "/listen"), "the application was told")
    assert ends(server, "/listen")[0][0] == 1009


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("count", [500_000])
def test_half_a_million_fragments_of_one_byte(server: Served, opcode: int, count: int) -> None:
    middle = frame(CONTINUATION, b"x", fin=False) * (count - 2)
    with memory_bound(server, 8), server.connect() as client:
        socket_ = upgrade(client, b"/digest")
        client.send(frame(opcode, b"x", fin=False), middle)
        others_are_served(server)
        client.send(frame(CONTINUATION, b"x"))
        answer = socket_.read_message()
        assert str(answer).split()[:2] == ["str" if opcode == TEXT else "bytes", str(count)]


@pytest.mark.parametrize("size", [MIB, large(20 * MIB)])
def test_endless_empty_fragments(server: Served, size: int) -> None:
    """No message ever comes of them, and no size either: they must cost nothing but their time."""
    piece = frame(CONTINUATION, b"", fin=False) * 10_000
    with memory_bound(server, 4), server.connect() as client:
        socket_ = upgrade(client)
        socket_.send(TEXT, b"a", fin=False)
        _, ended = send_all_it_takes(client, itertools.repeat(piece), size)
        assert not ended
        others_are_served(server)
        client.send(frame(CONTINUATION, b"b"))
        assert socket_.read_message() == "ab"


def test_fragments_with_pings_between_all_of_them(server: Served) -> None:
    count = 20_000
    with memory_bound(server, 8), server.connect() as client:
        socket_ = upgrade(client)
        socket_.send(BINARY, b"", fin=False)
        client.sock.setblocking(True)
        pairs = (frame(CONTINUATION, b"x", fin=False) + frame(PING, b"?")) * 1000
        pongs = 0
        for _ in range(count // 1000):
            client.send(pairs)
            # Pongs may be fewer than the pings, never more (RFC 6455 5.5.3).
            socket_.send(PING, b"!")
            while (got := socket_.read()).payload != b"!":
                assert (got.opcode, got.payload) == (PONG, b"?")
                pongs += 1
        assert pongs <= count
        client.send(frame(CONTINUATION))
        assert socket_.read_message() == b"x" * count


# -- lengths that are lies


@pytest.mark.parametrize(
    ("length", "code"),
    [(200 * MIB, 1009), (MAX_SIZE_BYTES + 1, 1009), (2**63 - 1, 1009), (2**63, 1002), (2**64 - 1, 1002)],
)
def test_declared_length_beyond_the_limit_is_refused_at_the_header(server: Served, length: int, code: int) -> None:
    with memory_bound(server, 4), server.connect() as client:
        upgrade(client)
        client.send(frame(BINARY, b"", length=length))
        assert code_of_the_cut(client) == code


def test_fragments_whose_lengths_add_up_to_too_much(server: Served) -> None:
    with memory_bound(server, 4), server.connect() as client:
        upgrade(client)
        client.send(frame(BINARY, b"x", fin=False), frame(CONTINUATION, b"", length=MAX_SIZE_BYTES))
        assert code_of_the_cut(client) == 1009


@pytest.mark.parametrize("count", [200, large(2000)])
@pytest.mark.parametrize("begun", [0, 1, 1000])
def test_declared_length_that_never_comes(server: Served, begun: int, count: int) -> None:
    request = handshake(b"/listen") + frame(BINARY, bytes(begun), length=MAX_SIZE_BYTES, mask=ZERO_MASK)
    # Held: what has come, and what any open WebSocket costs; not what has been promised.
    with memory_bound(server, 4 + count * 0.05), connections(server, count, request):
        until_true(lambda: seen(server, "listening") == count, "all are open")
        others_are_served(server)
    until_true(lambda: seen(server, "listening") == 0, "all have ended")


# -- control frames


@pytest.mark.parametrize("size", [8 * MIB, large(500 * MIB)])
def test_ping_flood_of_a_client_that_never_reads(server: Served, size: int) -> None:
    with memory_bound(server, 4), server.connect(receive_buffer_bytes=4096) as client:
        socket_ = upgrade(client)
        sent, _ = send_all_it_takes(client, itertools.repeat(frame(PING, bytes(125), mask=ZERO_MASK) * 500), size)
        others_are_served(server)
        if sent >= size:
            # Whoever reads at last gets whole frames, and an answer to the last of them.
            client.send(frame(PING, b"the last"))
            while (got := socket_.read()).payload != b"the last":
                assert (got.opcode, got.payload) == (PONG, bytes(125))
            assert got.opcode == PONG


@pytest.mark.parametrize("count", [20_000, large(200_000)])
def test_ping_flood_of_a_client_that_reads(server: Served, count: int) -> None:
    with memory_bound(server, 4), server.connect() as client:
        socket_ = upgrade(client)
        for start in range(0, count, 1000):
            client.send(b"".join(frame(PING, b"%d" % number) for number in range(start, start + 1000)))
            last = -1
            while last != start + 999:
                got = socket_.read()
                assert got.opcode == PONG
                assert int(got.payload) > last
                last = int(got.payload)


@pytest.mark.parametrize("size", [MIB, large(50 * MIB)])
@pytest.mark.parametrize("payload", [b"", bytes(125)], ids=["empty", "full"])
def test_flood_of_pongs_that_nobody_asked_for(server: Served, payload: bytes, size: int) -> None:
    with memory_bound(server, 4), server.connect() as client:
        socket_ = upgrade(client)
        _, ended = send_all_it_takes(client, itertools.repeat(frame(PONG, payload, mask=ZERO_MASK) * 1000), size)
        assert not ended
        others_are_served(server)
        client.send(frame(TEXT, b"and?"))
        assert socket_.read_message() == "and?"


# -- deflate


@functools.cache
def deflated(data_bytes: int, value: bytes = b"\0") -> bytes:
    """So many equal bytes as a message of permessage-deflate."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [deflater.compress(value * MIB) for _ in range(data_bytes // MIB)]
    pieces += [deflater.compress(value * (data_bytes % MIB)), deflater.flush(zlib.Z_SYNC_FLUSH)]
    return b"".join(pieces).removesuffix(b"\x00\x00\xff\xff")


@pytest.mark.parametrize("data_bytes", [MAX_SIZE_BYTES + 1, 100 * MIB, large(2000 * MIB)])
@pytest.mark.parametrize("pieces", [1, 50])
@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
def test_deflate_bomb_is_1009(server: Served, opcode: int, pieces: int, data_bytes: int) -> None:
    bomb = deflated(data_bytes, b"a")
    step = len(bomb) // pieces + 1
    parts = [bomb[start : start + step] for start in range(0, len(bomb), step)]
    with memory_bound(server, 3 * MAX_SIZE_BYTES / MIB + 8), server.connect() as client:
        socket_ = upgrade(client, b"/listen", DEFLATE)
        assert b"permessage-deflate" in (socket_.response.get(b"sec-websocket-extensions") or b"")
        frames = [
            frame(CONTINUATION if number else opcode, part, fin=number == len(parts) - 1, reserved=0 if number else 4)
            for number, part in enumerate(parts)
        ]
        send_all_it_takes(client, frames, 2**62)
        assert code_of_the_cut(client) == 1009


def test_many_bombs_that_are_just_small_enough(server: Served) -> None:
    """In one piece, before an application that never receives: they must not all be inflated before reading pauses."""
    # Each stands alone, as after a "client_no_context_takeover".
    bomb = frame(BINARY, deflated(MAX_SIZE_BYTES), reserved=4)
    with memory_bound(server, 4 * MAX_SIZE_BYTES / MIB), server.connect() as client:
        upgrade(client, b"/deaf?gate=bombs", DEFLATE)
        until_true(lambda: seen(server, "deaf") == 1, "it is open")
        send_all_it_takes(client, [bomb * 40], 2**62)
        others_are_served(server)
        # The close is behind them all, and reading has stopped before it: only a reset ends it now.
        client.reset()
    server.request(b"/open?bombs")
    until_true(lambda: ends(server, "/deaf"), "the application was told")
    assert ends(server, "/deaf") == [[1006, ""]]


@pytest.mark.parametrize("data", [b"\xff" * 100, b"\x07", b"\x00\x01\x00\xff\xff", b"\x02" * 1000])
def test_rubbish_that_claims_to_be_deflated(server: Served, data: bytes) -> None:
    with memory_bound(server, 4), server.connect() as client:
        upgrade(client, b"/echo", DEFLATE)
        client.send(frame(BINARY, data, reserved=4))
        assert code_of_the_cut(client) in (1002, 1007)


def test_compressed_frame_where_it_was_not_agreed_on(server: Served) -> None:
    with server.connect() as client:
        upgrade(client)
        client.send(frame(BINARY, deflated(1000), reserved=4))
        assert code_of_the_cut(client) == 1002


# -- never read


@pytest.mark.parametrize(("size", "count"), [(65536, 5), (1000, 5), large((65536, 30)), large((1000, 30)), large((10, 5))])
@pytest.mark.parametrize("deflate", [b"X: y", DEFLATE], ids=["plain", "deflate"])
def test_reader_that_never_reads(server: Served, deflate: bytes, size: int, count: int) -> None:
    sent_before = seen(server, "poured bytes")
    request = handshake(b"/torrent?random=1&yield=1&size=%d" % size, deflate)
    # What a connection may hold: 64 KiB of ours, a message of the application's, zlib's windows.
    with memory_bound(server, 8 + count * 0.8), connections(server, count, request, 4096):
        until_true(lambda: seen(server, "writing") == count, "all write")
        sent = -1
        # Until send() takes no more from any of them.
        while sent != (now := seen(server, "poured bytes")):
            sent = now
            others_are_served(server)
        # The rest is in the kernel's buffers.
        assert (sent - sent_before) / count < 8 * MIB
    until_true(lambda: seen(server, "writing") == 0, "all have ended")


@pytest.mark.parametrize("count", [5, large(100)])
@pytest.mark.parametrize("payload", [b"", b"x", bytes(65536), bytes(MIB)], ids=["empty", "byte", "64 KiB", "1 MiB"])
def test_application_that_never_receives(server: Served, payload: bytes, count: int) -> None:
    gate = b"%d" % len(payload)
    piece = frame(BINARY, payload, mask=ZERO_MASK)
    piece *= max(1, 65536 // len(piece))
    with memory_bound(server, 8 + count * (0.5 + 3 * len(payload) / MIB)), connections(server, count) as socks:
        taken = []
        for sock in socks:
            sock.sendall(handshake(b"/deaf?gate=" + gate))
        until_true(lambda: seen(server, "deaf") == count, "all are open")
        for sock in socks:
            client = server.connect()
            client.sock.close()
            client.sock = sock
            sent, _ = send_all_it_takes(client, itertools.repeat(piece), 64 * MIB)
            assert sent < 64 * MIB, "all of it was taken"
            taken.append(sent)
        others_are_served(server)
        for sock in socks:
            sock.close()
    server.request(b"/open?" + gate)
    until_true(lambda: seen(server, "deaf") == 0, "all have ended")
    until_true(lambda: len(ends(server, "/deaf")) == count, "all were told")
    assert {code for code, _ in ends(server, "/deaf")} == {1006}


@pytest.mark.parametrize("size", [64 * MIB, large(2000 * MIB)])
def test_frames_before_the_accept_are_bounded(server: Served, size: int) -> None:
    """What is sent behind a handshake that is not answered yet is kept for after the accept, and it is not endless."""
    piece = frame(BINARY, bytes(10_000), mask=ZERO_MASK)
    with memory_bound(server, 8), server.connect() as client:
        client.send(handshake(b"/slow?gate=accept"))
        until_true(lambda: seen(server, "slow") == 1, "it waits")
        sent, ended = send_all_it_takes(client, itertools.repeat(piece), size)
        assert sent < size
        assert not ended
        others_are_served(server)
        server.request(b"/open?accept")
        assert client.head().status == 101
        socket_ = WebSocket(client, None)  # type: ignore[arg-type]
        # Nothing of it was lost; the last one is not whole.
        for _ in range(sent // len(piece)):
            assert socket_.read_message() == "bytes 10000"


# -- handshakes


UPGRADE = b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
KEYED = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
VERSION = b"Sec-WebSocket-Version: 13\r\n"
START = b"GET /echo HTTP/1.1\r\nHost: a\r\n"
#: Handshakes that are none, and what they are answered.
RUBBISH = {
    "HTTP/1.0": (b"GET /echo HTTP/1.0\r\nHost: a\r\n" + UPGRADE + KEYED + VERSION, {400, 404, 426}),
    "POST": (b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n" + UPGRADE + KEYED + VERSION, {400, 404}),
    "no key": (START + UPGRADE + VERSION, {400}),
    "empty key": (START + UPGRADE + VERSION + b"Sec-WebSocket-Key: \r\n", {400}),
    "short key": (START + UPGRADE + VERSION + b"Sec-WebSocket-Key: c2hvcnQ=\r\n", {400}),
    "long key": (START + UPGRADE + VERSION + b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZSBpcyBsb25n\r\n", {400}),
    "no base64": (START + UPGRADE + VERSION + b"Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n", {400}),
    "two keys": (START + UPGRADE + VERSION + KEYED + KEYED, {400}),
    "no version": (START + UPGRADE + KEYED, {400, 426}),
    "two versions": (START + UPGRADE + KEYED + VERSION + VERSION, {400}),
    "wrong version": (START + UPGRADE + KEYED + b"Sec-WebSocket-Version: 8\r\n", {426}),
    "list of versions": (START + UPGRADE + KEYED + b"Sec-WebSocket-Version: 13, 8\r\n", {400, 426}),
    "content": (START + UPGRADE + KEYED + VERSION + b"Content-Length: 5\r\n", {400}),
    "chunked content": (START + UPGRADE + KEYED + VERSION + b"Transfer-Encoding: chunked\r\n", {400}),
    "no Host": (b"GET /echo HTTP/1.1\r\n" + UPGRADE + KEYED + VERSION, {400}),
    "refused by the application": (b"GET /refuse HTTP/1.1\r\nHost: a\r\n" + UPGRADE + KEYED + VERSION, {403}),
    "denied by the application": (b"GET /deny HTTP/1.1\r\nHost: a\r\n" + UPGRADE + KEYED + VERSION, {401}),
}


@pytest.mark.parametrize("name", RUBBISH)
def test_handshake_rubbish_and_what_is_behind_it(server: Served, name: str) -> None:
    """Answered, and closed: bytes behind a refused upgrade never become a request."""
    head, statuses = RUBBISH[name]
    behind = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    before = seen(server, "http /smuggled")
    for pieces in (
        [head + b"\r\n" + behind * 3],
        [head + b"\r\n", behind, behind],
        [head + b"\r\n5\r\nhello\r\n0\r\n\r\n" + behind],
    ):
        with server.connect() as client:
            try:
                client.send(*pieces)
            except (ConnectionResetError, BrokenPipeError):
                assert len(pieces) > 1
            answer = client.response()
            assert answer.status in statuses, answer
            assert b"close" in (answer.get(b"connection") or b"").split(b", ")
            if answer.status == 426:
                assert answer.get(b"sec-websocket-version") == b"13"
            assert client.closed()
    assert seen(server, "http /smuggled") == before


@pytest.mark.parametrize("count", [20, large(500)])
def test_handshake_that_is_dribbled_is_a_408(server: Served, count: int) -> None:
    with memory_bound(server, 8), connections(server, count) as socks:
        begin = START + UPGRADE + KEYED + b"X: "
        dribble = Dribble(socks, begin, b"v")
        others_are_served(server)
        for answer in dribble.wait():
            assert answer.split(b" ")[1] == b"408", answer


@pytest.mark.parametrize("count", [50, large(1000)])
def test_frames_that_are_dribbled(server: Served, count: int) -> None:
    """One byte now and then is not cut, but costs next to nothing and ends with the client."""
    with memory_bound(server, 4 + count * 0.05), connections(server, count, handshake(b"/listen")) as socks:
        until_true(lambda: seen(server, "listening") == count, "all are open")
        for sock in socks:
            assert b" 101 " in sock.recv(1000)
        received = seen(server, "received")
        dribble = Dribble(socks, b"", frame(TEXT, b"drip"), pause_seconds=0.002)
        until_true(lambda: seen(server, "received") >= received + count * 3, "messages come of it")
        others_are_served(server)
        dribble.stop()
    until_true(lambda: seen(server, "listening") == 0, "all have ended")


# -- wrong frames


#: What is sent, and the code it is closed with.
WRONG = {
    "unmasked": (frame(TEXT, b"bare", mask=None), 1002),
    "unmasked ping": (frame(PING, b"bare", mask=None), 1002),
    "reserved bits": (frame(TEXT, b"x", reserved=2), 1002),
    "unknown opcode": (frame(3, b"x"), 1002),
    "unknown control": (frame(11, b"x"), 1002),
    "continuation of nothing": (frame(CONTINUATION, b"x"), 1002),
    "message within a message": (frame(TEXT, b"x", fin=False) + frame(TEXT, b"y"), 1002),
    "ping in fragments": (frame(PING, b"x", fin=False), 1002),
    "long ping": (frame(PING, bytes(126)), 1002),
    "long close": (frame(CLOSE, b"\x03\xe8" + bytes(124)), 1002),
    "close of one byte": (frame(CLOSE, b"\x03"), 1002),
    "close with a forbidden code": (close_frame(1005), 1002),
    "close with a bad reason": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "length in too many bytes": (b"\x82\xfe\x00\x05\0\0\0\0hello", 1002),
    "bad UTF-8": (frame(TEXT, b"\xc0\xaf"), 1007),
    "bad UTF-8 in a message that goes on": (frame(TEXT, b"\xff", fin=False), 1007),
    "surrogate": (frame(TEXT, "\ud800".encode("utf-8", "surrogatepass")), 1007),
    "a request": (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1002),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 1002),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_frames_and_what_is_behind_them(server: Served, name: str) -> None:
    data, code = WRONG[name]
    behind = frame(TEXT, b"after the end") * 100
    for pieces in ([data + behind], [data, behind]):
        received = seen(server, "received")
        with server.connect() as client:
            upgrade(client, b"/listen")
            try:
                client.send(*pieces)
            except (ConnectionResetError, BrokenPipeError):
                assert len(pieces) > 1
            assert code_of_the_cut(client) == code
        until_true(lambda: ends(server, "/listen"), "the application was told")
        assert ends(server, "/listen")[0][0] == code
        assert seen(server, "received") == received
        server.request(b"/forget")


@pytest.mark.parametrize("size", [4 * MIB, large(200 * MIB)])
@pytest.mark.parametrize("rubbish", [frame(TEXT, b"late") * 1000, bytes(65536), b"\xff" * 65536, close_frame() * 1000])
def test_garbage_behind_the_close(server: Served, rubbish: bytes, size: int) -> None:
    with memory_bound(server, 4), server.connect() as client:
        upgrade(client, b"/listen", behind=close_frame(1000, "bye"))
        # The server closes TCP: it takes no more, or drops what it takes.
        send_all_it_takes(client, itertools.repeat(rubbish), size)
        others_are_served(server)
        read_to_the_cut(client)
    until_true(lambda: ends(server, "/listen"), "the application was told")
    assert ends(server, "/listen") == [[1000, "bye"]]


@pytest.mark.parametrize("size", [4 * MIB, large(200 * MIB)])
def test_peer_that_goes_on_sending_after_the_close_of_the_application(server: Served, size: int) -> None:
    """Messages on their way are dropped while its close frame is waited for; then both are done."""
    with memory_bound(server, 4), server.connect() as client:
        socket_ = upgrade(client, b"/close?code=4000", behind=frame(TEXT, b"now"))
        assert socket_.read_close() == (4000, "")
        piece = frame(BINARY, bytes(10_000), mask=ZERO_MASK) * 10
        for _ in range(size // len(piece)):
            client.send(piece)
        others_are_served(server)
        socket_.close(4000)
        assert socket_.closed()
    until_true(lambda: ends(server, "/close"), "the application was told")
    assert ends(server, "/close") == [[4000, ""]]
