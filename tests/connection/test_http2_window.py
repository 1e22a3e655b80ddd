"""What the window of an HTTP/2 connection is for: uploads that nobody reads hold up no other, and memory stays bounded."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from connection.applications import body, echo, start
from connection.http2_peer import HTTP2Peer, context_of
from picocorn.base.limits import HTTP2Limits

#: Four streams fill the window.
NARROW = HTTP2Limits(max_concurrent_streams=100, stream_window_bytes=65536, connection_window_bytes=262144)


class Patient:
    """Reads what is sent to /held only when it is told to; answers everything with what it was sent."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gates = [self.gate]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/large":
            await send(start())
            await send(body(bytes(200_000)))
            return
        if scope["path"] == "/held":
            await self.gate.wait()
        await echo(scope, receive, send)


async def fill(peer: HTTP2Peer, streams: list[int]) -> int:
    """Send on these streams as much as the server allows. Returns how much that was."""
    sent_bytes = 0
    for stream in streams:
        while size_bytes := peer.conn.local_flow_control_window(stream):
            peer.data(stream, bytes(size_bytes))
            sent_bytes += size_bytes
            await peer.settle()
    return sent_bytes


def begin(peer: HTTP2Peer, count: int) -> list[int]:
    return [peer.head(b"/held", method=b"POST", end=False) for _ in range(count)]


def test_an_upload_is_taken_though_others_are_not_read(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        app = Patient()
        peer = HTTP2Peer(bench, app, http2_limits=NARROW)
        await peer.settle()
        held = begin(peer, 100 - 1)
        for count in (4, 5, 20, 50, 99):
            await fill(peer, held[:count])
            stream = peer.post(b"x" * 60000)
            assert len((await peer.response(stream)).body) == 60000, count
        app.gate.set()
        for stream in held:
            peer.data(stream, b"", end=True)
        await peer.settle()
        assert {len(peer.streams[stream].body) for stream in held} == {65536}


@pytest.mark.parametrize("lent_bytes", [0, 100_000, 1_000_000])
def test_what_nobody_reads_is_bounded(bench: Any, lent_bytes: int) -> None:
    """By the window of each connection, and what all of a server may borrow; so many more streams make no difference."""

    @bench
    async def _(bench: Any) -> None:
        limits = HTTP2Limits(
            max_concurrent_streams=300, stream_window_bytes=65536, connection_window_bytes=262144, lent_window_bytes=lent_bytes
        )
        app = Patient()
        bench.apps.append(app)
        context = context_of(bench, app, http2_limits=limits)
        peers = [HTTP2Peer(bench, app, context=context) for _ in range(3)]
        sent_bytes = 0
        for peer in peers:
            await peer.settle()
            sent_bytes += await fill(peer, begin(peer, 300))
        assert sent_bytes == 3 * 262144 + lent_bytes
        assert bench.state.lent_bytes == lent_bytes
        for peer in peers:
            peer.transport.abort()
        await bench.settle()
        assert bench.state.lent_bytes == 0


def test_a_window_grows_no_further_than_to_twice_what_all_streams_may_hold(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Patient(), http2_limits=HTTP2Limits(max_concurrent_streams=6, connection_window_bytes=1000000))
        await peer.settle()
        await fill(peer, begin(peer, 6))
        assert bench.state.lent_bytes == 2 * 6 * 262144 - 1000000


def test_who_may_not_send_is_not_late(bench: Any) -> None:
    """Nothing is lent, and so an upload waits until those before it are read: that is not its client's fault."""

    @bench
    async def _(bench: Any) -> None:
        limits = HTTP2Limits(stream_window_bytes=65536, connection_window_bytes=262144, lent_window_bytes=0)
        app = Patient()
        peer = HTTP2Peer(bench, app, http2_limits=limits, request_body_seconds=10)
        await peer.settle()
        held = begin(peer, 4)
        assert await fill(peer, held) == 262144
        stream = peer.head(method=b"POST", end=False)
        peer.flush()
        await peer.advance(25)
        assert peer.streams[stream].status == 0
        app.gate.set()
        for one in held:
            peer.data(one, b"", end=True)
        await peer.settle()
        # From here on it is.
        await peer.advance(25)
        assert peer.streams[stream].status == 408


def test_a_client_may_send_all_that_it_may_before_it_takes_anything(bench: Any) -> None:
    """Also where that is more than the window was to begin with."""

    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Patient(), settings={4: 2**31 - 1}, http2_limits=NARROW)
        peer.conn.increment_flow_control_window(2**30)
        await peer.settle()
        await fill(peer, begin(peer, 18))
        peer.transport.stuck = True
        peer.get(b"/large")
        await bench.settle()
        assert peer.transport.paused_writing
        sent_bytes = 0
        for stream in begin(peer, 20):
            peer.data(stream, bytes(65536))
            sent_bytes += 65536
        assert sent_bytes > 4 * NARROW.connection_window_bytes
        assert peer.transport.reading
        peer.transport.stuck = False
        peer.transport.drain()
        await peer.settle()
