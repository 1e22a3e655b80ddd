"""Lifespan, L1 to L7."""

from __future__ import annotations

import asyncio
import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from conformance.applications import answer, lifespan_answered
from harness import Gate, spawned
from raw_client import get


def test_l1_lifespan_and_requests_share_a_loop(serve: Any) -> None:
    loops = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        loops.append((scope["type"], asyncio.get_running_loop()))
        await (lifespan_answered(receive, send) if scope["type"] == "lifespan" else answer(send))

    with serve(app, lifespan="on") as server:
        for _ in range(2):
            server.get("/")
    assert [kind for kind, _ in loops] == ["lifespan", "http", "http"]
    assert len({id(loop) for _, loop in loops}) == 1


def test_l2_scope(serve: Any) -> None:
    scopes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append({**scope, "state": dict(scope["state"])})
        await lifespan_answered(receive, send)

    with serve(app, lifespan="on"):
        pass
    assert scopes == [{"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}]


def test_l3_no_connection_before_startup_is_complete(serve: Any) -> None:
    outcomes = []

    def connect() -> None:
        try:
            socket.create_connection(address, timeout=5).close()
        except ConnectionRefusedError as error:
            outcomes.append(error)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            assert (await receive())["type"] == "lifespan.startup"
            await asyncio.get_running_loop().run_in_executor(None, connect)
            await send({"type": "lifespan.startup.complete"})
            assert (await receive())["type"] == "lifespan.shutdown"
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await answer(send)

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = listening.getsockname()
        with serve(app, lifespan="on", fd=listening.fileno()) as server:
            assert server.address == address
            assert server.get("/").status == 200
    assert len(outcomes) == 1


@pytest.mark.parametrize("error", [ValueError, AssertionError, KeyError])
def test_l4_an_application_without_lifespan_is_served(serve: Any, error: type[Exception]) -> None:
    kinds = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        kinds.append(scope["type"])
        if scope["type"] != "http":
            raise error("what is that?")
        await answer(send, b"served")

    with serve(app, lifespan="auto") as server:
        assert server.get("/").body == b"served"
    assert kinds == ["lifespan", "http"]
    assert server.messages(logging.WARNING) == []


FAILING = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database today"})
"""


def test_l5_failed_startup_ends_the_process(twin: str, tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    with spawned("failing:app", "--http", twin, cwd=tmp_path) as server:
        assert server.join() == 3
    assert "no database today" in server.output
    assert "Application startup failed. Exiting." in server.output
    assert "Traceback" not in server.output


EXITING = """
async def app(scope, receive, send):
    await receive()
    raise SystemExit(7)
"""


def test_exit_within_startup_is_the_exit_of_the_process(twin: str, tmp_path: Path) -> None:
    (tmp_path / "exiting.py").write_text(EXITING)
    with spawned("exiting:app", "--http", twin, cwd=tmp_path) as server:
        assert server.join() == 7
    assert "Traceback" not in server.output
    assert "running on" not in server.output


def test_l6_shutdown_comes_after_the_last_request(serve: Any) -> None:
    order = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            order.append("shutdown")
            await send({"type": "lifespan.shutdown.complete"})
            return
        running.open()
        await finish.passed()
        order.append("response")
        await answer(send, b"finished")
        await asyncio.sleep(0)
        order.append("after the response")

    running, finish = Gate(), Gate()
    with serve(app, lifespan="on") as server:
        client, idle = server.connect(), server.connect()
        client.send(get())
        running.wait()
        server.stop()
        # An idle connection is closed at once: that is how we know that the shutdown has begun.
        assert idle.closed()
        server_address = client.sock.getpeername()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(server_address, timeout=5)
        finish.open()
        response = client.response()
        assert response.body == b"finished"
        assert response.get(b"connection") == b"close"
        assert client.closed()
        server.join()
    assert order == ["response", "after the response", "shutdown"]


def test_l6_failed_shutdown_is_logged(serve: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "something is left"})

    with serve(app, lifespan="on", check=False) as server:
        pass
    assert server.errors() == ["something is left", "Application shutdown failed. Exiting."]


def test_l7_state_is_only_copied(serve: Any) -> None:
    class Untouchable:
        """Would tell of being compared, copied or looked into."""

        def __getattribute__(self, name: str) -> Any:
            if name not in ("__class__", "__dict__"):
                raise AssertionError(name)
            return object.__getattribute__(self, name)

        __eq__ = __copy__ = __deepcopy__ = __reduce_ex__ = None  # type: ignore[assignment]
        __hash__ = None  # type: ignore[assignment]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"]["it"] = untouchable
            states.append(scope["state"])
            await lifespan_answered(receive, send)
            return
        assert scope["state"]["it"] is untouchable
        scope["state"].clear()
        await answer(send)

    untouchable = Untouchable()
    states: list[dict[str, Any]] = []
    with serve(app, lifespan="on") as server:
        for _ in range(2):
            assert server.get("/").status == 200
    assert list(states[0]) == ["it"]
