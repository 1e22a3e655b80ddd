"""Micro-benchmarks of the HTTP/2 engines, no sockets: 32 requests in one piece, their responses, and a megabyte.

python -m pytest bench/test_http2_engines.py --benchmark-only --benchmark-enable --benchmark-group-by=func
"""

from __future__ import annotations

import importlib
from itertools import count
from typing import Any

import pytest
from hpack import Encoder

from picocorn.base.limits import HTTP2Limits
from picocorn.base.native import NATIVE
from picocorn.http2 import codes
from picocorn.http2.engine import ENGINE

ENGINES = {"h2-pure": ("session_py", "engine_h2_py", "H2Engine")}
if NATIVE:
    ENGINES["h2-native"] = ("session_c", "engine_h2_c", "H2Engine")
if ENGINE == "nghttp2":
    ENGINES["nghttp2"] = ("session_c", "engine_nghttp2_c", "NGHTTP2Engine")

REQUESTS = 32
REQUEST = [
    (":method", "GET"),
    (":scheme", "http"),
    (":authority", "127.0.0.1:8000"),
    (":path", "/"),
    ("user-agent", "h2load nghttp2/1.52.0"),
    ("accept", "*/*"),
]
HEADERS = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"13"), (b"server", b"picocorn")]


def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload


class Client:
    """One connection that asks the same again and again, as a client with a compression table does."""

    def __init__(self, engine: str) -> None:
        handler_module, engine_module, engine_class = ENGINES[engine]
        base = importlib.import_module(f"picocorn.http2.{handler_module}").SessionHandler
        self.asked: list[int] = []
        quiet = {name: lambda *_: None for name in ("data", "end", "closed", "drained", "goaway")}
        handler = type("Handler", (base,), {**quiet, "request": lambda _, stream_id, *__: self.asked.append(stream_id)})
        made = getattr(importlib.import_module(f"picocorn.http2.{engine_module}"), engine_class)
        self.session: Any = made(handler(), HTTP2Limits())
        self.session.start()
        window = b"\0\x04\x7f\xff\xff\xff"
        credit = (2**31 - 1 - 65535).to_bytes(4, "big")
        self.session.receive(codes.CONNECTION_PREFACE + frame(codes.SETTINGS, 0, 0, window), 0.0)
        self.session.receive(frame(codes.SETTINGS, codes.ACK, 0, b"") + frame(codes.WINDOW_UPDATE, 0, 0, credit), 0.0)
        self.numbers = count(1, 2)
        encoder = Encoder()
        self.block = encoder.encode(REQUEST)
        self.ask(1)
        self.answer(b"Hello, world!")
        self.block = encoder.encode(REQUEST)

    def ask(self, requests: int) -> None:
        flags = codes.END_HEADERS | codes.END_STREAM
        frames = [frame(codes.HEADERS, flags, next(self.numbers), self.block) for _ in range(requests)]
        self.session.receive(b"".join(frames), 1.0)

    def answer(self, content: bytes) -> int:
        session = self.session
        for stream_id in self.asked:
            session.queue_head(stream_id, 200, HEADERS, False)
            session.queue_data(stream_id, content, True)
        self.asked.clear()
        size = 0
        while session.wants_send():
            size += sum(map(len, session.send()))
        return size


@pytest.mark.parametrize("engine", ENGINES)
def test_requests(benchmark: Any, engine: str) -> None:
    client = Client(engine)

    def batch() -> int:
        client.ask(REQUESTS)
        return client.answer(b"Hello, world!")

    assert benchmark(batch) > REQUESTS * 13
    assert client.session.open_streams() == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_megabyte(benchmark: Any, engine: str) -> None:
    client = Client(engine)
    content = bytes(1 << 20)

    def one() -> int:
        client.ask(1)
        return client.answer(content)

    # As much as the window of the connection allows.
    assert benchmark.pedantic(one, rounds=50, warmup_rounds=1) > 1 << 20
