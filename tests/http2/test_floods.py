"""Floods of HTTP/2 end the connection with ENHANCE_YOUR_CALM on every engine; what every client does now and then does not."""

from __future__ import annotations

import pytest

from http2.engines import ENGINES, GET, POST, PREFACE, Peer, frame, make, settings, uint32
from picocorn.base.errors import HTTP2Error
from picocorn.base.limits import HTTP2Limits
from picocorn.http2 import codes

pytestmark = pytest.mark.parametrize("engine", ENGINES)

FLOODS = {
    "ping": frame(codes.PING, 0, 0, b"12345678"),
    "ping-ack": frame(codes.PING, codes.ACK, 0, b"12345678"),
    "settings": settings(),
    "priority": frame(codes.PRIORITY, 0, 1, b"\0\0\0\0\x10"),
    "priority-update": frame(codes.PRIORITY_UPDATE, 0, 0, uint32(1) + b"u=1"),
    "unknown": frame(0x77, 0, 0, b""),
    "empty-data": frame(codes.DATA, 0, 1, b""),
    "window-update": frame(codes.WINDOW_UPDATE, 0, 0, uint32(1)),
}


def calm(peer: Peer, data: bytes) -> str:
    """Send what is to end the connection. Returns the verdict's name."""
    with pytest.raises(HTTP2Error) as caught:
        peer.send(data)
    assert caught.value.error_code == codes.ENHANCE_YOUR_CALM
    assert peer.goaways()[-1][1] == codes.ENHANCE_YOUR_CALM
    assert peer.session.is_over()
    before = len(peer.told)
    # What comes after is nobody's business.
    assert peer.send(data) == []
    assert len(peer.told) == before
    return caught.value.code


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_frames(engine: str, flood: str) -> None:
    limits = HTTP2Limits(control_frames_burst=50, window_updates_burst=50)
    peer = Peer(engine, limits)
    peer.request(1, POST, end=False)
    peer.send(FLOODS[flood] * 40)
    expected = "WINDOW_UPDATE_FLOOD" if flood == "window-update" else "CONTROL_FLOOD"
    assert calm(peer, FLOODS[flood] * 20) == expected


@pytest.mark.parametrize("flood", FLOODS)
def test_the_same_frames_in_their_time(engine: str, flood: str) -> None:
    limits = HTTP2Limits(control_frames_burst=50, control_frames_per_second=10, window_updates_burst=50)
    peer = Peer(engine, limits)
    peer.request(1, POST, end=False)
    for _ in range(20):
        peer.now_seconds += 2.0
        peer.send(FLOODS[flood] * 20)
    assert peer.request(3) is not None


@pytest.mark.parametrize("size", [1, 5, 200])
def test_small_frames_of_content_are_none(engine: str, size: int) -> None:
    """However many come at once: as from who streams small messages, for hours."""
    peer = Peer(engine)
    peer.request(1, POST, end=False)
    for _ in range(10):
        peer.send(peer.data(1, bytes(size)) * 500)
        peer.session.consume(1, size * 500)
    assert sum(len(note[2]) for note in peer.told[1:]) == 5000 * size
    assert peer.request(3) is not None


def test_credit_and_pings_for_what_was_sent_are_none(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(control_frames_burst=20, window_updates_burst=20))
    for stream_id in range(1, 401, 2):
        peer.request(stream_id)
        peer.session.queue_head(stream_id, 200, [], False)
        peer.session.queue_data(stream_id, b"x" * 100, True)
        peer.take()
        peer.send(frame(codes.WINDOW_UPDATE, 0, 0, uint32(100)) * 2 + FLOODS["ping"])
    assert peer.request(1001) is not None


def test_rapid_reset(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(resets_burst=10))
    reset = uint32(codes.CANCEL)
    for stream_id in range(1, 21, 2):
        peer.send(peer.headers(stream_id, GET) + frame(codes.RST_STREAM, 0, stream_id, reset))
    assert [note[0] for note in peer.told] == ["request", "closed"] * 10
    assert calm(peer, peer.headers(21, GET) + frame(codes.RST_STREAM, 0, 21, reset)) == "RESET_FLOOD"


def test_resets_that_the_peer_makes_us_send(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(resets_burst=10))
    for stream_id in range(1, 21, 2):
        # Whatever it takes to be reset: content that is longer than it was said to be.
        peer.send(peer.headers(stream_id, (*POST, ("content-length", "1")), end=False) + peer.data(stream_id, b"xx"))
    assert [code for _, code in peer.resets()] == [codes.PROTOCOL_ERROR] * 10
    assert calm(peer, peer.headers(21, (*POST, ("content-length", "1")), end=False) + peer.data(21, b"xx")) == "RESET_FLOOD"


def test_streams_that_were_refused_count_as_well(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(max_concurrent_streams=1, resets_burst=10))
    peer.request(1, POST, end=False)
    for stream_id in range(3, 23, 2):
        peer.send(peer.headers(stream_id, GET))
    assert calm(peer, peer.headers(23, GET)) == "RESET_FLOOD"


def test_resets_between_responses_are_none(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(resets_burst=5))
    for stream_id in range(1, 101, 4):
        peer.request(stream_id)
        peer.session.queue_head(stream_id, 200, [], True)
        peer.take()
        peer.send(peer.headers(stream_id + 2, GET) + frame(codes.RST_STREAM, 0, stream_id + 2, uint32(codes.CANCEL)))
    assert peer.request(1001) is not None


def test_what_stood_before_the_flood_is_told(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(control_frames_burst=10))
    with pytest.raises(HTTP2Error):
        peer.send(peer.headers(1, GET) + FLOODS["ping"] * 20 + peer.headers(3, GET))
    assert [note[1] for note in peer.told] == [1]


def test_a_peer_that_asks_and_does_not_read_moves_nothing(engine: str) -> None:
    # As long as nobody calls send(), content stays where its size counts.
    peer = Peer(engine)
    peer.request(1)
    session = peer.session
    session.queue_head(1, 200, [], False)
    assert session.queue_data(1, bytes(200000), False)
    for _ in range(20):
        session.receive(frame(codes.WINDOW_UPDATE, 0, 1, uint32(10000)) + frame(codes.WINDOW_UPDATE, 0, 0, uint32(10000)), 1000.0)
    assert session.queued_bytes(1) == 200000
    assert ("drained", 1) not in peer.told


def test_a_bomb_of_references(engine: str) -> None:
    # A field of 4000 bytes in the table, and references to it: 16 KiB that would be 60 MiB.
    peer = Peer(engine)
    first = peer.encoder.encode([*GET, ("a", "x" * 3900)])
    peer.send(frame(codes.HEADERS, codes.END_HEADERS | codes.END_STREAM, 1, first))
    block = peer.encoder.encode(GET) + b"\xbe" * 16000
    with pytest.raises(HTTP2Error) as caught:
        peer.send(frame(codes.HEADERS, codes.END_HEADERS | codes.END_STREAM, 3, block))
    assert caught.value.code == "HEAD_MUCH_TOO_LARGE"
    assert caught.value.error_code == codes.ENHANCE_YOUR_CALM


def test_a_head_that_is_a_little_too_large_is_answered(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(header_list_bytes=1000))
    assert peer.request(1, (*GET, ("a", "x" * 1000))) is None
    assert peer.decode(peer.of(codes.HEADERS, 1)[0][3]) == [(b":status", b"431"), (b"content-length", b"0")]
    assert not peer.resets()
    assert peer.request(3, (*POST, ("a", "x" * 1000)), end=False) is None
    assert peer.resets() == [(3, codes.NO_ERROR)]
    assert peer.session.open_streams() == 0
    assert peer.request(5) is not None


def test_the_preface_may_come_in_pieces(engine: str) -> None:
    session, told = make(engine)
    for byte in PREFACE + settings() + frame(codes.SETTINGS, codes.ACK, 0):
        session.receive(bytes((byte,)), 1.0)
    assert not told
    assert not session.is_over()
