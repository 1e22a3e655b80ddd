"""What every engine does for a well-behaved client: requests, responses, windows, trailers, push, ends."""

from __future__ import annotations

import pytest

from http2.engines import ENGINES, GET, POST, PREFACE, Peer, frame, make, read_frames, uint32
from picocorn.base.errors import HTTP2Error
from picocorn.base.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES, HTTP2Limits
from picocorn.http2 import codes

pytestmark = pytest.mark.parametrize("engine", ENGINES)

OK = [(b"content-type", b"text/plain")]


def kinds(notes: list[tuple[object, ...]]) -> list[object]:
    return [note[0] for note in notes]


def test_the_session_begins_with_its_settings_and_window(engine: str) -> None:
    session, _ = make(engine)
    first, window = read_frames(b"".join(session.send()))
    assert first[:3] == (codes.SETTINGS, 0, 0)
    pairs = [
        (int.from_bytes(first[3][i : i + 2], "big"), int.from_bytes(first[3][i + 2 : i + 6], "big")) for i in range(0, 30, 6)
    ]
    assert sorted(pairs) == [
        (codes.MAX_CONCURRENT_STREAMS, 128),
        (codes.INITIAL_WINDOW_SIZE, 262144),
        (codes.MAX_HEADER_LIST_SIZE, 65536),
        (codes.ENABLE_CONNECT_PROTOCOL, 1),
        (codes.NO_RFC7540_PRIORITIES, 1),
    ]
    assert window == (codes.WINDOW_UPDATE, 0, 0, uint32(1048576 - 65535))
    session.receive(PREFACE + frame(codes.SETTINGS, 0, 0), 1.0)
    assert read_frames(b"".join(session.send())) == [(codes.SETTINGS, codes.ACK, 0, b"")]
    assert session.send() == []
    assert not session.wants_send()
    assert not session.is_over()


def test_a_request_and_its_response(engine: str) -> None:
    peer = Peer(engine)
    fields = (*GET[:3], (":path", "/a%20b?x=1"), ("cookie", "a=1"), ("accept", "*/*"), ("cookie", "b=2"))
    head = peer.request(1, fields)
    (note,) = peer.told
    assert note[3:] == (b"", True, True)
    assert (head.method, head.target, head.raw_path, head.query_string) == ("GET", b"/a%20b?x=1", b"/a%20b", b"x=1")
    assert head.headers == [(b"host", b"example.com"), (b"cookie", b"a=1; b=2"), (b"accept", b"*/*")]
    assert all(type(field) is tuple for field in head.headers)
    assert (head.http_version, head.content_length, head.chunked, head.keep_alive) == ("2", -1, False, True)
    assert (head.expect_continue, head.upgrade, head.forwarded) == (False, b"", False)
    assert peer.session.open_streams() == 1
    peer.session.queue_head(1, 200, OK, False)
    assert not peer.session.queue_data(1, b"hello", True)
    assert peer.session.wants_send()
    headers, data = peer.take()
    assert headers[:3] == (codes.HEADERS, codes.END_HEADERS, 1)
    assert peer.decode(headers[3]) == [(b":status", b"200"), *OK]
    assert data == (codes.DATA, codes.END_STREAM, 1, b"hello")
    assert peer.told[1:] == [("closed", 1, codes.NO_ERROR)]
    assert peer.session.open_streams() == 0


def test_a_head_can_be_the_whole_response(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_head(1, 204, [], True)
    ((kind, flags, _, payload),) = peer.take()
    assert (kind, flags) == (codes.HEADERS, codes.END_HEADERS | codes.END_STREAM)
    assert peer.decode(payload) == [(b":status", b"204")]
    assert peer.told[-1] == ("closed", 1, codes.NO_ERROR)


def test_a_head_without_content_waits_at_most_for_the_first_content(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_informational(1, 103, [(b"link", b"</a>")])
    peer.session.queue_head(1, 200, OK, False)
    peer.take()
    # An empty piece lets the head go.
    assert not peer.session.queue_data(1, b"", False)
    peer.take()
    assert [peer.decode(f[3])[0] for f in peer.of(codes.HEADERS)] == [(b":status", b"103"), (b":status", b"200")]
    assert not [f for f in peer.frames if f[1] & codes.END_STREAM and f[0] in (codes.HEADERS, codes.DATA)]
    peer.session.queue_data(1, b"", True)
    assert peer.take() == [(codes.DATA, codes.END_STREAM, 1, b"")]


def test_content_comes_in_pieces_and_its_end_too(engine: str) -> None:
    peer = Peer(engine)
    head = peer.request(1, (*POST, ("content-length", "8")), end=False)
    assert head.content_length == 8
    peer.send(peer.data(1, b"abc") + peer.data(1, b"") + peer.data(1, b"defgh", end=True))
    assert peer.told[1:] == [("data", 1, b"abc"), ("data", 1, b"defgh"), ("end", 1)]


def test_padding_is_no_content_and_is_credited_by_itself(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(stream_window_bytes=65535, connection_window_bytes=65535))
    peer.request(1, POST, end=False)
    padded = frame(codes.DATA, codes.PADDED, 1, b"\xff" + b"x" + bytes(255))
    for _ in range(250):
        peer.send(padded)
    assert peer.told[1:] == [("data", 1, b"x")] * 250
    credited = {0: 0, 1: 0}
    for _, _, stream_id, payload in peer.of(codes.WINDOW_UPDATE):
        credited[stream_id] += int.from_bytes(payload, "big")
    # All but what the application has not read, give or take half a window that is not worth a frame yet.
    assert credited[0] >= 250 * 256 // 3
    assert credited[1] >= 250 * 256 // 3


def test_credit_is_given_for_what_was_consumed_and_for_nothing_else(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(stream_window_bytes=65535, connection_window_bytes=65535))
    peer.request(1, POST, end=False)
    peer.send(peer.data(1, bytes(16384)) * 3)
    assert not peer.of(codes.WINDOW_UPDATE)
    peer.session.consume(1, 3 * 16384)
    peer.take()
    assert {(f[2], f[3]) for f in peer.of(codes.WINDOW_UPDATE)} == {(0, uint32(49152)), (1, uint32(49152))}
    peer.session.consume(1, 1 << 20)  # more than ever came
    assert peer.take() == []


def test_what_is_not_consumed_is_known(engine: str) -> None:
    peer = Peer(engine)
    for stream_id in (1, 3, 5):
        peer.request(stream_id, POST, end=False)
        peer.send(peer.data(stream_id, bytes(1000)))
    assert peer.session.unread_bytes() == 3000
    peer.session.consume(1, 600)
    peer.session.consume(1, 600)  # more than there is
    assert peer.session.unread_bytes() == 2000
    peer.session.reset(3, codes.CANCEL)
    peer.take()
    peer.send(frame(codes.RST_STREAM, 0, 5, uint32(codes.CANCEL)))
    assert peer.session.unread_bytes() == 0


def test_what_nobody_will_read_goes_back_to_the_connection_alone(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(stream_window_bytes=65535, connection_window_bytes=65535))
    peer.request(1, POST, end=False)
    peer.send(peer.data(1, bytes(16384)) * 3)
    peer.session.drop_unread(1)
    assert [(f[2], f[3]) for f in peer.take()] == [(0, uint32(49152))]
    assert peer.session.unread_bytes() == 0
    # Once.
    peer.session.drop_unread(1)
    peer.session.consume(1, 49152)
    peer.session.reset(1, codes.CANCEL)
    peer.session.drop_unread(1)
    peer.session.drop_unread(99)
    peer.take()
    assert len(peer.of(codes.WINDOW_UPDATE)) == 1
    peer.request(3, POST, end=False)
    peer.send(peer.data(3, bytes(16384)) * 3)
    assert peer.session.unread_bytes() == 49152
    assert not peer.goaways()


def test_a_wider_window_is_as_wide_once_all_is_consumed(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(stream_window_bytes=1 << 20, connection_window_bytes=65535))
    peer.request(1, POST, end=False)

    def upload(size_bytes: int) -> None:
        for start in range(0, size_bytes, 16384):
            peer.send(peer.data(1, bytes(min(16384, size_bytes - start))))

    upload(60000)
    peer.session.widen_window(100000)
    assert [(f[2], f[3]) for f in peer.take()] == [(0, uint32(100000))]
    upload(65535 - 60000 + 100000)
    peer.session.consume(1, 165535)
    assert (0, uint32(165535)) in [(f[2], f[3]) for f in peer.take()]
    upload(165535)
    assert peer.session.unread_bytes() == 165535
    with pytest.raises(HTTP2Error) as caught:
        upload(1)
    assert caught.value.error_code == codes.FLOW_CONTROL_ERROR


def test_what_a_gone_stream_had_not_consumed_goes_back_to_the_connection(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(stream_window_bytes=65535, connection_window_bytes=65535))
    peer.request(1, POST, end=False)
    peer.send(peer.data(1, bytes(16384)) * 3)
    peer.session.reset(1, codes.CANCEL)
    peer.take()
    assert [(f[2], f[3]) for f in peer.of(codes.WINDOW_UPDATE)] == [(0, uint32(49152))]
    # And what was under way to it.
    peer.send(peer.data(1, bytes(16384)) * 3)
    assert sum(int.from_bytes(f[3], "big") for f in peer.of(codes.WINDOW_UPDATE, 0)) >= 49152 + 16384
    assert peer.resets() == [(1, codes.CANCEL)]
    assert not peer.goaways()


def test_large_content_waits_for_the_window_and_tells_when_it_has_drained(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    body = bytes(range(256)) * 1000
    session = peer.session
    session.queue_head(1, 200, OK, False)
    assert not session.queue_data(1, body[:HIGH_WATER_BYTES], False)
    assert session.queue_data(1, body[HIGH_WATER_BYTES:], True)
    assert session.queued_bytes(1) == session.total_queued_bytes() == len(body)
    peer.take()
    assert len(peer.content(1)) == 65535
    assert all(len(f[3]) <= 16384 for f in peer.frames)
    assert session.queued_bytes(1) == len(body) - 65535
    assert not session.wants_send()
    assert session.send() == []
    left = len(body) - 65535
    peer.send(
        frame(codes.WINDOW_UPDATE, 0, 0, uint32(1 << 20)) + frame(codes.WINDOW_UPDATE, 0, 1, uint32(left - LOW_WATER_BYTES - 1))
    )
    assert kinds(peer.told) == ["request"]
    peer.send(frame(codes.WINDOW_UPDATE, 0, 1, uint32(1)))
    assert kinds(peer.told) == ["request", "drained"]
    peer.send(frame(codes.WINDOW_UPDATE, 0, 1, uint32(LOW_WATER_BYTES)))
    assert peer.content(1) == body
    assert peer.frames[-1][1] == codes.END_STREAM
    assert kinds(peer.told) == ["request", "drained", "closed"]
    assert session.total_queued_bytes() == 0


@pytest.mark.parametrize("trailers", [[], [(b"grpc-status", b"0")]])
@pytest.mark.parametrize("of_connection", [False, True])
def test_the_end_needs_no_window(engine: str, trailers: list[tuple[bytes, bytes]], of_connection: bool) -> None:
    """The content fits exactly, and its end is told of later: a client that waits for it gives no more window."""
    peer = Peer(engine) if of_connection else Peer(engine, INITIAL_WINDOW_SIZE=5)
    peer.request(1)
    body = bytes(65535 if of_connection else 5)
    session = peer.session
    session.queue_head(1, 200, OK, False)
    session.queue_data(1, body, False)
    peer.take()
    if trailers:
        session.queue_trailers(1, trailers)
    else:
        session.queue_data(1, b"", True)
    (last,) = peer.take()
    assert peer.content(1) == body
    assert last[1] & codes.END_STREAM
    if trailers:
        assert peer.decode(peer.of(codes.HEADERS)[0][3])
        assert peer.decode(last[3]) == trailers
    assert peer.told[-1] == ("closed", 1, codes.NO_ERROR)
    assert session.open_streams() == 0


def test_a_smaller_initial_window_holds_for_streams_that_are_open(engine: str) -> None:
    peer = Peer(engine, INITIAL_WINDOW_SIZE=10)
    peer.request(1)
    peer.session.queue_head(1, 200, OK, False)
    peer.session.queue_data(1, b"x" * 100, True)
    peer.take()
    assert len(peer.content(1)) == 10
    peer.send(frame(codes.SETTINGS, 0, 0, b"\x00\x04" + uint32(50)))
    assert len(peer.content(1)) == 50
    peer.send(frame(codes.SETTINGS, 0, 0, b"\x00\x04" + uint32(0)) + frame(codes.WINDOW_UPDATE, 0, 1, uint32(50)))
    assert len(peer.content(1)) == 50
    peer.send(frame(codes.WINDOW_UPDATE, 0, 1, uint32(50)))
    assert len(peer.content(1)) == 100


def test_trailers_both_ways(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1, (*POST, ("te", "trailers")), end=False)
    peer.send(peer.data(1, b"x") + peer.headers(1, [("x-checksum", "1")]))
    assert peer.told[1:] == [("data", 1, b"x"), ("end", 1)]
    peer.session.queue_head(1, 200, OK, False)
    peer.session.queue_data(1, b"y", False)
    peer.session.queue_trailers(1, [(b"grpc-status", b"0")])
    _, data, trailers = peer.take()
    assert data == (codes.DATA, 0, 1, b"y")
    assert trailers[1] == codes.END_HEADERS | codes.END_STREAM
    peer.decode(peer.of(codes.HEADERS)[0][3])
    assert peer.decode(trailers[3]) == [(b"grpc-status", b"0")]
    assert peer.told[-1] == ("closed", 1, codes.NO_ERROR)


def test_trailers_can_follow_the_head_or_be_nothing(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_head(1, 200, [], False)
    peer.session.queue_trailers(1, [(b"grpc-status", b"5")])
    assert [f[0] for f in peer.take()] == [codes.HEADERS, codes.HEADERS]
    peer.request(3)
    peer.session.queue_head(3, 200, [], False)
    peer.session.queue_trailers(3, [])
    assert [(f[0], bool(f[1] & codes.END_STREAM)) for f in peer.take()][-1][1]
    assert [note for note in peer.told if note[0] == "closed"] == [("closed", 1, 0), ("closed", 3, 0)]


def test_a_response_that_is_complete_before_its_request_stops_it(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1, POST, end=False)
    peer.session.queue_head(1, 413, [], False)
    peer.session.stop_upload(1)
    assert peer.take() == [] or not peer.resets()
    peer.session.queue_data(1, b"too much", True)
    peer.take()
    assert [f[0] for f in peer.frames] == [codes.HEADERS, codes.DATA, codes.RST_STREAM]
    assert peer.resets() == [(1, codes.NO_ERROR)]
    assert peer.told[1:] == [("closed", 1, codes.NO_ERROR)]
    # What is under way to it is no error.
    peer.send(peer.data(1, b"x") + peer.headers(1, [("x", "y")]))
    assert peer.request(3) is not None
    # Asked for later, it comes at once; and not at all for a request that is complete.
    peer.request(5, POST, end=False)
    peer.session.queue_head(5, 200, [], True)
    peer.take()
    assert peer.told[-1][0] == "request"
    peer.session.stop_upload(5)
    peer.session.queue_head(3, 200, [], True)
    peer.session.stop_upload(3)
    peer.take()
    assert peer.resets() == [(1, codes.NO_ERROR), (5, codes.NO_ERROR)]


def test_the_peer_resets_a_stream(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_head(1, 200, OK, False)
    peer.session.queue_data(1, bytes(100000), True)
    peer.take()
    peer.send(frame(codes.RST_STREAM, 0, 1, uint32(codes.CANCEL)))
    assert peer.told[1:] == [("closed", 1, codes.CANCEL)]
    session = peer.session
    assert session.queued_bytes(1) == session.total_queued_bytes() == session.open_streams() == 0
    # All that may still be said about it is ignored.
    session.queue_head(1, 200, OK, False)
    assert not session.queue_data(1, b"x", True)
    session.queue_trailers(1, [])
    session.queue_informational(1, 103, [])
    session.consume(1, 5)
    session.stop_upload(1)
    session.reset(1, codes.CANCEL)
    assert session.queue_push(1, peer.told[0][2], b"example.com", b"http") == 0
    assert peer.take() == []
    assert len(peer.told) == 2


def test_we_reset_a_stream(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_head(1, 200, OK, False)
    peer.session.queue_data(1, bytes(100000), True)
    peer.session.reset(1, codes.INTERNAL_ERROR)
    peer.take()
    assert peer.resets() == [(1, codes.INTERNAL_ERROR)]
    assert peer.told[1:] == [("closed", 1, codes.INTERNAL_ERROR)]
    assert peer.session.total_queued_bytes() == 0


def test_streams_beyond_the_limit_are_refused(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(max_concurrent_streams=2))
    for stream_id in (1, 3, 5):
        peer.request(stream_id)
    assert peer.resets() == [(5, codes.REFUSED_STREAM)]
    assert [note[1] for note in peer.told] == [1, 3]
    peer.session.queue_head(1, 200, [], True)
    peer.take()
    assert peer.request(7) is not None


def test_push(engine: str) -> None:
    peer = Peer(engine, MAX_CONCURRENT_STREAMS=1)
    assert peer.session.peer_allows_push()
    head = peer.request(1)
    head = peer.request(3, (*GET, ("accept", "text/css")))
    head.headers.pop(0)
    session = peer.session
    assert session.queue_push(1, head, b"example.com", b"http") == 2
    assert session.queue_push(1, head, b"example.com", b"http") == 0  # as many as the peer allows
    session.queue_head(1, 200, [], True)
    session.queue_head(2, 200, OK, False)
    session.queue_data(2, b"pushed", True)
    peer.take()
    promise, *_ = peer.frames
    assert promise[0] == codes.PUSH_PROMISE
    assert promise[3][:4] == uint32(2)
    assert peer.decode(promise[3][4:]) == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"example.com"),
        (b":path", b"/"),
        (b"accept", b"text/css"),
    ]
    assert peer.content(2) == b"pushed"
    assert ("closed", 2, codes.NO_ERROR) in peer.told
    assert session.open_streams() == 1
    assert session.queue_push(3, head, b"example.com", b"http") == 4
    peer.take()
    peer.send(frame(codes.RST_STREAM, 0, 4, uint32(codes.REFUSED_STREAM)))
    assert peer.told[-1] == ("closed", 4, codes.REFUSED_STREAM)


def test_no_push_to_whom_it_is_not_allowed(engine: str) -> None:
    peer = Peer(engine, ENABLE_PUSH=0)
    head = peer.request(1)
    assert not peer.session.peer_allows_push()
    assert peer.session.queue_push(1, head, b"example.com", b"http") == 0
    assert peer.take() == []


def test_going_away_in_two_steps(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    session = peer.session
    session.goaway_notice()
    peer.take()
    assert peer.goaways() == [(2**31 - 1, codes.NO_ERROR)]
    assert peer.request(3) is not None
    session.goaway(codes.NO_ERROR)
    peer.take()
    assert peer.goaways()[1:] == [(3, codes.NO_ERROR)]
    assert peer.request(5) is None
    for stream_id in (1, 3):
        assert not session.is_over()
        session.queue_head(stream_id, 200, [], True)
        peer.take()
    assert session.is_over()
    assert {f[2] for f in peer.frames} == {0, 1, 3}


def test_the_peer_goes_away(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.send(frame(codes.GOAWAY, 0, 0, uint32(0) + uint32(codes.NO_ERROR) + b"bye"))
    assert peer.told[1:] == [("goaway", codes.NO_ERROR, 0)]
    assert not peer.session.peer_allows_push()
    # Its open stream goes on.
    peer.session.queue_head(1, 200, OK, False)
    peer.session.queue_data(1, b"x", True)
    assert not peer.session.is_over()
    peer.take()
    assert peer.content(1) == b"x"
    assert peer.session.is_over()


def test_pings_are_answered(engine: str) -> None:
    peer = Peer(engine)
    assert peer.send(frame(codes.PING, 0, 0, b"12345678")) == [(codes.PING, codes.ACK, 0, b"12345678")]
    assert peer.send(frame(codes.PING, codes.ACK, 0, b"12345678")) == []


def test_urgent_streams_go_first(engine: str) -> None:
    peer = Peer(engine, INITIAL_WINDOW_SIZE=1 << 20)
    for stream_id, priority in ((1, "u=5"), (3, "u=0"), (5, None), (7, "u=6")):
        peer.request(stream_id, GET if priority is None else (*GET, ("priority", priority)))
    peer.send(frame(codes.PRIORITY_UPDATE, 0, 0, uint32(7) + b"u=1"))
    for stream_id in (1, 3, 5, 7):
        peer.session.queue_head(stream_id, 200, [], False)
        peer.session.queue_data(stream_id, bytes(20000), True)
    peer.take()
    order = [f[2] for f in peer.of(codes.DATA)]
    assert list(dict.fromkeys(order)) == [3, 7, 5, 1]


@pytest.mark.parametrize(
    ("update", "error_code"),
    [
        (frame(codes.PRIORITY_UPDATE, 0, 1, uint32(1) + b"u=1"), codes.PROTOCOL_ERROR),
        (frame(codes.PRIORITY_UPDATE, 0, 0, uint32(0) + b"u=1"), codes.PROTOCOL_ERROR),
        (frame(codes.PRIORITY_UPDATE, 0, 0, b"123"), codes.FRAME_SIZE_ERROR),
        (frame(codes.PRIORITY_UPDATE, 0, 0, b""), codes.FRAME_SIZE_ERROR),
    ],
)
def test_malformed_priority_updates_end_the_connection(engine: str, update: bytes, error_code: int) -> None:
    peer = Peer(engine)
    peer.request(1)
    with pytest.raises(HTTP2Error):
        peer.send(update)
    assert peer.goaways() == [(1, error_code)]


def test_priority_updates_may_come_before_and_after_their_streams(engine: str) -> None:
    """libnghttp2 1.52 by itself keeps pointers to the streams of the former, and writes there when they are gone."""
    peer = Peer(engine)
    for stream_id in range(1, 401, 2):
        for about in (stream_id, stream_id + 2, 100001):
            for piece in frame(codes.PRIORITY_UPDATE, 0, 0, uint32(about) + b"u=1, i")[:9], uint32(about), b"u=1, i":
                peer.send(piece)
        peer.now_seconds += 1
        peer.request(stream_id)
        peer.session.queue_head(stream_id, 200, [], True)
        peer.take()
        assert peer.told[-1] == ("closed", stream_id, codes.NO_ERROR)
        peer.send(frame(codes.PRIORITY_UPDATE, 0, 0, uint32(stream_id) + b"u=1"))
    assert not peer.goaways()


def test_incremental_streams_share(engine: str) -> None:
    peer = Peer(engine, INITIAL_WINDOW_SIZE=1 << 20)
    for stream_id in (1, 3):
        peer.request(stream_id, (*GET, ("priority", "u=3, i")))
    for stream_id in (1, 3):
        peer.session.queue_head(stream_id, 200, [], False)
        peer.session.queue_data(stream_id, bytes(30000), True)
    peer.take()
    assert [f[2] for f in peer.of(codes.DATA)] == [1, 3, 1, 3]


def test_extended_connect(engine: str) -> None:
    peer = Peer(engine)
    fields = (
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "example.com"),
        ("sec-websocket-version", "13"),
    )
    head = peer.request(1, fields, end=False)
    assert peer.told[0][3:] == (b"websocket", True, False)
    assert (head.method, head.raw_path) == ("CONNECT", b"/chat")
    peer.session.queue_head(1, 200, [], False)
    assert not peer.session.queue_data(1, b"", False)
    peer.send(peer.data(1, b"frame"))
    peer.session.queue_data(1, b"answer", False)
    peer.take()
    assert peer.content(1) == b"answer"
    peer.send(peer.data(1, b"", end=True))
    assert peer.told[1:] == [("data", 1, b"frame"), ("end", 1)]
    peer.session.queue_data(1, b"", True)
    peer.take()
    assert peer.told[-1] == ("closed", 1, codes.NO_ERROR)


def test_plain_connect_has_no_path(engine: str) -> None:
    peer = Peer(engine)
    head = peer.request(1, ((":method", "CONNECT"), (":authority", "example.com:443")), end=False)
    assert (head.method, head.target, head.raw_path, head.query_string) == ("CONNECT", b"", b"", b"")


def test_much_content_leaves_bit_by_bit(engine: str) -> None:
    # The transport may hold back in between; what it has not taken must not be copied for it.
    peer = Peer(engine, INITIAL_WINDOW_SIZE=1 << 30)
    peer.send(frame(codes.WINDOW_UPDATE, 0, 0, uint32(1 << 30)))
    peer.request(1)
    content = bytes(range(256)) * 8192
    peer.session.queue_head(1, 200, [], False)
    peer.session.queue_data(1, content, True)
    sizes = []
    while peer.session.wants_send():
        out = b"".join(peer.session.send())
        sizes.append(len(out))
        peer.frames += read_frames(out)
    assert peer.content(1) == content
    assert max(sizes) < 300000
    assert peer.told[-1] == ("closed", 1, codes.NO_ERROR)


def test_frames_may_be_larger_where_the_limit_says_so(engine: str) -> None:
    peer = Peer(engine, HTTP2Limits(max_frame_bytes=65536))
    peer.request(1, POST, end=False)
    peer.send(peer.data(1, bytes(40000), end=True))
    assert sum(len(note[2]) for note in peer.told if note[0] == "data") == 40000
    assert peer.told[-1] == ("end", 1)
