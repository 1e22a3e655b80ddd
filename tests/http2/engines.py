"""Every HTTP/2 engine behind one face, and a client that speaks to it in frames. For the tests of this folder."""

from __future__ import annotations

import importlib
from typing import Any

from hpack import Decoder, Encoder

from bodies import TWINS
from picocorn.base.limits import HTTP2Limits
from picocorn.http2 import codes
from picocorn.http2.engine import ENGINE

#: name -> (module of the handler's base, module of the engine, its class)
ALL = {
    "h2-pure": ("session_py", "engine_h2_py", "H2Engine"),
    "h2-native": ("session_c", "engine_h2_c", "H2Engine"),
    "nghttp2": ("session_c", "engine_nghttp2_c", "NGHTTP2Engine"),
}
#: Those there are. Only libnghttp2 may be missing, and the header of the report says so.
ENGINES = [name for name in ALL if name == "h2-pure" or ("native" in TWINS and (name == "h2-native" or ENGINE == "nghttp2"))]
PREFACE = codes.CONNECTION_PREFACE
GET = ((":method", "GET"), (":scheme", "http"), (":authority", "example.com"), (":path", "/"))
POST = ((":method", "POST"), (":scheme", "http"), (":authority", "example.com"), (":path", "/"))


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


def uint32(value: int) -> bytes:
    return value.to_bytes(4, "big")


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(codes.SETTINGS, 0, 0, b"".join(code.to_bytes(2, "big") + uint32(value) for code, value in pairs))


def read_frames(data: bytes) -> list[tuple[int, int, int, bytes]]:
    """(kind, flags, stream, payload) of every frame in `data`, which must end with one."""
    frames = []
    pos = 0
    while pos < len(data):
        length = int.from_bytes(data[pos : pos + 3], "big")
        end = pos + 9 + length
        assert end <= len(data), "half a frame"
        stream_id = int.from_bytes(data[pos + 5 : pos + 9], "big")
        frames.append((data[pos + 3], data[pos + 4], stream_id, data[pos + 9 : end]))
        pos = end
    return frames


def make(name: str, limits: HTTP2Limits | None = None) -> tuple[Any, list[tuple[Any, ...]]]:
    """A started session of the engine called `name`, and the list of all that it tells its handler."""
    handler_module, engine_module, engine_class = ALL[name]
    base = importlib.import_module(f"picocorn.http2.{handler_module}").SessionHandler
    told: list[tuple[Any, ...]] = []

    class Handler(base):  # type: ignore[misc, valid-type]
        def request(self, stream_id: int, head: Any, protocol: bytes, authority_present: bool, end: bool) -> None:
            told.append(("request", stream_id, head, protocol, authority_present, end))

        def data(self, stream_id: int, data: bytes) -> None:
            told.append(("data", stream_id, data))

        def end(self, stream_id: int) -> None:
            told.append(("end", stream_id))

        def closed(self, stream_id: int, error_code: int) -> None:
            told.append(("closed", stream_id, error_code))

        def drained(self, stream_id: int) -> None:
            told.append(("drained", stream_id))

        def goaway(self, error_code: int, last_stream_id: int) -> None:
            told.append(("goaway", error_code, last_stream_id))

    engine = getattr(importlib.import_module(f"picocorn.http2.{engine_module}"), engine_class)
    session = engine(Handler(), limits or HTTP2Limits())
    session.start()
    return session, told


class Peer:
    """A client of one session. `frames` are all that have come, `told` is what the handler was told."""

    def __init__(self, engine: str, limits: HTTP2Limits | None = None, **setting: int) -> None:
        self.session, self.told = make(engine, limits)
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.frames: list[tuple[int, int, int, bytes]] = []
        self.now_seconds = 1000.0
        self.send(PREFACE + settings(*((getattr(codes, name), value) for name, value in setting.items())))
        self.send(frame(codes.SETTINGS, codes.ACK, 0))
        self.frames.clear()

    def send(self, data: bytes) -> list[tuple[int, int, int, bytes]]:
        """Give bytes to the session, take what it answers. Returns the frames of the answer."""
        try:
            self.session.receive(data, self.now_seconds)
        finally:
            frames = self.take()
        return frames

    def take(self) -> list[tuple[int, int, int, bytes]]:
        frames = []
        while out := self.session.send():
            frames += read_frames(b"".join(out))
        self.frames += frames
        return frames

    def headers(self, stream_id: int, fields: Any, end: bool = True) -> bytes:
        flags = codes.END_HEADERS | (codes.END_STREAM if end else 0)
        return frame(codes.HEADERS, flags, stream_id, self.encoder.encode(fields))

    def request(self, stream_id: int, fields: Any = GET, end: bool = True) -> Any:
        """Send a request. Returns its head as the handler got it, None when it got none."""
        before = len(self.told)
        self.send(self.headers(stream_id, fields, end))
        heads = [note[2] for note in self.told[before:] if note[0] == "request"]
        return heads[0] if heads else None

    def data(self, stream_id: int, data: bytes, end: bool = False) -> bytes:
        return frame(codes.DATA, codes.END_STREAM if end else 0, stream_id, data)

    def decode(self, payload: bytes) -> list[tuple[bytes, bytes]]:
        return [(bytes(name), bytes(value)) for name, value in self.decoder.decode(payload, raw=True)]

    def of(self, kind: int, stream_id: int | None = None) -> list[tuple[int, int, int, bytes]]:
        """The frames of that type that have come."""
        return [f for f in self.frames if f[0] == kind and stream_id in (None, f[2])]

    def resets(self) -> list[tuple[int, int]]:
        """(stream, error code) of each RST_STREAM that has come."""
        return [(f[2], int.from_bytes(f[3], "big")) for f in self.of(codes.RST_STREAM)]

    def goaways(self) -> list[tuple[int, int]]:
        """(last stream, error code) of each GOAWAY that has come."""
        return [(int.from_bytes(f[3][:4], "big"), int.from_bytes(f[3][4:8], "big")) for f in self.of(codes.GOAWAY)]

    def content(self, stream_id: int) -> bytes:
        return b"".join(f[3] for f in self.of(codes.DATA, stream_id))
