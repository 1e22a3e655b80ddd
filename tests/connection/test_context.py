"""What connections share."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from picocorn.base.errors import LocalProtocolError
from picocorn.base.limits import HTTP1Limits

variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


def context(room: Callable[[str], ModuleType], **options: Any) -> Any:
    async def main() -> Any:
        module = room("connection.context")
        variable.set("of the server")
        return module.ConnectionContext(
            app=None,
            loop=asyncio.get_running_loop(),
            server_state=module.ServerState(),
            app_state={},
            limits=HTTP1Limits(),
            **options,
        )

    return asyncio.run(main())


def test_requests_inherit_the_servers_variables(room: Any) -> None:
    assert context(room).base_context.run(variable.get) == "of the server"


def test_unless_they_are_reset(room: Any) -> None:
    assert context(room, reset_contextvars=True).base_context.run(variable.get) == "unset"


def test_no_limit_is_zero(room: Any) -> None:
    assert context(room).limit_concurrency == 0
    assert context(room, limit_concurrency=None).limit_concurrency == 0
    assert context(room, limit_concurrency=3).limit_concurrency == 3


def test_default_headers_are_encoded_once(room: Any) -> None:
    state = room("connection.context").ServerState()
    assert state.default_headers == []
    assert state.default_fields == b""
    state.default_headers = [(b"date", b"now"), (b"server", b"picocorn")]
    assert state.default_fields == b"date: now\r\nserver: picocorn\r\n"
    assert state.default_headers == [(b"date", b"now"), (b"server", b"picocorn")]


def test_wrong_default_headers_are_refused(room: Any) -> None:
    state = room("connection.context").ServerState()
    with pytest.raises(LocalProtocolError):
        state.default_headers = [(b"x", b"a\r\nb: c")]


def test_state_begins_empty(room: Any) -> None:
    state = room("connection.context").ServerState()
    assert (state.total_requests, state.connections, state.tasks) == (0, set(), set())
