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
        if scope["path"] == "/early":
            await send(start())
            await send(body(b"early"))
            await self.gate.wait()
            return
        if scope["path"] == "/held":
            await self.gate.wait()
        await echo(scope, receive, send)


class Late:
    """Waits before it reads, and keeps how much it was given; or returns without having read."""

    def __init__(self, reads: bool) -> None:
        self.gate = asyncio.Event()
        self.gates = [self.gate]
        self.reads = reads
        self.given: list[int] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.gate.wait()
        if self.reads:
            event = await receive()
            self.given.append(len(event.get("body", b"")))


async def fill(peer: HTTP2Peer, streams: list[int]) -> int:
    """Send on these streams as much as the server allows. Returns how much that was."""
    sent_bytes = 0
    for stream in streams:
        while size_bytes := peer.conn.local_flow_control_window(stream):
            peer.data(stream, bytes(size_bytes))
            sent_bytes += size_bytes
            await peer.settle()
    return sent_bytes


def begin(peer: HTTP2Peer, count: int, path: bytes = b"/held") -> list[int]:
    return [peer.head(path, method=b"POST", end=False) for _ in range(count)]


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
    """By the window of each connection, its share of what all of a server may borrow, and that. More streams do not matter."""

    @bench
    async def _(bench: Any) -> None:
        limits = HTTP2Limits(
            max_concurrent_streams=100, stream_window_bytes=65536, connection_window_bytes=262144, lent_window_bytes=lent_bytes
        )
        app = Patient()
        bench.apps.append(app)
        context = context_of(bench, app, http2_limits=limits)
        peers = [HTTP2Peer(bench, app, context=context) for _ in range(10)]
        sent_bytes = 0
        for count, peer in enumerate(peers, 1):
            await peer.settle()
            sent_bytes += await fill(peer, begin(peer, 10))
            assert bench.state.lent_bytes == min(lent_bytes, count * lent_bytes // 8)
        assert sent_bytes == 10 * 262144 + lent_bytes
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


def test_who_might_not_send_until_a_moment_ago_is_not_late(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        limits = HTTP2Limits(stream_window_bytes=65536, connection_window_bytes=262144, lent_window_bytes=0)
        app = Patient()
        peer = HTTP2Peer(bench, app, http2_limits=limits, request_body_seconds=10)
        await peer.settle()
        held = begin(peer, 4)
        await fill(peer, held)
        stream = peer.head(method=b"POST", end=False)
        peer.flush()
        await peer.settle()
        await peer.advance(9.5)
        app.gate.set()
        for one in held:
            peer.data(one, b"", end=True)
        await peer.settle()
        await peer.advance(2)
        assert peer.streams[stream].status == 0
        await peer.advance(10)
        assert peer.streams[stream].status == 408


def test_who_waits_is_lent_what_others_have_given_back(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Patient(), http2_limits=NARROW, request_body_seconds=10)
        bench.state.lent_bytes = NARROW.lent_window_bytes
        await peer.settle()
        await fill(peer, begin(peer, 4))
        stream = peer.head(method=b"POST", end=False)
        peer.flush()
        await peer.advance(11)
        assert peer.conn.local_flow_control_window(stream) == 0
        bench.state.lent_bytes = 0
        await peer.advance(11)
        assert peer.conn.local_flow_control_window(stream) == 65536
        assert bench.state.lent_bytes == 262144
        peer.data(stream, b"x" * 65536, end=True)
        assert len((await peer.response(stream)).body) == 65536


@pytest.mark.parametrize("how", ["with the head", "behind the answer", "complete"])
def test_content_that_nobody_will_read_needs_no_window(bench: Any, how: str) -> None:
    """The requests are answered, so that it is not kept. What a client may send on a stream it may, and no more."""

    @bench
    async def _(bench: Any) -> None:
        # Their answers have to wait.
        peer = HTTP2Peer(bench, Patient(), settings={4: 0} if how == "complete" else None, http2_limits=NARROW)
        await peer.settle()
        for _ in range(3):
            streams = begin(peer, 10, b"/early")
            if how == "behind the answer":
                peer.flush()
                await peer.settle()
            if how == "complete":
                for stream in streams:
                    peer.data(stream, bytes(65536), end=True)
                    await peer.settle()
            else:
                assert await fill(peer, streams) == 10 * 65536
            assert bench.state.lent_bytes == 0
        stream = peer.head(method=b"POST", end=False)
        assert peer.conn.local_flow_control_window(stream) == 65536
        assert not peer.goaways


def test_content_of_requests_that_are_refused_needs_no_window(bench: Any) -> None:
    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Patient(), http2_limits=NARROW, limit_concurrency=1)
        peer.get(b"/held")
        await peer.settle()
        streams = begin(peer, 10)
        assert await fill(peer, streams) == 10 * 65536
        assert {peer.streams[stream].status for stream in streams} == {503}
        assert bench.state.lent_bytes == 0


def test_content_for_a_stream_that_is_gone_holds_up_nobody(bench: Any) -> None:
    """Less than is worth a frame of credit, but all that is left of the window, half of which is held."""

    @bench
    async def _(bench: Any) -> None:
        peer = HTTP2Peer(bench, Patient())
        await peer.settle()
        assert await fill(peer, begin(peer, 2)) == 524288
        gone = peer.head(b"/", (b"content-length", b"1"), method=b"POST", end=False)
        peer.flush()
        for size_bytes in [16384] * 12 + [200_000 - 12 * 16384]:
            peer.connection.send(size_bytes.to_bytes(3, "big") + bytes(2) + gone.to_bytes(4, "big") + bytes(size_bytes))
        peer.conn.outbound_flow_control_window -= 200_000
        stream = peer.head(method=b"POST", end=False)
        peer.flush()
        await peer.settle()
        left_bytes = 600_000
        while left_bytes and (size_bytes := min(left_bytes, peer.conn.local_flow_control_window(stream))):
            left_bytes -= size_bytes
            peer.data(stream, bytes(size_bytes), end=not left_bytes)
            await peer.settle()
        assert len(peer.streams[stream].body) == 600_000
        assert not peer.goaways


@pytest.mark.parametrize("reads", [True, False])
@pytest.mark.parametrize("complete", [True, False])
def test_what_was_lent_comes_back_with_the_memory(bench: Any, complete: bool, reads: bool) -> None:
    """Of a request that was complete, applications are given the content though the client is gone; of others they are not."""

    @bench
    async def _(bench: Any) -> None:
        app = Late(reads)
        peer = HTTP2Peer(bench, app, http2_limits=NARROW)
        await peer.settle()
        streams = begin(peer, 8)
        assert await fill(peer, streams) == 8 * 65536
        for stream in streams if complete else ():
            peer.data(stream, b"", end=True)
        await peer.settle()
        assert bench.state.lent_bytes == 3 * 262144
        peer.transport.lose()
        await bench.settle()
        assert bench.state.lent_bytes == (8 * 65536 if complete else 0)
        app.gate.set()
        await bench.settle()
        assert bench.state.lent_bytes == 0
        assert app.given == [65536 if complete else 0] * 8 * reads
        assert not bench.state.tasks


def test_content_of_a_request_that_was_reset_is_no_loan(bench: Any) -> None:
    """Its part of the window is free again at once, and the application is given it all the same."""

    @bench
    async def _(bench: Any) -> None:
        app = Late(True)
        peer = HTTP2Peer(bench, app, http2_limits=NARROW)
        await peer.settle()
        stream = peer.post(bytes(65536))
        await peer.settle()
        peer.reset(stream)
        await peer.settle()
        app.gate.set()
        await peer.settle()
        assert app.given == [65536]
        assert bench.state.lent_bytes == 0
        assert not bench.state.tasks


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
