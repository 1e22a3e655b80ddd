"""What the native poller promises beyond asyncio: one flush per turn, bounded turns, nothing watched in vain."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import socket
import time
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bench, Echo, Recorder, Serving, read_exactly, read_to_end, receive_blocking, reset, wait_for_data, watched

ACCEPTS_PER_TURN = 16
LATENCY_GUARD_SECONDS = 0.004
#: EPOLLERR and EPOLLHUP are always watched.
ALWAYS = select.EPOLLERR | select.EPOLLHUP


def seqpacket(tmp_path: Path) -> socket.socket:
    """A listening socket whose connections keep apart what was sent by different system calls."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(str(tmp_path / "s"))
    return sock


def unix(tmp_path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "s"))
    return sock


def work_for(seconds: float) -> None:
    """What a slow handler does."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


# --- one flush per turn ---------------------------------------------------------------------------------------------------


def test_writes_of_one_turn_leave_together(native_bench: Bench, tmp_path: Path) -> None:
    class WritesTwice(Recorder):
        def data_received(self, data: bytes) -> None:
            self.transport.write(b"one ")
            self.transport.writelines([b"two ", b"three"])

    async def main() -> None:
        async with native_bench.serving(WritesTwice, seqpacket(tmp_path)) as serving:
            client, _ = await serving.connect()
            client.sendall(b"go")
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b"one two three"

    native_bench.run(main)


def test_writes_from_elsewhere_leave_together(native_bench: Bench, tmp_path: Path) -> None:
    async def main() -> None:
        async with native_bench.serving(Recorder, seqpacket(tmp_path)) as serving:
            client, protocol = await serving.connect()
            protocol.transport.write(b"one ")
            protocol.transport.write(b"two")
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b"one two"

    native_bench.run(main)


def test_more_pieces_than_one_call_takes(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            before = serving.poller.sends
            protocol.transport.writelines([b"%d," % number for number in range(150)])
            protocol.transport.close()
            assert await read_to_end(client) == b"".join(b"%d," % number for number in range(150))
            assert serving.poller.sends - before == 3

    native_bench.run(main)


def test_pieces_keep_their_order_through_partial_sends(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            pieces = [os.urandom(size) for size in (300_000, 1, 5_000_000, 70, 0, 900_000)] + [os.urandom(37)] * 3000
            for piece in pieces:
                protocol.transport.write(piece)
            assert protocol.transport.get_write_buffer_size() > 0
            protocol.transport.close()
            assert await read_to_end(client) == b"".join(pieces)

    native_bench.run(main)


def test_what_is_written_is_copied_unless_it_cannot_change(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            mutable = bytearray(b"before")
            protocol.transport.write(mutable)
            protocol.transport.write(memoryview(mutable)[::2])
            mutable[:] = b"AFTERWARDS"
            assert await read_exactly(client, 9) == b"before" + b"bfr"

    native_bench.run(main)


def test_a_slow_handler_does_not_hold_back_fast_answers(native_bench: Bench) -> None:
    """Three connections in one turn: the first answers, the second is slow, the third sees that the answer has left."""

    class Staged(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"fast":
                self.transport.write(b"answer")
            elif data == b"slow":
                work_for(2 * LATENCY_GUARD_SECONDS)
            else:
                self.seen = receive_blocking(first)

    async def main() -> None:
        nonlocal first
        async with native_bench.serving(Staged) as serving:
            first, one = await serving.connect()
            second, two = await serving.connect()
            third, three = await serving.connect()
            first.sendall(b"fast")
            second.sendall(b"slow")
            third.sendall(b"look")
            wait_for_data(one, two, three)
            serving.poller._on_ready()
            assert [one.received, two.received, three.received] == [b"fast", b"slow", b"look"]
            assert three.seen == b"answer"

    first: Any = None
    native_bench.run(main)


def test_slow_callbacks_elsewhere_do_not_hold_back_fast_answers(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            _, other = await serving.connect()
            protocol.transport.write(b"answer")
            work_for(2 * LATENCY_GUARD_SECONDS)
            other.transport.write(b"another")
            assert receive_blocking(client) == b"answer"

    native_bench.run(main)


def test_a_queue_over_the_mark_is_sent_at_once_and_may_pause_nobody(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            protocol.transport.set_write_buffer_limits(high=1000)
            protocol.transport.write(b"x" * 2000)
            assert protocol.transport.get_write_buffer_size() == 0
            assert len(receive_blocking(client, 4000)) == 2000
            assert protocol.calls == ["made"]

    native_bench.run(main)


# --- nothing is watched in vain -------------------------------------------------------------------------------------------


def test_writability_is_watched_only_while_something_is_queued(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            fd = protocol.transport.fileno()
            assert watched(serving)[fd] & ~ALWAYS == select.EPOLLIN
            protocol.transport.write(b"x" * 20_000_000)
            assert watched(serving)[fd] & ~ALWAYS == select.EPOLLIN | select.EPOLLOUT
            await read_exactly(client, 20_000_000)
            await protocol.until_called("resume")
            assert protocol.transport.get_write_buffer_size() == 0
            assert watched(serving)[fd] & ~ALWAYS == select.EPOLLIN

    native_bench.run(main)


def take_all(client: socket.socket) -> None:
    """Everything that the kernel holds for `client`, without a turn of the loop."""
    poll = select.poll()
    poll.register(client.fileno(), select.POLLIN)
    while poll.poll(50):
        client.recv(1 << 20)


def test_a_writer_is_resumed_also_when_the_turn_ends_with_the_rest_of_its_queue(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            # To be flushed at the end of this turn, whatever becomes of it meanwhile.
            protocol.transport.write(b"x")
            while "pause" not in protocol.calls:
                protocol.transport.write(bytes(65536))
            # By then there is room for all of it.
            take_all(client)
            await protocol.until_called("resume")
            assert protocol.transport.get_write_buffer_size() == 0

    native_bench.run(main)


def test_reading_is_not_watched_after_eof(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(lambda: Recorder(keep_open=True)) as serving:
            client, protocol = await serving.connect()
            client.shutdown(socket.SHUT_WR)
            await protocol.until_called("eof")
            assert watched(serving)[protocol.transport.fileno()] & ~ALWAYS == 0
            reset(client)
            await protocol.until_called("lost")
            assert isinstance(protocol.error, OSError)

    native_bench.run(main)


def test_a_connection_shut_in_both_directions_is_over(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(lambda: Recorder(keep_open=True)) as serving:
            client, protocol = await serving.connect()
            client.shutdown(socket.SHUT_WR)
            await protocol.until_called("eof")
            protocol.transport.write(b"last words")
            protocol.transport.write_eof()
            assert await read_to_end(client) == b"last words"
            await protocol.until_called("lost")
            assert protocol.error is None

    native_bench.run(main)


def test_pausing_costs_nothing_until_data_arrives(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            fd = protocol.transport.fileno()
            protocol.transport.pause_reading()
            assert watched(serving)[fd] & ~ALWAYS == select.EPOLLIN
            client.sendall(b"data")
            await serving.turn()
            assert watched(serving)[fd] & ~ALWAYS == 0
            protocol.transport.resume_reading()
            await protocol.until_received(4)

    native_bench.run(main)


def test_a_reset_is_noticed_while_paused(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            protocol.transport.pause_reading()
            client.sendall(b"never read")
            await serving.turn()
            reset(client)
            await protocol.until_called("lost")
            assert isinstance(protocol.error, ConnectionResetError)
            assert protocol.received == b""

    native_bench.run(main)


def test_data_before_a_hang_up_waits_while_paused(native_bench: Bench, tmp_path: Path) -> None:
    """A Unix peer that has gone is reported for ever (EPOLLHUP), and what it sent must still be readable."""

    async def main() -> None:
        async with native_bench.serving(Recorder, unix(tmp_path)) as serving:
            client, protocol = await serving.connect()
            protocol.transport.pause_reading()
            client.sendall(b"will")
            client.close()
            await serving.turn()
            await serving.turn()
            assert protocol.transport.fileno() not in watched(serving)
            assert protocol.calls == ["made"]
            protocol.transport.resume_reading()
            await protocol.until_called("lost")
            assert protocol.calls == ["made", "data", "eof", "lost"]
            assert protocol.received == b"will"

    native_bench.run(main)


def test_closing_while_parked(native_bench: Bench, tmp_path: Path) -> None:
    async def main() -> None:
        async with native_bench.serving(Recorder, unix(tmp_path)) as serving:
            client, protocol = await serving.connect()
            protocol.transport.pause_reading()
            client.close()
            await serving.turn()
            assert protocol.transport.fileno() not in watched(serving)
            protocol.transport.write(b"to nobody")
            protocol.transport.close()
            await protocol.until_called("lost")
            assert isinstance(protocol.error, BrokenPipeError)

    native_bench.run(main)


# --- bounded turns --------------------------------------------------------------------------------------------------------


def test_a_chatty_connection_gets_one_share_of_a_turn(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            chatty, one = await serving.connect()
            modest, two = await serving.connect()
            chatty.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_000_000)
            sent = chatty.send(b"x" * 2_000_000)
            modest.sendall(b"y")
            wait_for_data(one, two)
            serving.poller._on_ready()
            assert one.calls == ["made", "data"]
            assert two.calls == ["made", "data"]
            assert len(one.received) <= 65536
            await one.until_received(sent)

    native_bench.run(main)


def test_a_turn_accepts_a_bounded_number(native_bench: Bench, tmp_path: Path) -> None:
    async def main() -> None:
        async with native_bench.serving(Recorder, unix(tmp_path)) as serving:
            for _ in range(ACCEPTS_PER_TURN + 5):
                last = serving.connect_only()
            serving.poller._on_ready()
            assert len(serving.protocols) == ACCEPTS_PER_TURN
            await serving.protocol_of(last)

    native_bench.run(main)


# --- what is left behind --------------------------------------------------------------------------------------------------


def test_a_lost_connection_is_freed_without_the_collector(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Echo) as serving:
            client, protocol = await serving.connect()
            transport = protocol.transport
            client.sendall(b"x")
            assert await read_exactly(client, 1) == b"x"
            transport.get_extra_info("socket")
            client.close()
            await protocol.until_called("lost")
            await serving.turn()
            assert transport.get_protocol() is None
            assert transport.fileno() == -1
            assert transport.get_extra_info("socket") is None
            assert transport.get_extra_info("peername")[0] == "127.0.0.1"
            remains = weakref.ref(protocol)
            del protocol, serving.protocols[:], transport
            assert remains() is None

    gc.disable()
    try:
        native_bench.run(main)
    finally:
        gc.enable()


def test_the_poller_is_one_per_loop_and_gone_when_unused(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as one, native_bench.serving() as two:
            poller = one.poller
            assert two.poller is poller
            assert poller.watching == 2
            assert poller.fileno() >= 0
        assert poller.watching == 0
        assert poller.fileno() == -1
        async with native_bench.serving(Echo) as again:
            client, _ = await again.connect()
            client.sendall(b"x")
            assert await read_exactly(client, 1) == b"x"

    native_bench.run(main)


def test_the_poller_can_be_closed_whole(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            poller = serving.poller
            connected = [await serving.connect() for _ in range(5)]
            connected[0][1].transport.write(b"dropped")
            poller.close()
            poller.close()
            assert [protocol.calls for _, protocol in connected] == [["made"]] * 5
            for _, protocol in connected:
                await protocol.until_called("lost")
            assert poller.fileno() == -1

    native_bench.run(main)


async def left_open(factory: Callable[[], Any] = Recorder) -> Serving:
    """A server with one connection that nobody will close."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    serving = Serving(native=True)
    await serving.start(factory, sock)
    await serving.connect()
    return serving


def test_a_loop_that_ends_with_open_connections(native_bench: Bench) -> None:
    """The descriptors are given back, and a warning says that nobody had ended the connections."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        with asyncio.Runner(loop_factory=native_bench.loop_factory) as runner:
            clients = runner.run(left_open()).clients
            # From now on only the loop holds the poller, and the poller all the rest.
        del runner
        gc.collect()
    assert "a connection was dropped without being closed" in [str(warning.message) for warning in caught]
    clients[0].settimeout(10)
    assert clients[0].recv(1) == b""
    clients[0].close()


def test_transports_outlive_their_loop_harmlessly(native_bench: Bench) -> None:
    with asyncio.Runner(loop_factory=native_bench.loop_factory) as runner:
        serving = runner.run(left_open())
    protocol = serving.protocols[0]
    serving.poller._on_ready()
    with pytest.raises(RuntimeError, match="closed"):
        protocol.transport.write(b"never sent")
    protocol.transport.abort()
    serving.poller.close()
    assert protocol.transport.fileno() == -1
    assert serving.poller.fileno() == -1
    assert protocol.calls == ["made"]
    serving.clients[0].close()


def test_methods_of_a_lost_connection_do_nothing(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            _, protocol = await serving.connect()
            transport = protocol.transport
            assert "reading" in repr(transport)
            transport.abort()
            await protocol.until_called("lost")
            await serving.turn()
            transport.write(b"x")
            transport.writelines([b"x"])
            transport.write_eof()
            transport.pause_reading()
            transport.resume_reading()
            transport.set_write_buffer_limits(0)
            transport.close()
            transport.abort()
            assert transport.is_closing()
            assert not transport.is_reading()
            assert transport.get_write_buffer_size() == 0
            assert "lost" in repr(transport)
            assert protocol.calls == ["made", "lost"]

    native_bench.run(main)
