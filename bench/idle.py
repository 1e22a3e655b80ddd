"""Idle connections: what each costs in memory, and what all of them cost in CPU time while nothing happens."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import time
from typing import Any

from failure import BenchFailure
from launch import Stable
from peers import IDLE, Peer
from process import Server, spent_nanoseconds
from verify import compare, read_answer
from workloads import HELLO, Request

CONNECTIONS = 10_000
BATCH = 100
#: what a process needs beside its connections
SPARE_DESCRIPTORS = 200
SETTLE_SECONDS = 1.0
REST_SECONDS = 4.0


def raise_descriptor_limit() -> int:
    """Allow this process, and the servers that it starts, what the system permits; return how many connections that makes."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(CONNECTIONS, hard - SPARE_DESCRIPTORS)


def _open(port: int, count: int) -> list[socket.socket]:
    """`count` connections, each of which has had one right answer."""
    request, opened = Request().wire(), []
    for _ in range(0, count, BATCH):
        batch = []
        for _ in range(min(BATCH, count - len(opened))):
            batch.append(socket.create_connection(("127.0.0.1", port), 10))
            opened.append(batch[-1])
        for sock in batch:
            sock.sendall(request)
        for sock in batch:
            with sock.makefile("rb") as stream:
                compare(read_answer(stream), 200, HELLO)
    return opened


def _still_open(opened: list[socket.socket]) -> int:
    poll = select.poll()
    for sock in opened:
        poll.register(sock, select.POLLIN | select.POLLHUP)
    return len(opened) - len(poll.poll(0))


def _rest(server: Server, count: int) -> dict[str, Any]:
    before_kib = server.rss_kib()
    opened: list[socket.socket] = []
    try:
        opened = _open(server.port, count)
        time.sleep(SETTLE_SECONDS)
        after_kib = server.rss_kib()
        began, before = time.monotonic(), server.cpu()
        time.sleep(REST_SECONDS)
        spent, passed = spent_nanoseconds(before, server.cpu()), time.monotonic() - began
        if (still := _still_open(opened)) != count:
            raise BenchFailure(f"only {still} of {count} connections are still open")
    finally:
        for sock in opened:
            sock.close()
    return {
        "connections": count,
        "kib_each": (after_kib - before_kib) / count,
        "rss_kib": after_kib,
        "cpu_percent_at_rest": spent / 1e9 / passed * 100,
    }


def measure(stable: Stable, peer: Peer) -> dict[str, Any]:
    """The cell of one server."""
    server = None
    try:
        count = raise_descriptor_limit()
        server = stable.start(peer, IDLE, "raw:app")
        server.await_start()
        # What a first hundred connections allocate once and for all is not the price of the next.
        for sock in _open(server.port, BATCH):
            sock.close()
        return _rest(server, count)
    except BenchFailure as failure:
        return {"skipped" if server is None else "fails": str(failure)}
    except OSError as error:
        return {"fails": error.strerror or str(error)}
    finally:
        if server is not None:
            server.stop()
            with contextlib.suppress(FileNotFoundError):
                server.log.unlink()
