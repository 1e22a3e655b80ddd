"""What only the native writer can get wrong: what it keeps, subclasses, and objects written in place."""

from __future__ import annotations

import gc
import sys

import pytest

from bodies import TWINS
from picocorn.base.errors import LocalProtocolError
from picocorn.websocket.opcodes import BINARY, PING, TEXT

if "native" not in TWINS:
    pytest.skip("the native bodies were deselected", allow_module_level=True)

from picocorn.websocket.writer_c import encode_close, encode_frame, encode_text


@pytest.mark.parametrize("text", ["Grüße", "Привет", "世界" * 20_000, "a" * 40_000])
def test_a_text_keeps_no_copy_of_itself(text: str) -> None:
    # As long as the application keeps it, the UTF-8 that CPython caches in a str would double it.
    text = "".join(text)
    before = sys.getsizeof(text)
    encode_text(text)
    assert sys.getsizeof(text) == before


class Text(str):
    """As templates give out."""


class Data(bytes):
    """As serializers give out."""


@pytest.mark.parametrize("text", ["", "abc", "äöü"])
def test_subclasses_are_what_they_hold(text: str) -> None:
    assert encode_text(Text(text)) == encode_text(text)
    assert encode_frame(BINARY, Data(text.encode())) == encode_frame(BINARY, text.encode())
    assert encode_close(1000, Text(text)) == encode_close(1000, text)


def test_small_frames_are_fresh_objects() -> None:
    # CPython shares bytes objects of one byte and of none; a frame has two at least.
    first, second = encode_frame(PING, b"")[0], encode_frame(TEXT, b"")[0]
    assert (first, second) == (b"\x89\x00", b"\x81\x00")
    assert [bytes((number,))[0] for number in range(256)] == list(range(256))


def test_wrong_types_are_refused() -> None:
    for wrong in (None, bytearray(b"a"), memoryview(b"a"), "a"):
        with pytest.raises(TypeError, match="payload must be bytes"):
            encode_frame(BINARY, wrong)  # type: ignore[arg-type]
    for wrong in (None, b"a", 1):
        with pytest.raises(TypeError, match="must be str"):
            encode_text(wrong)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="must be str"):
            encode_close(1000, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("code", [-1, 2**16 + 1000, 2**32 + 1000, 2**64 + 1000, -(2**64)])
def test_codes_are_not_cut_down(code: int) -> None:
    with pytest.raises(LocalProtocolError, match="close code"):
        encode_close(code, "")


def test_nothing_leaks() -> None:
    def round_trip() -> None:
        for text in ("abc", "äöü", "a" * 40_000, "\ud800"):
            try:
                encode_text(text)
                encode_close(1000, text)
            except LocalProtocolError:
                assert text == "\ud800"
            encode_frame(BINARY, text.encode("utf-8", "surrogatepass"), compressed=True)
        with pytest.raises(LocalProtocolError):
            encode_close(1005 + 1, "")

    for _ in range(20):
        round_trip()
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(300):
        round_trip()
    gc.collect()
    assert sys.getallocatedblocks() - before < 100
