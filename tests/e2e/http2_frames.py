"""Frames of HTTP/2 as bytes, right and wrong ones, and a raw client that sends them. Knows no server and no rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hpack import Decoder, Encoder

from picocorn.http2.codes import (
    ACK,
    CONNECTION_PREFACE,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
)
from raw_client import Client

__all__ = ["Frame", "HTTP2Client", "block", "frame", "request", "settings", "uint32"]


@dataclass
class Frame:
    """One frame as it came."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes

    @property
    def error_code(self) -> int:
        """Of RST_STREAM and GOAWAY."""
        return int.from_bytes(self.payload[:4] if self.kind == RST_STREAM else self.payload[4:8], "big")


def uint32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def frame(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"", length: int | None = None) -> bytes:
    """A frame; `length` is what the header claims instead of the truth."""
    size = len(payload) if length is None else length
    return size.to_bytes(3, "big") + bytes([kind, flags]) + uint32(stream_id) + payload


def settings(**values: int) -> bytes:
    """SETTINGS with some by their numbers, as `_4=65535`."""
    return frame(SETTINGS, 0, 0, b"".join(int(name[1:]).to_bytes(2, "big") + uint32(value) for name, value in values.items()))


def block(path: bytes = b"/", *fields: tuple[bytes, bytes], method: bytes = b"GET") -> bytes:
    """A field block that refers to nothing: the same bytes mean the same anywhere."""
    control = [(b":method", method), (b":scheme", b"http"), (b":authority", b"a"), (b":path", path)]
    encoder = Encoder()
    encoder.header_table_size = 0
    encoded: bytes = encoder.encode([*control, *fields], huffman=False)
    return encoded


def request(stream_id: int, path: bytes = b"/", *fields: tuple[bytes, bytes], end: bool = True, method: bytes = b"GET") -> bytes:
    """HEADERS of a request."""
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream_id, block(path, *fields, method=method))


class HTTP2Client:
    """A connection that has sent the preface. Settings are acknowledged when they are read."""

    def __init__(self, client: Client, **initial: int) -> None:
        self.client = client
        self._decoder = Decoder()
        client.send(CONNECTION_PREFACE + settings(**initial))

    def send(self, *frames: bytes) -> None:
        self.client.send(b"".join(frames))

    def read(self) -> Frame:
        """The next frame."""
        head = self.client.read_exactly(9)
        stream_id = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        one = Frame(head[3], head[4], stream_id, self.client.read_exactly(int.from_bytes(head[:3], "big")))
        if one.kind == SETTINGS and not one.flags & ACK:
            self.send(frame(SETTINGS, ACK))
        return one

    def read_response(self, stream_id: int) -> tuple[int, bytes]:
        """(status, content) of a stream; other frames are dropped. Gives the window back as content comes."""
        status, content = 0, b""
        while True:
            one = self.read()
            assert one.kind != GOAWAY, f"GOAWAY {one.error_code}"
            fields: Any = self._decoder.decode(one.payload, raw=True) if one.kind == HEADERS else ()
            if one.stream_id != stream_id:
                continue
            assert one.kind != RST_STREAM, f"RST_STREAM {one.error_code}"
            if fields and not status:
                status = int(fields[0][1])
            if one.kind == DATA and one.payload:
                content += one.payload
                credit = uint32(len(one.payload))
                self.send(frame(WINDOW_UPDATE, 0, 0, credit), frame(WINDOW_UPDATE, 0, stream_id, credit))
            if one.kind in (HEADERS, DATA) and one.flags & END_STREAM:
                return status, content

    def read_goaway(self) -> int:
        """Everything up to GOAWAY; returns its code."""
        while (one := self.read()).kind != GOAWAY:
            pass
        return one.error_code

    def ping(self) -> None:
        """Everything up to the answer to a PING: all that was sent before has been looked at."""
        self.send(frame(PING, 0, 0, b"lookedat"))
        while (one := self.read()).kind != PING or one.payload != b"lookedat":
            assert one.kind != GOAWAY, f"GOAWAY {one.error_code}"
