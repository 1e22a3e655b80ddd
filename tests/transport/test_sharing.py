"""Processes that accept on one socket: here two loops of one process, which the kernel does not tell from processes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from multiprocessing import reduction
from typing import Any

import pytest

from picocorn.transport.listen import listen
from picocorn.transport.sharing import CELLS, NOBODY, Share, ShareTable

from .conftest import DEADLINE_SECONDS, Bench, Recorder, poller_is_there

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memfd_create")

needs_poller = pytest.mark.skipif(not poller_is_there(), reason="no poller here")


@pytest.fixture
def table() -> Iterator[ShareTable]:
    table = ShareTable()
    yield table
    table.close()


def test_cells_are_taken_and_given_back(table: ShareTable) -> None:
    assert set(table.cells) == {NOBODY}
    assert [table.take(), table.take()] == [0, 1]
    table.cells[0] = 7
    table.give_back(0)
    assert table.cells[0] == NOBODY
    assert table.take() == 0
    for _ in range(CELLS - 2):
        assert table.take() >= 0
    assert table.take() == -1
    table.give_back(-1)
    assert table.take() == -1


def test_a_spawned_process_sees_the_same_table(table: ShareTable, monkeypatch: pytest.MonkeyPatch) -> None:
    class Duplicate:
        def __init__(self, fd: int) -> None:
            self.fd = fd

        def detach(self) -> int:
            return os.dup(self.fd)

    table.cells[5] = 9
    # What multiprocessing does while it spawns, without spawning.
    monkeypatch.setattr(reduction, "DupFd", Duplicate)
    function, arguments = table.__reduce__()
    other = function(*arguments)
    # What others have written there stays.
    assert other.cells[5] == 9
    other.cells[3] = 12
    assert table.cells[3] == 12
    other.close()


def test_a_closed_table_takes_cells_back(table: ShareTable) -> None:
    other = ShareTable()
    number = other.take()
    other.close()
    other.give_back(number)


class Loop(asyncio.SelectorEventLoop):
    """Its timers come when they are let: a test that is interrupted for long must not see another thing."""

    stands_still = True
    _stopped_at = 0.0  # of any clock

    def time(self) -> float:
        if not self.stands_still:
            self._stopped_at = super().time()
        return self._stopped_at


class TwoServers:
    """Two loops that accept on one socket, turned by hand."""

    def __init__(self, table: ShareTable) -> None:
        self.loops = [Loop(), Loop()]
        self.made: list[list[Any]] = [[], []]
        self.ten_made = asyncio.Event()
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.servers = [self._serve(number, Share(table, table.take())) for number in range(2)]
        self.clients: list[socket.socket] = []

    def _serve(self, number: int, share: Share) -> Any:
        def factory() -> Recorder:
            protocol = Recorder()
            self.made[number].append(protocol)
            if len(self.made[number]) == 10:
                self.ten_made.set()
            return protocol

        return self.loops[number].run_until_complete(listen(factory, self.sock.dup(), backlog=256, native=True, share=share))

    def connect(self, count: int = 1) -> None:
        for _ in range(count):
            self.clients.append(socket.create_connection(self.sock.getsockname()))

    def turn(self, number: int, times: int = 3) -> int:
        """Let one loop go round; how many connections it has."""

        async def turns() -> None:
            for _ in range(times):
                await asyncio.sleep(0)

        self.loops[number].run_until_complete(turns())
        return len(self.made[number])

    def close(self) -> None:
        for client in self.clients:
            client.close()
        for number, loop in enumerate(self.loops):
            for protocol in self.made[number]:
                protocol.transport.abort()
            self.servers[number].close()
            self.turn(number)
            loop.close()
        self.sock.close()


@pytest.fixture
def two(table: ShareTable) -> Iterator[TwoServers]:
    servers = TwoServers(table)
    yield servers
    servers.close()


@needs_poller
def test_who_is_ahead_leaves_the_next_to_the_other(two: TwoServers, table: ShareTable) -> None:
    two.connect(10)
    # One is the lead that it may have.
    assert two.turn(0) == 2
    assert two.turn(1) == 4
    assert list(table.cells[:2]) == [3, 5]  # the listening socket counts as well, for both


@needs_poller
def test_who_is_not_ahead_any_more_takes_the_next_at_once(two: TwoServers) -> None:
    """Short connections: how many there are at a moment says little, and waiting would cost more than unevenness."""
    two.connect(10)
    assert two.turn(0) == 2
    # It waits for the other one, but not longer than for its own.
    assert two.turn(0) == 2
    two.made[0][0].transport.abort()
    assert two.turn(0) == 3


@needs_poller
def test_who_is_not_helped_goes_on_alone(two: TwoServers) -> None:
    two.connect(10)
    two.loops[0].stands_still = False
    two.loops[0].run_until_complete(asyncio.wait_for(two.ten_made.wait(), DEADLINE_SECONDS))
    assert two.turn(1) == 0


@needs_poller
def test_who_has_stopped_accepting_is_not_waited_for(two: TwoServers, table: ShareTable) -> None:
    two.servers[1].close()
    assert table.cells[1] == NOBODY
    two.connect(10)
    assert two.turn(0) == 10


@needs_poller
def test_connections_that_end_count_no_more(two: TwoServers, table: ShareTable) -> None:
    two.connect(1)
    two.turn(0)
    assert table.cells[0] == 2
    two.made[0][0].transport.abort()
    two.turn(0)
    assert table.cells[0] == 1


@needs_poller
def test_before_the_end_all_are_accepted(two: TwoServers) -> None:
    two.connect(10)
    two.loops[0].run_until_complete(two.servers[0].accept_waiting())
    assert len(two.made[0]) == 10


def test_who_has_connected_is_accepted_before_the_socket_closes(bench: Bench) -> None:
    async def main() -> None:
        async with bench.serving() as serving:
            for _ in range(3):
                serving.connect_only()
            await serving.server.accept_waiting()
            assert len(serving.protocols) == 3
            serving.server.close()
            await serving.server.accept_waiting()
            assert len(serving.protocols) == 3

    bench.run(main)
