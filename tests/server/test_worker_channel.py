"""Both ends of the channel between supervisor and worker."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from picocorn.server.worker_channel import BEAT, READY, REOPEN_LOGS, RETIRE, SupervisorEnd, WorkerEnd
from raw_client import DEADLINE_SECONDS


class Pair:
    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.supervisor = SupervisorEnd(ours)
        self.worker = WorkerEnd(self.theirs)


@pytest.fixture
def pair() -> Iterator[Pair]:
    pair = Pair()
    yield pair
    pair.supervisor.close()
    pair.theirs.close()


def test_messages_and_text(pair: Pair) -> None:
    assert pair.supervisor.receive() == ([], [])
    pair.worker.send(READY)
    os.write(pair.worker.fileno(), b'Current thread:\n  File "a.py"\n')
    pair.worker.send(BEAT)
    assert pair.supervisor.receive() == ([READY, BEAT], ["Current thread:", '  File "a.py"'])
    assert not pair.supervisor.is_closed


def test_lines_in_pieces(pair: Pair) -> None:
    os.write(pair.worker.fileno(), b"\x01re")
    assert pair.supervisor.receive() == ([], [])
    os.write(pair.worker.fileno(), b"ady\n\xff")
    assert pair.supervisor.receive() == ([READY], [])
    os.write(pair.worker.fileno(), b"\n")
    assert pair.supervisor.receive() == ([], ["\\xff"])


def test_the_last_words_of_a_worker_are_heard(pair: Pair) -> None:
    pair.worker.send(READY)
    pair.theirs.close()
    assert pair.supervisor.receive() == ([READY], [])
    assert pair.supervisor.is_closed
    assert pair.supervisor.receive() == ([], [])
    # Nobody hears it, and nothing happens.
    pair.supervisor.send(RETIRE)


def test_a_supervisor_that_does_not_listen_holds_up_no_worker(pair: Pair) -> None:
    for _ in range(100_000):
        pair.worker.send(BEAT)
    messages, _text = pair.supervisor.receive()
    assert 0 < len(messages) < 100_000


def test_a_worker_is_told_and_notices_that_its_supervisor_is_gone(pair: Pair) -> None:
    told: list[str] = []
    abandoned = threading.Event()
    pair.worker.listen(told.append, abandoned.set)
    pair.supervisor.send(REOPEN_LOGS)
    pair.supervisor.send(RETIRE)
    pair.supervisor.close()
    assert abandoned.wait(DEADLINE_SECONDS)
    assert told == [REOPEN_LOGS, RETIRE]
