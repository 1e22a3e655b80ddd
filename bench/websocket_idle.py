"""Idle WebSockets: what each costs in memory, and what all of them cost in CPU time while the application waits for a message."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from typing import Any

from failure import BenchFailure, Unsupported
from idle import BATCH, REST_SECONDS, SETTLE_SECONDS, raise_descriptor_limit
from launch import Stable
from peers import WEBSOCKET, Peer
from process import Server, spent_nanoseconds
from websocket_generator import Generator
from websocket_verify import check
from workloads import WebSocketWorkload, text

#: opened, left alone, and then each asked for one echo
RESTING = WebSocketWorkload("ws-idle", "idle WebSockets", text(64), mode="idle")


def _rest(server: Server, count: int, core: int, stable: Stable) -> dict[str, Any]:
    before_kib = server.rss_kib()
    with Generator(server.port, replace(RESTING, sockets=count), 0, core, stable.folder) as generator:
        generator.await_open()
        time.sleep(SETTLE_SECONDS)
        after_kib = server.rss_kib()
        began, before = time.monotonic(), server.cpu()
        time.sleep(REST_SECONDS)
        spent, passed = spent_nanoseconds(before, server.cpu()), time.monotonic() - began
        if (answers := generator.load().requests) != count:
            raise BenchFailure(f"only {answers} of {count} sockets answer after the rest")
        generator.finish()
    return {
        "connections": count,
        "kib_each": (after_kib - before_kib) / count,
        "rss_kib": after_kib,
        "cpu_percent_at_rest": spent / 1e9 / passed * 100,
    }


def measure(stable: Stable, peer: Peer, core: int) -> dict[str, Any]:
    """The cell of one server."""
    server = None
    try:
        count = raise_descriptor_limit()
        server = stable.start(peer, WEBSOCKET, RESTING.app)
        server.await_start()
        check(server.port, RESTING)
        # What a first hundred sockets allocate once and for all is not the price of the next.
        with Generator(server.port, replace(RESTING, sockets=BATCH), 0, core, stable.folder) as generator:
            generator.await_open()
            generator.load()
            generator.finish()
        return _rest(server, count, core, stable)
    except Unsupported as reason:
        return {"skipped": str(reason)}
    except BenchFailure as failure:
        return {"skipped" if server is None else "fails": str(failure)}
    finally:
        if server is not None:
            server.stop()
            with contextlib.suppress(FileNotFoundError):
                server.log.unlink()
