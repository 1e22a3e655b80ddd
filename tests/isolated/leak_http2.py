"""HTTP/2 sessions leave nothing behind, whatever becomes of them: no object and no memory block, on each engine, in a process.

What libnghttp2 allocates is outside of Python's count, so the process's own size is looked at as well.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from measured_growth import assert_nothing_grows

from http2.engines import ENGINES, GET, POST, Peer, frame, uint32
from picocorn.base.errors import HTTP2Error
from picocorn.http2 import codes

#: A connection over libnghttp2 takes 40 KiB while it lives; one in a hundred left behind would be seen.
SESSIONS = 1000
ALLOWED_KIB = 400
STATUS = Path("/proc/self/status")


def finished(peer: Peer) -> None:
    for stream_id in range(1, 7, 2):
        peer.request(stream_id, (*GET, ("a", str(stream_id)), ("cookie", "a=b"), ("cookie", "c=d")))
        peer.session.queue_head(stream_id, 200, [(b"a", b"b")] * 60, False)
        peer.session.queue_data(stream_id, b"x" * 5000, False)
        peer.session.queue_trailers(stream_id, [(b"t", b"u")])
        peer.take()
    peer.session.goaway(codes.NO_ERROR)


def unfinished(peer: Peer) -> None:
    peer.request(1, (*POST, ("content-length", "100")), end=False)
    peer.send(peer.data(1, b"x" * 50))
    head = peer.request(3)
    peer.session.queue_push(3, head, b"a", b"http")
    peer.session.queue_head(3, 200, [(b"a", b"b")], False)
    peer.session.queue_data(3, bytes(100000), False)
    peer.session.queue_data(3, bytes(100000), False)
    peer.take()
    peer.session.queue_head(1, 200, [(b"a", b"b")], False)


def reset(peer: Peer) -> None:
    for stream_id in (1, 3, 5):
        peer.request(stream_id, POST, end=False)
        peer.session.queue_head(stream_id, 200, [(b"a", b"b")], False)
        peer.session.queue_data(stream_id, bytes(100000), False)
    peer.send(frame(codes.RST_STREAM, 0, 1, uint32(codes.CANCEL)))
    peer.session.reset(3, codes.INTERNAL_ERROR)
    peer.session.stop_upload(5)
    peer.request(7, (*GET, ("A", "b")))
    peer.request(9, (*GET, *[("a", "b")] * 150))


def broken(peer: Peer) -> None:
    peer.request(1)
    try:
        peer.send(peer.headers(3, GET) + frame(codes.PING, 0, 1, b"12345678"))
    except HTTP2Error:
        return
    raise AssertionError("PING on a stream")


def resident_kib() -> int:
    if not STATUS.exists():
        return 0
    for line in STATUS.read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    return 0


async def measure(engine: str) -> None:
    async def one_round() -> None:
        for what in (finished, unfinished, reset, broken):
            what(Peer(engine))

    for _ in range(20):
        await one_round()
    await assert_nothing_grows(engine, one_round)
    if engine != "nghttp2":
        return
    kept: list[Any] = [Peer(engine) for _ in range(50)]
    for peer in kept:
        unfinished(peer)
    del kept[:], peer
    gc.collect()
    before = resident_kib()
    for _ in range(SESSIONS):
        unfinished(Peer(engine))
    assert resident_kib() - before < ALLOWED_KIB, f"{engine}: {resident_kib() - before} KiB more after {SESSIONS} connections"


for name in ENGINES:
    asyncio.run(measure(name))
