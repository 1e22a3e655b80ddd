"""The sans-IO WebSocket connection: what is compressed, what is reported, and what may follow a close frame."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.errors import LocalProtocolError, WebSocketError
from picocorn.base.limits import WebSocketLimits
from picocorn.websocket.deflate import DEFLATE_THRESHOLD_BYTES, DeflateParameters
from picocorn.websocket.opcodes import BINARY, CLOSE, CONTINUATION, NEED_DATA, PING, PONG, TEXT
from websocket_corpus import client_frame

SMALL = "a" * (DEFLATE_THRESHOLD_BYTES - 1)
LARGE = "a" * DEFLATE_THRESHOLD_BYTES


@pytest.fixture
def connect(room: Callable[[str], ModuleType]) -> Callable[..., Any]:
    """`connect(data, deflate=parameters, **limits)`: a connection that was fed `data`."""

    def connect(data: bytes = b"", deflate: DeflateParameters | None = None, **limits: Any) -> Any:
        connection = room("websocket.connection").WebSocketConnection(WebSocketLimits(**limits), deflate)
        connection.feed(data)
        return connection

    return connect


# -- in -----------------------------------------------------------------------------------------------------------------


def test_events_and_their_attributes(connect: Any) -> None:
    connection = connect(
        client_frame(TEXT, b"a") + client_frame(PING, b"b") + client_frame(BINARY, b"c") + client_frame(PONG, b"d")
    )
    assert (connection.next_event(), connection.message) == (TEXT, "a")
    assert (connection.next_event(), connection.payload) == (PING, b"b")
    assert (connection.next_event(), connection.message) == (BINARY, b"c")
    assert (connection.next_event(), connection.payload) == (PONG, b"d")
    assert connection.next_event() == NEED_DATA
    assert not connection.close_received


def test_need_data_lets_the_message_go(connect: Any) -> None:
    connection = connect(client_frame(TEXT, b"a") + client_frame(PING, b"b"))
    assert [connection.next_event() for _ in range(3)] == [TEXT, PING, NEED_DATA]
    assert not connection.message
    assert not connection.payload


def test_buffered_bytes_and_mid_message(connect: Any) -> None:
    frame = client_frame(TEXT, b"hello")
    connection = connect(frame + frame[:4])
    assert connection.buffered_bytes() == len(frame) + 4
    assert connection.next_event() == TEXT
    assert connection.buffered_bytes() == 4
    assert connection.next_event() == NEED_DATA
    assert connection.buffered_bytes() == 0
    assert connection.mid_message()
    connection.feed(frame[4:])
    assert connection.next_event() == TEXT
    assert not connection.mid_message()


def test_the_limit_is_that_of_the_settings(connect: Any) -> None:
    connection = connect(client_frame(TEXT, b"hello"), max_size_bytes=4)
    with pytest.raises(WebSocketError) as caught:
        connection.next_event()
    assert caught.value.close_code == 1009
    assert connect(client_frame(TEXT, b"hello"), max_size_bytes=0).next_event() == TEXT


def test_an_error_is_what_to_close_with(connect: Any) -> None:
    connection = connect(client_frame(TEXT, b"\xff"))
    for _ in range(2):
        with pytest.raises(WebSocketError) as caught:
            connection.next_event()
        assert caught.value.close_code == 1007
    frame = connection.send_close(caught.value.close_code, str(caught.value))
    assert frame[2:] == b"\x03\xef" + str(caught.value).encode()
    assert not connection.close_received


def test_compressed_messages_need_an_agreement(connect: Any) -> None:
    hello = client_frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", rsv=4)
    with pytest.raises(WebSocketError) as caught:
        connect(hello).next_event()
    assert caught.value.code == "RSV"
    connection = connect(hello, DeflateParameters())
    assert (connection.next_event(), connection.message) == (TEXT, "Hello")


# -- out ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "hello", "ä€", LARGE, "a" * 100_000])
def test_messages_without_compression(connect: Any, text: str) -> None:
    connection = connect()
    data = text.encode()
    for message, first in ((text, 0x81), (data, 0x82)):
        out = connection.send_message(message)
        assert type(out) is list
        assert all(type(piece) is bytes for piece in out)
        frame = b"".join(out)
        assert frame[0] == first
        assert frame.endswith(data)


@pytest.mark.parametrize("message", [SMALL, SMALL.encode(), "", b""])
def test_small_messages_are_not_compressed(connect: Any, message: str | bytes) -> None:
    assert b"".join(connect(deflate=DeflateParameters()).send_message(message))[0] in (0x81, 0x82)


def test_large_messages_are_compressed(connect: Any) -> None:
    connection = connect(deflate=DeflateParameters())
    receiver = zlib.decompressobj(-12)
    for message in (LARGE, LARGE.encode(), "€" * 3000, SMALL, bytes(range(256)) * 300, LARGE):
        frame = b"".join(connection.send_message(message))
        data = message.encode() if isinstance(message, str) else message
        if message is SMALL:
            assert frame[2 if len(data) < 126 else 4 :] == data
            continue
        assert frame[0] == (0xC1 if isinstance(message, str) else 0xC2)
        payload = frame[2 if frame[1] < 126 else 4 :]
        assert len(payload) < len(data)
        assert receiver.decompress(payload + b"\x00\x00\xff\xff") == data


@pytest.mark.parametrize("deflate", [None, DeflateParameters()])
@pytest.mark.parametrize("text", ["\ud800", "\udfff" * 1000])
def test_lone_surrogates_are_refused(connect: Any, text: str, deflate: DeflateParameters | None) -> None:
    connection = connect(deflate=deflate)
    with pytest.raises(LocalProtocolError, match="surrogate"):
        connection.send_message(text)
    # Nothing of it has got into the compression context.
    assert connection.send_message("next")


def test_pings_and_pongs(connect: Any) -> None:
    connection = connect()
    assert connection.send_ping(b"") == b"\x89\x00"
    assert connection.send_ping(b"x" * 125) == b"\x89\x7d" + b"x" * 125
    assert connection.send_pong(b"abc") == b"\x8a\x03abc"
    for send in (connection.send_ping, connection.send_pong):
        with pytest.raises(LocalProtocolError, match="125"):
            send(b"x" * 126)


# -- the close handshake ------------------------------------------------------------------------------------------------


def test_the_peer_closes(connect: Any) -> None:
    connection = connect(client_frame(CLOSE, b"\x0f\xa1bye"))
    assert not connection.close_received
    assert connection.next_event() == CLOSE
    assert connection.close_received
    assert not connection.close_sent
    assert (connection.close_code, connection.close_reason) == (4001, "bye")
    assert connection.send_close(connection.close_code, connection.close_reason) == b"\x88\x05\x0f\xa1bye"
    assert connection.close_sent


def test_the_peer_closes_without_a_code(connect: Any) -> None:
    connection = connect(client_frame(CLOSE))
    assert connection.next_event() == CLOSE
    assert (connection.close_code, connection.close_reason) == (1005, "")
    assert connection.send_close(connection.close_code, connection.close_reason) == b"\x88\x00"


def test_we_close(connect: Any) -> None:
    connection = connect()
    assert connection.send_close(1000, "done") == b"\x88\x06\x03\xe8done"
    assert connection.close_sent
    assert not connection.close_received
    connection.feed(client_frame(CLOSE, b"\x03\xe8"))
    assert connection.next_event() == CLOSE
    assert connection.close_received


def test_a_close_frame_is_sent_once(connect: Any) -> None:
    connection = connect()
    assert connection.send_close(1000, "")
    assert connection.send_close(1001, "again") == b""
    assert connection.send_close(1, "not even judged") == b""


@pytest.mark.parametrize(("code", "reason"), [(1006, ""), (1004, ""), (999, ""), (1000, "\ud800")])
def test_a_close_frame_that_may_not_be_sent_is_not(connect: Any, code: int, reason: str) -> None:
    connection = connect()
    with pytest.raises(LocalProtocolError):
        connection.send_close(code, reason)
    assert not connection.close_sent
    assert connection.send_message("still open")
    assert connection.send_close(1011, "")


@pytest.mark.parametrize("deflate", [None, DeflateParameters()])
@pytest.mark.parametrize("message", ["", b"", LARGE])
def test_no_message_follows_a_close_frame(connect: Any, message: str | bytes, deflate: DeflateParameters | None) -> None:
    connection = connect(deflate=deflate)
    connection.send_close(1000, "")
    with pytest.raises(LocalProtocolError, match=r"RFC 6455 5\.5\.1"):
        connection.send_message(message)


def test_messages_are_reported_until_the_peer_closes_too(connect: Any) -> None:
    connection = connect()
    connection.send_close(1000, "")
    connection.feed(client_frame(TEXT, b"a", fin=False) + client_frame(PING, b"b") + client_frame(CONTINUATION, b"c"))
    assert (connection.next_event(), connection.payload) == (PING, b"b")
    # RFC 6455 5.5.2: pings are answered until the peer's close frame has come.
    assert connection.send_pong(connection.payload) == b"\x8a\x01b"
    assert (connection.next_event(), connection.message) == (TEXT, "ac")
    connection.feed(client_frame(CLOSE) + client_frame(TEXT, b"d"))
    assert connection.next_event() == CLOSE
    assert connection.next_event() == NEED_DATA
    connection.feed(client_frame(TEXT, b"e"))
    assert connection.next_event() == NEED_DATA
    assert connection.buffered_bytes() == 0


def test_flags_cannot_be_set_from_outside_the_compiled_body(connect: Any, twin: str) -> None:
    if twin == "native":
        with pytest.raises(AttributeError):
            connect().close_sent = True
