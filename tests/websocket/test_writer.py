"""Frames of a server, byte by byte, and what may not be put into one."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bodies import TWINS
from picocorn.base.errors import LocalProtocolError
from picocorn.websocket.opcodes import BINARY, PING, PONG, TEXT, may_be_sent

quickly = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

JOIN_BYTES = 32768
WRITERS = [importlib.import_module(f"picocorn.websocket.writer_{'c' if twin == 'native' else 'py'}") for twin in TWINS]


@pytest.fixture
def writer(room: Callable[[str], ModuleType]) -> ModuleType:
    return room("websocket.writer")


def test_frames_of_the_rfc(writer: ModuleType) -> None:
    # RFC 6455 5.7, RFC 7692 7.2.3.1.
    assert writer.encode_frame(TEXT, b"Hello") == [b"\x81\x05Hello"]
    assert writer.encode_frame(PONG, b"Hello") == [b"\x8a\x05Hello"]
    assert writer.encode_frame(TEXT, b"\xf2\x48\xcd\xc9\xc9\x07\x00", True) == [b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00"]


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (1, b"\x82\x01"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (255, b"\x82\x7e\x00\xff"),
        (256, b"\x82\x7e\x01\x00"),
        (JOIN_BYTES - 1, b"\x82\x7e\x7f\xff"),
        (JOIN_BYTES, b"\x82\x7e\x80\x00"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\0\0\0\0\0\x01\0\0"),
        (70000, b"\x82\x7f\0\0\0\0\0\x01\x11\x70"),
    ],
)
def test_lengths(writer: ModuleType, size: int, head: bytes) -> None:
    payload = b"x" * size
    frame = writer.encode_frame(BINARY, payload)
    assert b"".join(frame) == head + payload
    assert all(type(piece) is bytes for piece in frame)
    if size < JOIN_BYTES:
        assert len(frame) == 1
    else:
        assert frame[1] is payload, "a large payload is not copied"


@pytest.mark.parametrize("text", ["", "Hello", "\0", "ä€😀", "a" * 125 + "ä", "\U0010ffff", "a" * 40000, "€" * 40000])
def test_text_is_utf8(writer: ModuleType, text: str) -> None:
    assert b"".join(writer.encode_text(text)) == b"".join(writer.encode_frame(TEXT, text.encode()))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "a" * 40000 + "\udc80", "\ud83d\ude00"])
def test_lone_surrogates_are_refused(writer: ModuleType, text: str) -> None:
    with pytest.raises(LocalProtocolError, match="surrogate"):
        writer.encode_text(text)
    with pytest.raises(LocalProtocolError, match="surrogate"):
        writer.encode_close(1000, text)


def test_close(writer: ModuleType) -> None:
    assert writer.encode_close(1000, "") == b"\x88\x02\x03\xe8"
    assert writer.encode_close(1001, "bye") == b"\x88\x05\x03\xe9bye"
    assert writer.encode_close(4999, "€") == b"\x88\x05\x13\x87\xe2\x82\xac"
    assert writer.encode_close(1005, "") == b"\x88\x00"
    assert type(writer.encode_close(1000, "")) is bytes


@pytest.mark.parametrize("code", [*range(990, 1020), 2999, 3000, 4999, 5000, 65535, 65536, 66536, 0, 1, -1, 2**40])
def test_close_codes(writer: ModuleType, code: int) -> None:
    if code == 1005 or may_be_sent(code):
        assert writer.encode_close(code, "")[:1] == b"\x88"
    else:
        with pytest.raises(LocalProtocolError, match=str(code)):
            writer.encode_close(code, "")


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("a" * 123, b"a" * 123),
        ("a" * 124, b"a" * 123),
        ("a" * 5000, b"a" * 123),
        ("€" * 41, "€".encode() * 41),
        ("€" * 42, "€".encode() * 41),
        ("a" + "€" * 41, b"a" + "€".encode() * 40),
        ("aa" + "€" * 41, b"aa" + "€".encode() * 40),
        ("a" * 120 + "😀", b"a" * 120),
        ("a" * 119 + "😀", b"a" * 119 + "😀".encode()),
        ("a" * 122 + "ä", b"a" * 122),
    ],
)
def test_a_long_reason_is_cut_between_characters(writer: ModuleType, reason: str, sent: bytes) -> None:
    frame = writer.encode_close(1000, reason)
    assert frame[4:] == sent
    assert frame[1] == len(sent) + 2


@quickly
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(3000, 4999))
def test_any_reason_stays_utf8(reason: str, code: int) -> None:
    frames = {writer.encode_close(code, reason) for writer in WRITERS}
    assert len(frames) == 1
    frame = frames.pop()
    assert len(frame) == 2 + frame[1] <= 127
    assert reason.startswith(frame[4:].decode())
    assert len(frame) > 127 - 4 or frame[4:].decode() == reason


def test_control_frames(writer: ModuleType) -> None:
    assert writer.encode_frame(PING, b"") == [b"\x89\x00"]
    assert writer.encode_frame(PING, b"x" * 125) == [b"\x89\x7d" + b"x" * 125]
