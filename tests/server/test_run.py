"""`run()` and the doors that programs written for uvicorn come in by."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import picocorn
from picocorn.base.errors import ConfigError


async def app(scope: Any, receive: Any, send: Any) -> None: ...


def test_app_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(SystemExit):
        picocorn.run("not_there:app", app_dir=str(tmp_path), log_config=None)
    assert sys.path[0] == str(tmp_path)
    before = list(sys.path)
    with pytest.raises(SystemExit):
        picocorn.run("not_there:app", log_config=None)
    assert sys.path == before


def test_a_wrong_option_is_an_exception_in_a_program() -> None:
    with pytest.raises(ConfigError, match="--port"):
        picocorn.run(app, port=70000, log_config=None)
    with pytest.raises(TypeError, match="workerz"):
        picocorn.run(app, workerz=2)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("door", "names"),
    [
        ("picocorn.config", ["LOGGING_CONFIG", "LOG_LEVELS", "STARTUP_FAILURE", "HTTP_PROTOCOLS", "Config"]),
        ("picocorn.main", ["STARTUP_FAILURE", "Server", "ServerState", "main", "run"]),
        ("picocorn.server", ["Server", "ServerState"]),
        ("picocorn.logging", ["DefaultFormatter", "AccessFormatter", "ColourizedFormatter", "TRACE_LOG_LEVEL"]),
        ("picocorn.importer", ["ImportFromStringError", "import_from_string"]),
        ("picocorn.middleware.proxy_headers", ["ProxyHeadersMiddleware"]),
        ("picocorn.middleware.wsgi", ["WSGIMiddleware"]),
        ("picocorn.supervisors", ["ChangeReload", "Multiprocess"]),
        ("picocorn.middleware.asgi2", ["ASGI2Middleware"]),
        ("picocorn.middleware.message_logger", ["MessageLoggerMiddleware"]),
        (
            "picocorn.protocols.utils",
            [
                "ClientDisconnected",
                "get_client_addr",
                "get_path_with_query_string",
                "get_remote_addr",
                "get_local_addr",
                "is_ssl",
            ],
        ),
    ],
)
def test_doors(door: str, names: list[str]) -> None:
    module = importlib.import_module(door)
    for name in names:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError):
        _ = module.not_there


def test_the_command_under_its_two_names() -> None:
    door = importlib.import_module("picocorn.main")
    assert isinstance(door.main, click.Command)
    assert door.Server is picocorn.Server
    with pytest.raises(SystemExit) as caught:
        door(["--version"])
    assert caught.value.code == 0
