"""Connections of one request, as the native poller shortens them: data at the accept, the end in the last packet."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Any

import pytest

from .conftest import Bench, Echo, Recorder, read_exactly, read_to_end, receive_blocking, watched

LATENCY_GUARD_SECONDS = 0.004


class AnswersOnce(Recorder):
    """Answers and closes, and notes whether the kernel was asked to watch for it."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.was_registered = self.transport.fileno() in self.registered()
        self.transport.write(b"answer")
        self.transport.close()


# --- at the accept --------------------------------------------------------------------------------------------------------


def test_what_is_there_at_the_accept_is_received_at_once(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(AnswersOnce) as serving:
            AnswersOnce.registered = lambda self: watched(serving)  # type: ignore[attr-defined]
            client = serving.connect_only()
            client.sendall(b"request")
            serving.poller._on_ready()
            [protocol] = serving.protocols
            assert protocol.calls == ["made", "data"]
            assert not protocol.was_registered
            assert await read_to_end(client) == b"answer"
            await protocol.until_called("lost")
            assert protocol.error is None

    native_bench.run(main)


def test_what_comes_later_is_received_too(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Echo) as serving:
            early, late = serving.connect_only(), serving.connect_only()
            early.sendall(b"one")
            assert await read_exactly(early, 3) == b"one"
            early.sendall(b"two")
            late.sendall(b"late")
            assert await read_exactly(early, 3) == b"two"
            assert await read_exactly(late, 4) == b"late"

    native_bench.run(main)


@pytest.mark.parametrize("how", ["pause", "close", "abort"])
def test_nothing_is_received_against_the_will_of_connection_made(native_bench: Bench, how: str) -> None:
    class Unwilling(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            {"pause": transport.pause_reading, "close": transport.close, "abort": transport.abort}[how]()

    async def main() -> None:
        async with native_bench.serving(Unwilling) as serving:
            client = serving.connect_only()
            client.sendall(b"request")
            serving.poller._on_ready()
            [protocol] = serving.protocols
            assert protocol.calls == ["made"]
            if how == "pause":
                protocol.transport.resume_reading()
                await protocol.until_received(7)
            else:
                await protocol.until_called("lost")
                assert "data" not in protocol.calls

    native_bench.run(main)


def test_an_end_at_the_accept(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(lambda: Echo(keep_open=True)) as serving:
            client = serving.connect_only()
            client.sendall(b"request")
            client.shutdown(socket.SHUT_WR)
            assert await read_exactly(client, 7) == b"request"
            [protocol] = serving.protocols
            await protocol.until_called("eof")
            protocol.transport.close()
            await protocol.until_called("lost")
            assert protocol.error is None

    native_bench.run(main)


def test_a_slow_newcomer_does_not_hold_back_the_answers_to_others(native_bench: Bench) -> None:
    """Three are accepted in one turn: the first is answered, the second is slow, the third sees that the answer has left."""

    class Staged(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if data == b"fast":
                self.transport.write(b"answer")
            elif data == b"slow":
                end = time.monotonic() + 2 * LATENCY_GUARD_SECONDS
                while time.monotonic() < end:
                    pass
            else:
                self.seen = receive_blocking(first)

    async def main() -> None:
        nonlocal first
        async with native_bench.serving(Staged) as serving:
            first, second, third = (serving.connect_only() for _ in range(3))
            first.sendall(b"fast")
            second.sendall(b"slow")
            third.sendall(b"look")
            serving.poller._on_ready()
            assert [protocol.received for protocol in serving.protocols] == [b"fast", b"slow", b"look"]
            assert serving.protocols[2].seen == b"answer"

    first: Any = None
    native_bench.run(main)


# --- at the end -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["close", "write_eof"])
def test_the_end_leaves_with_the_last_bytes(native_bench: Bench, how: str) -> None:
    class Ends(Recorder):
        def data_received(self, data: bytes) -> None:
            # In front of everything that the end of the connection asks of the loop.
            asyncio.get_running_loop().call_soon(self.look)
            self.transport.writelines([b"an", b"swer"])
            getattr(self.transport, how)()

        def look(self) -> None:
            self.seen = [receive_blocking(client), receive_blocking(client)]
            self.note("looked")

    async def main() -> None:
        nonlocal client
        async with native_bench.serving(Ends) as serving:
            client, protocol = await serving.connect()
            client.sendall(b"?")
            await protocol.until_called("looked")
            assert protocol.seen == [b"answer", b""]

    client: Any = None
    native_bench.run(main)


def test_the_end_follows_a_queue_that_takes_long(native_bench: Bench) -> None:
    class Ends(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(content)
            self.transport.close()

    content = bytes(range(256)) * 40_000

    async def main() -> None:
        async with native_bench.serving(Ends) as serving:
            client, protocol = await serving.connect()
            client.sendall(b"?")
            await protocol.until_received(1)
            assert protocol.transport.get_write_buffer_size() > 0
            assert await read_to_end(client) == content
            await protocol.until_called("lost")
            assert protocol.error is None

    native_bench.run(main)


def test_an_abort_after_a_close_promises_no_orderly_end(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            protocol.transport.write(b"half of it")
            protocol.transport.close()
            sock = protocol.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            protocol.transport.abort()
            with pytest.raises(ConnectionResetError):
                await read_to_end(client)
            await protocol.until_called("lost")

    native_bench.run(main)
