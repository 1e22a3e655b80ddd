"""Frames as bytes, right and wrong ones, and a raw client that sends them over a connection it has upgraded. Knows no server.

What it reads it reads strictly (RFC 6455 5.2 and 5.5): a masked frame, a reserved bit or a length longer than needed fails.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import dataclass
from typing import Any

from raw_client import Client, Response, get

__all__ = [
    "BINARY",
    "CLOSE",
    "CONTINUATION",
    "KEY",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "WebSocket",
    "close_frame",
    "frame",
    "handshake",
    "masked",
    "upgrade",
]

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: As good a masking key as any other for who counts on nothing: masked is what it was.
ZERO_MASK = bytes(4)


def masked(payload: bytes, mask: bytes) -> bytes:
    """The payload under the mask (RFC 6455 5.3)."""
    if mask == ZERO_MASK:
        return payload
    whole = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(payload), "big")


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length: int | None = None,
) -> bytes:
    """A frame of a client. `reserved` are the bits RSV1-3 as 4, 2, 1; `length` is what the header claims instead of the truth."""
    size = len(payload) if length is None else length
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    bit = 0 if mask is None else 0x80
    if size < 126:
        head = struct.pack("!BB", first, bit | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, bit | 126, size)
    else:
        head = struct.pack("!BBQ", first, bit | 127, size)
    return head + (b"" if mask is None else mask) + (payload if mask is None else masked(payload, mask))


def close_frame(code: int | None = 1000, reason: str = "") -> bytes:
    """A client's close frame; without a code its payload is empty."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


@dataclass
class Frame:
    """A frame of the server."""

    opcode: int
    payload: bytes
    compressed: bool = False

    @property
    def close_code(self) -> int:
        """The code of a close frame, 1005 when it has none."""
        assert self.opcode == CLOSE, self
        return int(struct.unpack("!H", self.payload[:2])[0]) if self.payload else 1005

    @property
    def close_reason(self) -> str:
        """The reason of a close frame."""
        assert self.opcode == CLOSE, self
        return self.payload[2:].decode()


def handshake(target: bytes, *fields: bytes) -> bytes:
    """The bytes of a proper handshake."""
    return get(
        target, b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY, *fields
    )


def accept_value(key: bytes) -> bytes:
    """RFC 6455 4.2.2, step 5.4."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


class WebSocket:
    """An open WebSocket over a raw client."""

    def __init__(self, client: Client, response: Response) -> None:
        self.client = client
        self.response = response

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *error: object) -> None:
        self.client.close()

    def send(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        """Send one frame (see `frame`)."""
        self.client.send(frame(opcode, payload, **options))

    def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Begin or answer the close handshake; closes nothing."""
        self.client.send(close_frame(code, reason))

    def read(self) -> Frame:
        """The next frame."""
        first, second = self.client.read_exactly(2)
        assert not second & 0x80, "a server's frame is never masked"
        assert first & 0x80, "a message in fragments: none is expected of this server"
        assert not first & 0x30, f"reserved bits: {first:#x}"
        opcode, size = first & 15, second & 127
        if size == 126:
            (size,) = struct.unpack("!H", self.client.read_exactly(2))
            assert size > 125
        elif size == 127:
            (size,) = struct.unpack("!Q", self.client.read_exactly(8))
            assert size > 65535
        if opcode >= CLOSE:
            assert size <= 125
            assert not first & 0x40, "a control frame is never compressed"
        return Frame(opcode, self.client.read_exactly(size), bool(first & 0x40))

    def read_message(self) -> str | bytes:
        """The next frame, which must be an uncompressed message."""
        got = self.read()
        assert got.opcode in (TEXT, BINARY), got
        assert not got.compressed
        return got.payload.decode() if got.opcode == TEXT else got.payload

    def read_close(self) -> tuple[int, str]:
        """Code and reason of the close frame that must come next."""
        got = self.read()
        assert got.opcode == CLOSE, got
        return got.close_code, got.close_reason

    def closed(self) -> bool:
        """Whether the server has closed the connection, with nothing more to read; waits for it."""
        return self.client.closed()


def upgrade(client: Client, target: bytes = b"/echo", *fields: bytes, behind: bytes = b"") -> WebSocket:
    """Make a WebSocket of the connection. `behind` is sent in the same piece as the handshake."""
    client.send(handshake(target, *fields) + behind)
    response = client.head()
    assert response.status == 101, response
    assert response.get(b"sec-websocket-accept") == accept_value(KEY), response
    assert (response.get(b"upgrade") or b"").lower() == b"websocket", response
    assert (response.get(b"connection") or b"").lower() == b"upgrade", response
    return WebSocket(client, response)
