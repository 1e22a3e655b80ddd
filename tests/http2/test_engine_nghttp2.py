"""What only the engine over libnghttp2 can get wrong: pointers, and the library's own limits."""

from __future__ import annotations

from typing import Any

import pytest

from http2.engines import ENGINES, GET, Peer, frame, uint32
from picocorn.http2 import codes

pytestmark = pytest.mark.parametrize("engine", [name for name in ENGINES if name == "nghttp2"])


@pytest.mark.parametrize("headers", [[(b"a",)], [(b"a", "b")], [(None, b"b")], [b"ab"], [(b"a", b"b", b"c")]], ids=repr)
def test_fields_that_are_none_do_not_crash(engine: str, headers: Any) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_head(1, 200, headers, False)
    with pytest.raises(TypeError):
        peer.session.queue_data(1, b"x", True)


def test_a_head_too_large_for_the_library_ends_its_stream(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    peer.session.queue_head(1, 200, [(b"a", bytes(2000000))], True)
    peer.take()
    assert peer.resets() == [(1, codes.INTERNAL_ERROR)]
    assert peer.told[-1] == ("closed", 1, codes.INTERNAL_ERROR)
    assert peer.request(3) is not None


def test_none_is_no_content(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    with pytest.raises(TypeError):
        peer.session.queue_data(1, None, True)
    with pytest.raises(TypeError):
        peer.session.receive(None, 1.0)


def test_content_that_a_frame_takes_whole_is_not_copied(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    content = bytes(10000)
    peer.session.queue_head(1, 200, [], False)
    peer.session.queue_data(1, content, True)
    out = peer.session.send()
    assert out[1] is content
    assert len(out) == 2


def test_small_responses_leave_in_one_piece(engine: str) -> None:
    peer = Peer(engine)
    for stream_id in range(1, 65, 2):
        peer.request(stream_id)
    for stream_id in range(1, 65, 2):
        peer.session.queue_head(stream_id, 200, [(b"content-type", b"text/plain")], False)
        peer.session.queue_data(stream_id, b"Hello, world!", True)
    assert len(peer.session.send()) == 1


def test_requests_share_what_is_the_same_but_no_list(engine: str) -> None:
    peer = Peer(engine)
    fields = (*GET, ("user-agent", "test"))
    first, second = peer.request(1, fields), peer.request(3, fields)
    assert first.headers == second.headers
    assert first.headers is not second.headers
    assert first.headers[0] is second.headers[0]
    assert first.target is second.target


def test_lines_that_left_the_table_are_not_taken_for_others(engine: str) -> None:
    # Their buffers must not come again under another text while somebody remembers them.
    peer = Peer(engine)
    for number in range(400):
        value = f"{number:04}" * 50
        head = peer.request(2 * number + 1, (*GET, (f"x-{number % 7}", value), ("accept", str(number))))
        assert head.headers[1:] == [(b"x-%d" % (number % 7), value.encode()), (b"accept", b"%d" % number)]
        peer.send(frame(codes.RST_STREAM, 0, 2 * number + 1, uint32(codes.CANCEL)))
        peer.now_seconds += 1.0
