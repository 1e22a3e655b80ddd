"""Micro-benchmarks of the WebSocket codec, both twins, no sockets: fed bytes to message, and message to frame.

python -m pytest bench/test_websocket_codec.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from picocorn.websocket.opcodes import BINARY, CONTINUATION, NEED_DATA, PING, TEXT

Room = Callable[[str], ModuleType]

MASK = b"\x37\xfa\x21\x3d"
MiB = 1024 * 1024
#: What one recv() takes from a connection that sends little, and from one that sends much.
PIECE_BYTES = 65536
BULK_PIECE_BYTES = 262144

JSON_LINE = b'{"id": 4711, "user": "anna", "text": "see you at nine, same place"}, '
#: UTF-8 as chats in most of the world have it: two and three bytes a character, ASCII between.
CYRILLIC = "Встретимся в девять, там же. ".encode()


def client_frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as clients send it: masked."""
    size = len(payload)
    if size < 126:
        head = bytes((fin << 7 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((fin << 7 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((fin << 7 | opcode, 0xFF)) + size.to_bytes(8, "big")
    mask = int.from_bytes(MASK * (size // 4 + 1), "little") & (1 << 8 * size) - 1
    return head + MASK + (int.from_bytes(payload, "little") ^ mask).to_bytes(size, "little")


def repeated(text: bytes, size: int) -> bytes:
    """About `size` bytes, of whole characters."""
    return text * max(1, size // len(text))


PAYLOADS = {
    "text-64": (TEXT, repeated(JSON_LINE, 64)[:64]),
    "binary-64": (BINARY, bytes(range(64))),
    "cyrillic-64": (TEXT, repeated(CYRILLIC, 64)),
    "text-1-kib": (TEXT, repeated(JSON_LINE, 1024)),
    "cyrillic-1-kib": (TEXT, repeated(CYRILLIC, 1024)),
    "text-16-kib": (TEXT, repeated(JSON_LINE, 16384)),
    "binary-16-kib": (BINARY, bytes(16384)),
}


def drain(reader: Any) -> int:
    """As a connection does: every event, and its message."""
    size = 0
    while event := reader.next_event():
        size += len(reader.payload if event == PING else reader.message)
    return size


@pytest.mark.parametrize("name", PAYLOADS)
def test_one_message(benchmark: Any, room: Room, name: str) -> None:
    """A message that came in one piece, as most do."""
    opcode, payload = PAYLOADS[name]
    frame = client_frame(opcode, payload)
    reader = room("websocket.reader").MessageReader(16 * MiB, None)

    def serve() -> int:
        reader.feed(frame)
        return drain(reader)

    assert benchmark(serve) == len(payload.decode() if opcode == TEXT else payload)


def test_many_messages_in_a_piece(benchmark: Any, room: Room) -> None:
    """A client that does not wait for answers: the price of a message without that of a feed."""
    piece = client_frame(*PAYLOADS["text-64"]) * 100
    reader = room("websocket.reader").MessageReader(16 * MiB, None)

    def serve() -> int:
        reader.feed(piece)
        return drain(reader)

    assert benchmark(serve) == 6400


@pytest.mark.parametrize("opcode", [TEXT, BINARY], ids=["text", "binary"])
@pytest.mark.parametrize("piece_bytes", [PIECE_BYTES, BULK_PIECE_BYTES])
def test_one_mebibyte(benchmark: Any, room: Room, opcode: int, piece_bytes: int) -> None:
    """A large message in the pieces that a socket gives."""
    data = client_frame(opcode, b"a" * MiB)
    pieces = [data[at : at + piece_bytes] for at in range(0, len(data), piece_bytes)]
    reader = room("websocket.reader").MessageReader(16 * MiB, None)

    def serve() -> int:
        size = 0
        for piece in pieces:
            reader.feed(piece)
            size += drain(reader)
        return size

    assert benchmark(serve) == MiB


def test_fragments(benchmark: Any, room: Room) -> None:
    """A message in a thousand fragments of a few bytes."""
    fragments = [client_frame(CONTINUATION if number else TEXT, b"abcdefgh", fin=number == 999) for number in range(1000)]
    data = b"".join(fragments)
    reader = room("websocket.reader").MessageReader(16 * MiB, None)

    def serve() -> int:
        reader.feed(data)
        return drain(reader)

    assert benchmark(serve) == 8000


def test_ping(benchmark: Any, room: Room) -> None:
    frame = client_frame(PING, b"12345678")
    reader = room("websocket.reader").MessageReader(16 * MiB, None)

    def serve() -> int:
        reader.feed(frame)
        return drain(reader)

    assert benchmark(serve) == 8


def test_new_connection(benchmark: Any, room: Room) -> None:
    """What a reader costs that has seen nothing yet."""
    new_reader = room("websocket.reader").MessageReader
    reader = benchmark(new_reader, 16 * MiB, None)
    assert reader.next_event() == NEED_DATA


@pytest.mark.parametrize("size", [64, 1024, 16384, MiB])
@pytest.mark.parametrize("script", ["ascii", "cyrillic"])
def test_encode_text(benchmark: Any, room: Room, script: str, size: int) -> None:
    text = repeated(JSON_LINE[:64] if script == "ascii" else CYRILLIC, size).decode()
    frames = benchmark(room("websocket.writer").encode_text, text)
    assert sum(map(len, frames)) > len(text)


@pytest.mark.parametrize("size", [64, 1024, 16384, MiB])
def test_encode_binary(benchmark: Any, room: Room, size: int) -> None:
    payload = bytes(size)
    frames = benchmark(room("websocket.writer").encode_frame, BINARY, payload)
    assert sum(map(len, frames)) > size
