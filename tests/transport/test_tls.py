"""TLS over a transport that is none: records in and out of memory, with a client that shares no code with the server."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from certificates import client_context, server_context

from .tls_conversation import HIGH_BYTES, PLAIN, AnsweringContext, Conversation, Upper

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture
def converse(room: Callable[[str], ModuleType]) -> Iterator[Callable[..., Conversation]]:
    """Makes conversations; in the end, each connection is lost, and has kept nothing."""
    made: list[Conversation] = []

    def make(*arguments: Any, **options: Any) -> Conversation:
        made.append(Conversation(room("transport.tls").TLSConnection, *arguments, **options))
        return made[-1]

    yield make
    for conversation in made:
        conversation.lose()
        assert conversation.connections == set()
        if "made" in conversation.upper.calls:
            assert conversation.upper.calls[-1] == "lost"


# -- the handshake


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
@pytest.mark.parametrize("piece_bytes", [0, 1, 100])
def test_a_conversation(converse: Callable[..., Conversation], version: ssl.TLSVersion, piece_bytes: int) -> None:
    talk = converse(client_context(version)).shake_hands(piece_bytes)
    assert talk.chosen == [None]
    transport = talk.upper.transport
    assert transport.get_extra_info("ssl_object").version() == talk.client.version()
    assert transport.get_extra_info("cipher") == talk.client.cipher()
    assert transport.get_extra_info("sslcontext") is transport.get_extra_info("ssl_object").context
    assert transport.get_extra_info("peername") == ("192.0.2.1", 1)
    assert transport.get_extra_info("nonsense", 7) == 7
    talk.say(b"question", piece_bytes)
    assert talk.upper.received == b"question"
    transport.write(b"answer ")
    transport.writelines([b"in ", bytearray(b""), memoryview(b"pieces")])
    assert talk.hear() == b"answer in pieces"
    talk.loop.pass_time()
    assert talk.lower.calls == []
    transport.close()
    assert transport.is_closing()
    assert talk.heard_goodbye()
    assert talk.lower.calls == ["close"]


def test_alpn_leads_to_a_protocol(converse: Callable[..., Conversation]) -> None:
    server = server_context()
    server.set_alpn_protocols(["h2", "http/1.1"])
    for offered, chosen in ((("http/1.1", "h2"), "h2"), (("http/1.1",), "http/1.1"), (("spdy/1",), None), ((), None)):
        assert converse(client_context(alpn=offered), server).shake_hands().chosen == [chosen]


def test_data_may_come_with_the_end_of_the_handshake(converse: Callable[..., Conversation]) -> None:
    # TLS 1.3: the client has no need to wait.
    talk = converse()
    with contextlib.suppress(ssl.SSLWantReadError):
        talk.client.do_handshake()
    talk.to_server()
    talk._in.write(talk.lower.take())
    talk.client.do_handshake()
    talk.say(b"early")
    assert talk.upper.received == b"early"


def test_plain_http_is_told_so(converse: Callable[..., Conversation]) -> None:
    talk = converse()
    talk.connection.data_received(b"GET / HTTP/1.1\r\n")
    assert talk.lower.take() == PLAIN
    assert talk.lower.calls == ["eof"]
    talk.connection.data_received(b"Host: a\r\n\r\n")
    assert talk.connection.eof_received() is False
    talk.loop.pass_time()
    assert talk.lower.calls == ["eof", "abort"]


@pytest.mark.parametrize(
    "sent", [b"\0", b"\x16\x03\x01\0\x05hello", b"\x16\xff\xff\xff\xff", bytes(100), b"\r\n\r\n\0\r\nQUIT\n"]
)
def test_what_is_no_handshake(converse: Callable[..., Conversation], sent: bytes) -> None:
    talk = converse()
    talk.connection.data_received(sent)
    talk.connection.data_received(bytes(20))
    # An alert at most, and the end; what follows is not looked at, and bounded.
    assert talk.lower.calls == ["eof"]
    assert len(talk.lower.take()) <= 7
    for _ in range(17):
        talk.connection.data_received(bytes(1024 * 1024))
    assert talk.lower.calls[-1] == "abort"


def test_a_handshake_that_is_never_done(converse: Callable[..., Conversation]) -> None:
    silent, begun = converse(), converse()
    begun.connection.data_received(b"\x16\x03\x01\x02\x00\x01")
    for talk in (silent, begun):
        assert talk.connections == {talk.connection}
        talk.loop.pass_time()
        assert talk.lower.calls == ["abort"]


def test_a_client_that_trusts_nobody(converse: Callable[..., Conversation]) -> None:
    talk = converse(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    for _ in range(2):
        with contextlib.suppress(ssl.SSLError):
            talk.client.do_handshake()
        talk.pump()
    assert talk.upper.calls == []
    assert talk.lower.calls == ["eof"]


def test_the_end_of_the_server_meets_a_handshake(converse: Callable[..., Conversation]) -> None:
    silent, begun, asking, idle = converse(), converse(), converse(), converse()
    silent.connection.shutdown()
    assert silent.lower.calls == ["abort"]
    begun.connection.data_received(b"\x16\x03\x01\x02\x00\x01")
    before = begun.loop.timer_seconds
    begun.connection.shutdown()
    assert begun.loop.timer_seconds < before
    begun.loop.pass_time()
    assert begun.lower.calls == ["abort"]
    for talk in (asking, idle):
        with contextlib.suppress(ssl.SSLWantReadError):
            talk.client.do_handshake()
        talk.to_server()
        talk.connection.shutdown()
        talk.shake_hands()
    asking.say(b"a request")
    assert asking.upper.calls == ["made", "shutdown"]
    assert asking.upper.received == b"a request"
    idle.loop.pass_time()
    assert idle.upper.calls == ["made", "shutdown"]


# -- after the handshake


def test_records_that_were_not_encrypted_by_the_client(converse: Callable[..., Conversation]) -> None:
    for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x17\x03\x03\0\x20" + bytes(32)):
        talk = converse().shake_hands()
        talk.client.write(b"whole")
        talk.connection.data_received(talk._out.read() + garbage)
        assert talk.upper.received == b"whole"
        assert talk.lower.calls == ["eof"]
        assert talk.upper.transport.is_closing()
        talk.upper.transport.write(b"nobody can read this")
        with pytest.raises(ssl.SSLError):
            talk.hear()


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_an_upload_is_delivered_in_bounded_pieces(converse: Callable[..., Conversation], version: ssl.TLSVersion) -> None:
    talk = converse(client_context(version)).shake_hands()
    body = os.urandom(1_000_003)
    for start in range(0, len(body), 200_000):
        talk.say(body[start : start + 200_000], piece_bytes=70_001)
    assert talk.upper.received == body
    assert talk.upper.largest < 2 * 65536


def test_a_reader_that_pauses(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport

    def pause() -> None:
        transport.pause_reading()
        transport.pause_reading()

    talk.upper.on_data = pause
    body = os.urandom(300_000)
    talk.say(body)
    first = len(talk.upper.received)
    assert first <= 2 * 65536
    assert not talk.lower.is_reading
    assert not transport.is_reading()
    # What has been received already is delivered by a later turn, and no further than the next pause.
    turns = 0
    while talk.upper.received != body:
        transport.resume_reading()
        assert talk.lower.is_reading
        before = len(talk.upper.received)
        talk.loop.turn()
        assert 0 < len(talk.upper.received) - before < 2 * 65536
        turns += 1
    assert turns > 2


def test_garbage_behind_what_a_paused_reader_has_left(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    talk.upper.on_data = transport.pause_reading
    talk.client.write(b"whole")
    talk.connection.data_received(talk._out.read() + b"\x17\x03\x03\0\x20" + bytes(32))
    assert talk.upper.received == b"whole"
    assert talk.lower.calls == []
    transport.resume_reading()
    talk.loop.turn()
    assert talk.lower.calls == ["eof"]


def test_a_protocol_that_fails_in_a_later_turn(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    talk.upper.on_data = transport.pause_reading
    talk.say(os.urandom(200_000))
    talk.upper.on_data = lambda: 1 // 0  # type: ignore[assignment, return-value]
    transport.resume_reading()
    talk.loop.turn()
    (report,) = talk.loop.reports
    assert isinstance(report["exception"], ZeroDivisionError)
    assert talk.lower.calls == ["abort"]


def test_the_end_comes_after_what_came_before_it(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    talk.upper.on_data = transport.pause_reading
    body = os.urandom(200_000)
    talk.say(body)
    assert talk.connection.eof_received() is True
    assert "eof" not in talk.upper.calls
    talk.upper.on_data = lambda: None
    transport.resume_reading()
    talk.loop.turn()
    assert talk.upper.received == body
    assert talk.upper.calls == ["made", "eof"]
    assert talk.lower.calls == ["close"]


@pytest.mark.parametrize("version", VERSIONS, ids=["1.2", "1.3"])
def test_a_client_that_ends_its_direction_gets_its_answer(converse: Callable[..., Conversation], version: ssl.TLSVersion) -> None:
    talk = converse(client_context(version)).shake_hands()
    talk.upper.keep_open = True
    talk.say(b"question")
    talk.say_goodbye()
    assert talk.upper.calls == ["made", "eof"]
    # TCP's own end behind it changes nothing.
    assert talk.connection.eof_received() is True
    talk.upper.transport.write(b"answer")
    written = len(talk.lower.written)
    assert written > len(b"answer")
    talk.upper.transport.close()
    assert talk.lower.calls == ["close"]
    assert len(talk.lower.written) > written


def test_an_end_without_close_notify(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    talk.say(b"question")
    talk.connection.eof_received()
    assert talk.upper.calls == ["made", "eof"]
    assert talk.heard_goodbye()
    assert talk.lower.calls == ["close"]


def test_our_direction_ends_first(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    transport.write(b"answer")
    assert transport.can_write_eof()
    transport.write_eof()
    transport.write_eof()
    for write in (transport.write, transport.writelines):
        with pytest.raises(RuntimeError, match="after write_eof"):
            write(b"more")
    assert talk.hear() == b"answer"
    assert talk.lower.calls == ["eof"]
    # What the client still sends is taken and dropped, to a limit.
    talk.connection.data_received(bytes(1024))
    assert talk.connection.eof_received() is False
    assert talk.upper.calls == ["made", "eof"]
    assert talk.lower.calls == ["eof", "close"]


# -- back-pressure and slow clients


def test_a_client_that_does_not_read(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    transport.set_write_buffer_limits(HIGH_BYTES, HIGH_BYTES // 4)
    body = os.urandom(3_000_000)
    transport.write(body)
    assert talk.upper.calls == ["made", "pause"]
    transport.writelines([b"and", b" more"])
    # No more is encrypted than goes out: the rest is what the application gave.
    assert len(talk.lower.written) < 400_000
    assert transport.get_write_buffer_size() > len(body)
    transport.close()
    assert talk.lower.calls == []
    heard = b""
    while talk.lower.written:
        talk._in.write(talk.lower.take(50_000))
        with contextlib.suppress(ssl.SSLWantReadError):
            while data := talk.client.read(65536):
                heard += data
        assert len(talk.lower.written) < 400_000
    assert heard == body + b"and more"
    assert talk.lower.calls == ["close"]


@pytest.mark.parametrize("view", [bytes, bytearray, memoryview])
def test_a_response_in_many_pieces_is_encrypted_as_it_goes_out(
    converse: Callable[..., Conversation], view: Callable[[bytes], Any]
) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    body = os.urandom(1024 * 1024)
    pieces = [view(body[start : start + 65536]) for start in range(0, len(body), 65536)]
    transport.writelines(pieces)
    for piece in pieces:
        if type(piece) is bytearray:
            # The caller may use it for something else.
            piece[:] = bytes(len(piece))
        elif type(piece) is memoryview:
            piece.release()
    assert talk.upper.calls == ["made", "pause"]
    assert len(talk.lower.written) < 400_000
    assert transport.get_write_buffer_size() >= len(body)
    heard = b""
    while talk.lower.written:
        heard += talk.hear()
        assert len(talk.lower.written) < 400_000
    assert heard == body
    assert talk.upper.calls == ["made", "pause", "resume"]


def test_small_pieces_leave_in_one_record(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    talk.upper.transport.writelines([b"head", b"", bytearray(b"content" * 100)])
    # RFC 8446 5.2: five bytes before a record, the last two of them its length.
    assert len(talk.lower.written) == 5 + int.from_bytes(talk.lower.written[3:5], "big")
    assert talk.hear() == b"head" + b"content" * 100


def test_writers_go_on_when_there_is_room(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    talk.upper.transport.write(bytes(1_000_000))
    assert talk.upper.calls == ["made", "pause"]
    size = 0
    while "resume" not in talk.upper.calls:
        size += len(talk.hear())
    assert talk.upper.calls == ["made", "pause", "resume"]
    assert size + len(talk.hear()) == 1_000_000


@pytest.mark.parametrize("takes_some", [False, True])
def test_a_client_that_never_takes_the_end(converse: Callable[..., Conversation], takes_some: bool) -> None:
    talk = converse().shake_hands()
    talk.upper.transport.write(bytes(1_000_000))
    talk.upper.transport.close()
    if takes_some:
        talk.lower.take(1000)
        talk.loop.pass_time()
        assert talk.lower.calls == []
    talk.loop.pass_time()
    assert talk.lower.calls == ["abort"]
    assert talk.upper.transport.get_write_buffer_size() >= 0


def test_a_client_that_asks_and_does_not_read_is_not_read_either(converse: Callable[..., Conversation]) -> None:
    talk = converse(server=AnsweringContext())
    talk.connection.data_received(b"\x16")
    talk.connection.data_received(b"update")
    assert talk.lower.take() == b"updated"
    transport = talk.upper.transport
    transport.write(bytes(100_000))
    assert talk.lower.is_reading
    talk.connection.data_received(b"update")
    assert not talk.lower.is_reading
    # What the protocol wants meanwhile is remembered.
    transport.pause_reading()
    talk.lower.take(90_000)
    assert not talk.lower.is_reading
    transport.resume_reading()
    assert talk.lower.is_reading
    transport.abort()


def test_abort(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    transport.write(bytes(1_000_000))
    transport.abort()
    assert talk.lower.calls == ["abort"]
    transport.write(b"x")
    transport.close()
    transport.resume_reading()
    assert talk.lower.calls == ["abort"]


def test_after_the_loss(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    transport = talk.upper.transport
    transport.pause_reading()
    talk.lose()
    transport.resume_reading()
    transport.write(b"x")
    transport.abort()
    transport.close()
    assert transport.is_closing()
    assert transport.get_write_buffer_size() == 0
    assert transport.get_extra_info("ssl_object") is None
    assert transport.get_protocol() is None


def test_another_protocol_takes_over(converse: Callable[..., Conversation]) -> None:
    talk = converse().shake_hands()
    other = Upper()
    talk.upper.on_data = lambda: talk.upper.transport.set_protocol(other)
    talk.say(b"upgrade")
    talk.say(b"frames")
    assert (talk.upper.received, other.received) == (b"upgrade", b"frames")
    talk.lose()
    assert other.calls == ["lost"]
    talk.upper.calls.append("lost")
