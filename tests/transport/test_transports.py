"""What both transports promise to a protocol, on both loops."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from picocorn.base.limits import HIGH_WATER_BYTES, LOW_WATER_BYTES

from .conftest import Bench, Echo, Recorder, read_exactly, read_to_end, reset


def test_echo(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving(Echo) as serving:
            client, protocol = await serving.connect()
            client.sendall(b"hello")
            assert await read_exactly(client, 5) == b"hello"
            client.close()
            await protocol.until_called("lost")
            assert protocol.calls == ["made", "data", "eof", "lost"]
            assert protocol.error is None

    bench.run(main)


def test_many_connections_at_once(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving(Echo) as serving:
            clients = [serving.connect_only() for _ in range(200)]
            for number, client in enumerate(clients):
                client.sendall(b"%d!" % number)
            for number, client in enumerate(clients):
                expected = b"%d!" % number
                assert await read_exactly(client, len(expected)) == expected

    bench.run(main)


def test_a_large_upload_arrives_whole(bench: Bench) -> None:
    class Upload(Recorder):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self.digest = hashlib.sha256()
            self.size = self.largest = 0

        def data_received(self, data: bytes) -> None:
            assert type(data) is bytes
            self.digest.update(data)
            self.size += len(data)
            self.largest = max(self.largest, len(data))
            if self.size % 3 == 0:  # now and then, as flow control does
                self.transport.pause_reading()
                asyncio.get_running_loop().call_soon(self.transport.resume_reading)

    async def main() -> None:
        async with bench.serving(Upload) as serving:
            client, protocol = await serving.connect()
            body = os.urandom(1_000_003) * 12
            await asyncio.get_running_loop().sock_sendall(client, body)
            client.close()
            await protocol.until_called("lost")
            assert protocol.error is None
            assert protocol.digest.digest() == hashlib.sha256(body).digest()
            assert protocol.largest <= 262_144

    bench.run(main)


class Pump(Recorder):
    """Writes pieces while it may, as a well-behaved response does."""

    PIECES = (os.urandom(60_000),) * 100

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)
        self.left = list(reversed(self.PIECES))
        self.most_queued = 0
        self.may_write = True
        self.pump()

    def pump(self) -> None:
        while self.may_write and self.left:
            self.transport.write(self.left.pop())
            self.most_queued = max(self.most_queued, self.transport.get_write_buffer_size())
        if not self.left:
            # Not from within resume_writing(): asyncio of Python 3.11 would then end the connection twice.
            asyncio.get_running_loop().call_soon(self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.may_write = False
        self.size_at_pause = self.transport.get_write_buffer_size()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.size_at_resume = self.transport.get_write_buffer_size()
        self.may_write = True
        self.pump()


def test_a_slow_reader_stops_the_writer_and_a_reader_gets_everything(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving(Pump) as serving:
            client, protocol = await serving.connect()
            await protocol.until_called("pause")
            received = await read_to_end(client)
            await protocol.until_called("lost")
            assert hashlib.sha256(received).digest() == hashlib.sha256(b"".join(Pump.PIECES)).digest()
            assert protocol.size_at_pause > HIGH_WATER_BYTES
            assert protocol.size_at_resume <= LOW_WATER_BYTES
            assert protocol.most_queued <= HIGH_WATER_BYTES + 60_000
            assert protocol.calls.count("pause") in (protocol.calls.count("resume"), protocol.calls.count("resume") + 1)

    bench.run(main)


def test_the_marks_can_be_set(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            _, protocol = await serving.connect()
            transport = protocol.transport
            if bench.native:
                assert transport.get_write_buffer_limits() == (LOW_WATER_BYTES, HIGH_WATER_BYTES)
            transport.set_write_buffer_limits(high=4000)
            assert transport.get_write_buffer_limits() == (1000, 4000)
            transport.set_write_buffer_limits(low=100)
            assert transport.get_write_buffer_limits() == (100, 400)
            transport.set_write_buffer_limits(high=10, low=3)
            assert transport.get_write_buffer_limits() == (3, 10)
            with pytest.raises(ValueError, match="must be >="):
                transport.set_write_buffer_limits(high=1, low=2)
            assert transport.get_write_buffer_size() == 0

    bench.run(main)


def test_writelines_keeps_the_order(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            pieces = [b"%d," % number for number in range(500)]
            protocol.transport.write(b"first,")
            protocol.transport.writelines([*pieces, b"", bytearray(b"array"), memoryview(b"view")])
            protocol.transport.close()
            assert await read_to_end(client) == b"first," + b"".join(pieces) + b"arrayview"

    bench.run(main)


def test_writing_something_else_is_refused(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            _, protocol = await serving.connect()
            for wrong in ("text", 1, None):
                with pytest.raises(TypeError):
                    protocol.transport.write(wrong)

    native_bench.run(main)


def test_pieces_before_a_wrong_one_are_sent(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            client, protocol = await serving.connect()
            with pytest.raises(TypeError):
                protocol.transport.writelines([b"first", None, b"last"])
            assert await asyncio.get_running_loop().sock_recv(client, 100) == b"first"

    native_bench.run(main)


def test_close_sends_what_is_queued(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            body = os.urandom(8_000_000)
            protocol.transport.write(body)
            protocol.transport.close()
            assert protocol.transport.is_closing()
            protocol.transport.close()
            assert "lost" not in protocol.calls
            assert await read_to_end(client) == body
            await protocol.until_called("lost")
            assert protocol.error is None
            assert protocol.calls.count("lost") == 1

    bench.run(main)


def test_close_receives_nothing_more(bench: Bench) -> None:
    class ClosesOnData(Recorder):
        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.transport.write(b"x" * 8_000_000)
            self.transport.close()

    async def main() -> None:
        async with bench.serving(ClosesOnData) as serving:
            client, protocol = await serving.connect()
            client.sendall(b"one")
            await protocol.until_received(3)
            client.sendall(b"two")
            await serving_turn(client)
            assert protocol.received == b"one"

    async def serving_turn(client: socket.socket) -> None:
        assert await read_exactly(client, 1_000_000)

    bench.run(main)


def test_abort_drops_what_is_queued_and_tells_later(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            size = 20_000_000
            protocol.transport.write(b"x" * size)
            protocol.transport.abort()
            assert protocol.transport.is_closing()
            assert "lost" not in protocol.calls
            protocol.transport.abort()
            await protocol.until_called("lost")
            assert protocol.error is None
            assert len(await read_to_end(client)) < size

    bench.run(main)


def test_the_peer_may_end_its_direction_first(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving(lambda: Recorder(keep_open=True)) as serving:
            client, protocol = await serving.connect()
            client.sendall(b"request")
            client.shutdown(socket.SHUT_WR)
            await protocol.until_called("eof")
            protocol.transport.write(b"late answer")
            assert await read_exactly(client, 11) == b"late answer"
            protocol.transport.close()
            assert await read_to_end(client) == b""
            await protocol.until_called("lost")
            assert protocol.received == b"request"
            assert protocol.calls.count("eof") == 1

    bench.run(main)


def test_we_may_end_our_direction_first(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            transport = protocol.transport
            assert transport.can_write_eof()
            body = os.urandom(4_000_000)
            transport.write(body)
            transport.write_eof()
            transport.write_eof()
            with pytest.raises(RuntimeError):
                transport.write(b"more")
            assert await read_to_end(client) == body
            client.sendall(b"still talking")
            await protocol.until_received(13)
            client.close()
            await protocol.until_called("lost")

    bench.run(main)


def test_a_false_answer_to_eof_closes_after_the_queue(bench: Bench) -> None:
    class AnswersAtEOF(Recorder):
        def eof_received(self) -> bool:
            super().eof_received()
            self.transport.write(b"bye" * 1_000_000)
            return False

    async def main() -> None:
        async with bench.serving(AnswersAtEOF) as serving:
            client, protocol = await serving.connect()
            client.shutdown(socket.SHUT_WR)
            assert await read_to_end(client) == b"bye" * 1_000_000
            await protocol.until_called("lost")

    bench.run(main)


def test_paused_reading_keeps_data_and_eof_waiting(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            transport = protocol.transport
            assert transport.is_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            client.sendall(b"early")
            client.shutdown(socket.SHUT_WR)
            await serving.turn()
            await serving.turn()
            assert protocol.calls == ["made"]
            transport.resume_reading()
            await protocol.until_called("lost")
            assert protocol.calls == ["made", "data", "eof", "lost"]

    bench.run(main)


def test_a_reset_while_writing_ends_in_connection_lost(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            protocol.transport.write(b"x" * 20_000_000)
            reset(client)
            protocol.transport.write(b"more")
            await protocol.until_called("lost")
            assert isinstance(protocol.error, OSError)
            if bench.native:  # uvloop's own raises here
                protocol.transport.write(b"afterwards")
            protocol.transport.close()

    bench.run(main)


def test_a_reset_while_reading_ends_in_connection_lost(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            reset(client)
            await protocol.until_called("lost")
            assert isinstance(protocol.error, ConnectionResetError)

    bench.run(main)


def test_the_protocol_can_be_changed(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            client, protocol = await serving.connect()
            other = Recorder()
            assert protocol.transport.get_protocol() is protocol
            protocol.transport.set_protocol(other)
            assert protocol.transport.get_protocol() is other
            client.sendall(b"hi")
            await other.until_received(2)
            client.close()
            await other.until_called("lost")
            protocol.note("lost")

    bench.run(main)


# --- addresses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "bind_to", "connect_to"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.2"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::1"),
    ],
)
def test_internet_addresses(bench: Bench, family: socket.AddressFamily, bind_to: str, connect_to: str) -> None:
    async def main() -> None:
        sock = socket.socket(family)
        try:
            sock.bind((bind_to, 0))
        except OSError as error:
            sock.close()
            pytest.skip(f"no {bind_to} here: {error}")
        async with bench.serving(sock=sock) as serving:
            serving.address = (connect_to, sock.getsockname()[1])
            client, protocol = await serving.connect()
            transport = protocol.transport
            assert transport.get_extra_info("peername") == client.getsockname()
            assert transport.get_extra_info("sockname") == client.getpeername()
            assert transport.get_extra_info("sslcontext") is None
            assert transport.get_extra_info("nothing", 7) == 7
            view = transport.get_extra_info("socket")
            assert view.family == family
            assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
            # A peer that lost its network is noticed within minutes.
            assert view.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert view.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60
            assert view.fileno() >= 0
            transport.close()
            await protocol.until_called("lost")
            assert view.fileno() == -1 or not bench.native

    bench.run(main)


def test_unix_addresses(bench: Bench, tmp_path: Path) -> None:
    path = str(tmp_path / "s\udcff")
    clients_path = str(tmp_path / "client")

    async def main() -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        async with bench.serving(sock=sock) as serving:
            _, protocol = await serving.connect()
            assert protocol.transport.get_extra_info("sockname") == path
            assert not protocol.transport.get_extra_info("peername")
            named = socket.socket(socket.AF_UNIX)
            named.bind(clients_path)
            named.connect(path)
            serving.clients.append(named)
            protocol = await serving.protocol_of(named)
            assert protocol.transport.get_extra_info("peername") == clients_path or not bench.native

    bench.run(main)
    assert Path(path).exists()


# --- trouble in a callback ------------------------------------------------------------------------------------------------


class Broken(Recorder):
    """Raises in the callback that the test names."""

    where = ""

    def note(self, call: str) -> None:
        super().note(call)
        if call == self.where:
            raise ValueError(call)


@pytest.mark.parametrize("where", ["data", "eof", "lost"])
def test_an_exception_ends_only_its_own_connection(bench: Bench, where: str) -> None:
    async def main() -> None:
        async with bench.serving(Broken) as serving:
            client, protocol = await serving.connect()
            protocol.where = where
            bystander, other = await serving.connect()
            client.sendall(b"x")
            client.shutdown(socket.SHUT_WR)
            bystander.sendall(b"y")
            await other.until_received(1)
            await protocol.until_called("lost")
            assert isinstance(protocol.error, ValueError) or where == "lost"
            protocol.where = ""
        reported = bench.reports.pop()
        assert isinstance(reported["exception"], ValueError)

    bench.run(main)


# --- the server -----------------------------------------------------------------------------------------------------------


def test_a_closed_server_keeps_its_connections(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving(Echo) as serving:
            server = serving.server
            assert server.is_serving()
            assert server.get_loop() is asyncio.get_running_loop()
            assert [sock.getsockname() for sock in server.sockets] == [serving.address]
            client, _ = await serving.connect()
            waiting = asyncio.ensure_future(server.wait_closed())
            server.close()
            server.close()
            await waiting
            await server.wait_closed()
            assert not server.is_serving()
            assert server.sockets == ()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(serving.address)
            client.sendall(b"still here")
            assert await read_exactly(client, 10) == b"still here"

    bench.run(main)


def test_a_server_is_a_context_manager(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            async with serving.server as server:
                assert server.is_serving()
            assert not server.is_serving()

    bench.run(main)


def test_a_cancelled_waiter_leaves_the_others_waiting(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            first = asyncio.ensure_future(serving.server.wait_closed())
            second = asyncio.ensure_future(serving.server.wait_closed())
            await serving.turn()
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            serving.server.close()
            await second

    bench.run(main)


def test_a_socket_that_cannot_listen_is_an_error(bench: Bench) -> None:
    async def main() -> None:
        first, second = socket.socket(), socket.socket()
        with first, second:
            first.bind(("127.0.0.1", 0))
            second.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            second.bind(first.getsockname())
            first.listen()
            with pytest.raises(OSError, match="in use"):
                async with bench.serving(sock=second):
                    pass

    bench.run(main)
