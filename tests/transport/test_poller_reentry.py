"""The application runs inside the poller's turn: it may close, start, pause and write to anything, and run the poller again."""

from __future__ import annotations

import asyncio
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import Bench, Echo, Recorder, Serving, read_exactly, receive_blocking, wait_for_data, watched


class Acting(Recorder):
    """Runs `act(self)` when data arrives."""

    act: Callable[[Any], None] = staticmethod(lambda _: None)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.act(self)


async def three_in_one_turn(serving: Serving) -> tuple[list[socket.socket], list[Any]]:
    """Three connections with data for each of them, which the loop has not seen yet."""
    connected = [await serving.connect() for _ in range(3)]
    for client, _ in connected:
        client.sendall(b"x")
    wait_for_data(*(protocol for _, protocol in connected))
    return [client for client, _ in connected], [protocol for _, protocol in connected]


@pytest.mark.parametrize("how", ["close", "abort"])
def test_ending_the_others(native_bench: Bench, how: str) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            _, protocols = await three_in_one_turn(serving)

            def end_the_others(protocol: Any) -> None:
                for other in protocols:
                    if other is not protocol:
                        getattr(other.transport, how)()

            for protocol in protocols:
                protocol.act = end_the_others
            serving.poller._on_ready()
            assert sorted(len(protocol.received) for protocol in protocols) == [0, 0, 1]
            for protocol in protocols:
                if not protocol.received:
                    await protocol.until_called("lost")
                    assert protocol.calls == ["made", "lost"]

    native_bench.run(main)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_ending_itself(native_bench: Bench, how: str) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            _, protocols = await three_in_one_turn(serving)
            for protocol in protocols:
                protocol.act = lambda protocol: getattr(protocol.transport, how)()
            serving.poller._on_ready()
            assert [protocol.calls for protocol in protocols] == [["made", "data"]] * 3
            for protocol in protocols:
                await protocol.until_called("lost")

    native_bench.run(main)


def test_pausing_itself_and_others(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)

            def pause_all(_: Any) -> None:
                for other in protocols:
                    other.transport.pause_reading()

            for protocol in protocols:
                protocol.act = pause_all
            serving.poller._on_ready()
            assert sum(len(protocol.received) for protocol in protocols) == 1
            for client in clients:
                client.sendall(b"y")
            await serving.turn()
            assert sum(len(protocol.received) for protocol in protocols) == 1
            for protocol in protocols:
                protocol.act = lambda _: None
                protocol.transport.resume_reading()
            for protocol in protocols:
                await protocol.until_received(2)

    native_bench.run(main)


def test_writing_to_all(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)

            def write_to_all(_: Any) -> None:
                for other in protocols:
                    other.transport.write(b"z")

            for protocol in protocols:
                protocol.act = write_to_all
            before = serving.poller.sends
            serving.poller._on_ready()
            assert serving.poller.sends - before >= 3
            for client in clients:
                assert await read_exactly(client, 3) == b"zzz"

    native_bench.run(main)


def test_running_the_poller_again(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)
            for protocol in protocols:
                protocol.act = lambda protocol: (protocol.transport.write(b"z"), serving.poller._on_ready())
            serving.poller._on_ready()
            for client, protocol in zip(clients, protocols, strict=True):
                assert protocol.received == b"x"
                assert await read_exactly(client, 1) == b"z"

    native_bench.run(main)


@pytest.mark.parametrize("more", [b"", b"y"])
def test_a_turn_inside_a_turn_delivers_what_was_read_ahead(native_bench: Bench, more: bytes) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)
            seen: list[list[bytes]] = []

            def run_again(_: Any) -> None:
                for other in protocols:
                    other.act = lambda _: None
                if more:
                    for client in clients:
                        client.sendall(more)
                    wait_for_data(*protocols)
                # What a loop that the application runs would go by.
                assert select.select([serving.poller.fileno()], [], [], 0)[0]
                serving.poller._on_ready()
                seen.append([bytes(protocol.received) for protocol in protocols])

            for protocol in protocols:
                protocol.act = run_again
            serving.poller._on_ready()
            assert [[got[:1] for got in all_of_them] for all_of_them in seen] == [[b"x"] * 3]
            for protocol in protocols:
                await protocol.until_received(1 + len(more))
                assert protocol.received == b"x" + more

    native_bench.run(main)


def test_the_kernel_reports_something_until_all_is_delivered(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            _, protocols = await three_in_one_turn(serving)
            readable: list[bool] = []
            for protocol in protocols:
                protocol.act = lambda _: readable.append(bool(select.select([serving.poller.fileno()], [], [], 0)[0]))
            serving.poller._on_ready()
            assert readable == [True, True, False]

    native_bench.run(main)


def test_what_was_read_ahead_waits_for_who_paused(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)

            def pause_others(protocol: Any) -> None:
                for other in protocols:
                    other.act = lambda _: None
                    if other is not protocol:
                        other.transport.pause_reading()

            for protocol in protocols:
                protocol.act = pause_others
            serving.poller._on_ready()
            paused = [protocol for protocol in protocols if not protocol.received]
            assert len(paused) == 2
            for protocol in paused:
                protocol.transport.resume_reading()
                protocol.transport.pause_reading()
            await serving.turn()
            assert [protocol.received for protocol in paused] == [b"", b""]
            # One is woken by nothing but being resumed, the other has more to read by then.
            paused[0].transport.resume_reading()
            await paused[0].until_received(1)
            for client in clients:
                client.sendall(b"y")
                client.close()
            paused[1].transport.resume_reading()
            for protocol in protocols:
                await protocol.until_called("lost")
                assert protocol.received == b"xy"
                assert protocol.calls.count("eof") == 1

    native_bench.run(main)


def test_ends_read_ahead(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)
            serving.poller._on_ready()
            for client in clients:
                client.close()
            wait_for_data(*protocols)
            serving.poller._on_ready()
            assert [protocol.calls for protocol in protocols] == [["made", "data", "eof"]] * 3
            for protocol in protocols:
                await protocol.until_called("lost")

    native_bench.run(main)


def test_closing_the_server(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)
            late = serving.connect_only()
            for protocol in protocols:
                protocol.act = lambda protocol: (serving.server.close(), protocol.transport.write(b"bye"))
            for client in clients:
                assert await read_exactly(client, 3) == b"bye"
            assert not serving.server.is_serving()
            late.close()

    native_bench.run(main)


def test_closing_the_server_from_the_factory(native_bench: Bench, tmp_path: Path) -> None:
    async def main() -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "s"))
        async with native_bench.serving(Recorder, sock) as serving:
            make = serving.make

            def make_and_close(factory: Callable[[], Any]) -> Any:
                serving.server.close()
                return make(factory)

            serving.make = make_and_close  # type: ignore[method-assign]
            first = serving.connect_only()
            serving.connect_only()
            serving.poller._on_ready()
            assert len(serving.protocols) == 1
            first.sendall(b"served to the end")
            await serving.protocols[0].until_received(17)

    native_bench.run(main)


def test_starting_a_second_server(native_bench: Bench) -> None:
    from picocorn.transport.listen import listen_with_poller

    async def main() -> None:
        started: list[Any] = []
        sock = socket.socket()
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        sock.setblocking(False)

        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)
            protocols[0].act = lambda _: started.append(listen_with_poller(Echo, sock))
            await protocols[2].until_received(1)
            assert started[0]._listener.poller is serving.poller
            loop = asyncio.get_running_loop()
            with socket.socket() as client:
                client.setblocking(False)
                await loop.sock_connect(client, sock.getsockname())
                client.sendall(b"second")
                assert await read_exactly(client, 6) == b"second"
            started[0].close()
            del clients
            while serving.poller.watching > 4:
                await serving.turn()

    native_bench.run(main)


def test_closing_everything_from_within(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            poller = serving.poller
            _, protocols = await three_in_one_turn(serving)
            for protocol in protocols:
                protocol.act = lambda _: poller.close()
            poller._on_ready()
            assert sum(len(protocol.received) for protocol in protocols) == 1
            for protocol in protocols:
                await protocol.until_called("lost")

    native_bench.run(main)


def test_an_event_never_reaches_the_next_owner_of_a_descriptor(native_bench: Bench, tmp_path: Path) -> None:
    """Within one turn: a connection with a pending hang-up is closed, and its descriptor's number goes to a new connection."""

    async def main() -> None:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(tmp_path / "s"))
        async with native_bench.serving(Acting, sock) as serving:
            poller = serving.poller
            first, one = await serving.connect()
            second, two = await serving.connect()
            fd = two.transport.fileno()
            first.sendall(b"x")
            second.close()

            def replace(_: Any) -> None:
                serving.connect_only()
                below = [socket.socket()]
                while below[-1].fileno() < fd:
                    below.append(socket.socket())
                two.transport.abort()
                poller._finish_lost()
                poller._on_ready()
                serving.protocols[2].transport.pause_reading()
                for other in below:
                    other.close()

            one.act = replace
            poller._on_ready()
            new = serving.protocols[2]
            assert two.calls == ["made", "lost"]
            assert new.transport.fileno() == fd
            assert new.calls == ["made"]
            assert fd in watched(serving)  # the hang-up, had it been delivered, would have stopped the watching

    native_bench.run(main)


# --- exceptions -----------------------------------------------------------------------------------------------------------


def test_the_turn_goes_on_after_an_exception(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)

            def fail(protocol: Any) -> None:
                raise LookupError("broken application")

            protocols[0].act = fail
            protocols[1].act = lambda protocol: protocol.transport.write(b"fine")
            serving.poller._on_ready()
            assert [protocol.received for protocol in protocols] == [b"x"] * 3
            assert await read_exactly(clients[1], 4) == b"fine"
            await protocols[0].until_called("lost")
            assert isinstance(protocols[0].error, LookupError)
        report = native_bench.reports.pop()
        assert report["transport"] is protocols[0].transport
        assert report["protocol"] is protocols[0]
        assert report["message"] == "Fatal error: protocol.data_received() call failed."

    native_bench.run(main)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_goes_through_after_the_flush(native_bench: Bench, error: type[BaseException]) -> None:
    async def main() -> None:
        async with native_bench.serving(Acting) as serving:
            clients, protocols = await three_in_one_turn(serving)

            def interrupt(protocol: Any) -> None:
                protocol.transport.write(b"last")
                raise error

            protocols[0].act = interrupt
            with pytest.raises(error):
                serving.poller._on_ready()
            assert receive_blocking(clients[0]) == b"last"
            for protocol in protocols[1:]:
                await protocol.until_received(1)

    native_bench.run(main)


def test_a_factory_that_fails(native_bench: Bench) -> None:
    async def main() -> None:
        async with native_bench.serving() as serving:
            await serving.connect()
            make = serving.make

            def fail(_: Callable[[], Any]) -> Any:
                serving.make = make  # type: ignore[method-assign]
                raise LookupError("no protocol")

            serving.make = fail  # type: ignore[method-assign]
            refused = serving.connect_only()
            assert await asyncio.get_running_loop().sock_recv(refused, 1) == b""
            serving.clients.remove(refused)
            refused.close()
            await serving.connect()
        assert isinstance(native_bench.reports.pop()["exception"], LookupError)

    native_bench.run(main)


class RaisingOnce(Recorder):
    """Raises in the callback named by the test."""

    where = ""

    def note(self, call: str) -> None:
        super().note(call)
        if call == type(self).where:
            type(self).where = ""
            raise LookupError(call)


@pytest.mark.parametrize("where", ["made", "pause", "resume"])
def test_other_callbacks_that_fail(native_bench: Bench, where: str) -> None:
    async def main() -> None:
        async with native_bench.serving(RaisingOnce) as serving:
            RaisingOnce.where = where
            client, protocol = await serving.connect()
            if where != "made":
                protocol.transport.write(b"x" * 20_000_000)
            if where == "resume":
                await read_exactly(client, 20_000_000)
            await protocol.until_called("lost")
            assert isinstance(protocol.error, LookupError)
        assert isinstance(native_bench.reports.pop()["exception"], LookupError)

    native_bench.run(main)
