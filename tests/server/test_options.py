"""The declarations of the options, and their checks."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server.options import GROUPS, Settings, check, declared, flag_of, parse_size


def test_every_field_is_an_option() -> None:
    assert set(declared(api=True)) == {field.name for field in dataclasses.fields(Settings)}
    for name, (field, details) in declared(api=True).items():
        assert details.group in GROUPS
        assert details.help.endswith("."), name
        if field.default is not dataclasses.MISSING and details.kind != "list":
            assert check(name, field.default) == field.default


def test_what_is_not_for_the_command_line() -> None:
    assert set(declared(api=True)) - set(declared()) == {"timeout_notify", "callback_notify", "ssl_context_factory"}


def test_what_a_configuration_file_needs_to_know() -> None:
    for name, (_, details) in declared().items():
        assert details.secret == ("password" in name), f"{name}: printed by --print-config?"
        if name.endswith(("file", "certs", "_dir", "_dirs")):
            assert details.is_path, f"{name}: relative to the configuration file?"


def test_flags() -> None:
    options = declared()
    assert flag_of("limit_max_requests", options["limit_max_requests"][1]) == "--limit-max-requests"
    assert flag_of("headers", options["headers"][1]) == "--header"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65536), ("64k", 65536), ("64K", 65536), ("64kb", 65536), ("1m", 1 << 20), (" 2g ", 2 << 30)],
)
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size
    assert check("limit_request_body", text) == size


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("log_level", "INFO", "info"),
        ("log_level", 17, 17),
        ("log_level", None, None),
        ("http", "Native", "native"),
        ("http", "package.module:Class", "package.module:Class"),
        ("http", Settings, Settings),
        ("loop", "package.module:factory", "package.module:factory"),
        ("timeout_keep_alive", 0.5, 0.5),
        ("timeout_graceful_shutdown", None, None),
        ("port", 0, 0),
    ],
)
def test_good_values(name: str, value: Any, result: Any) -> None:
    assert check(name, value) == result


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("port", 65536, "Invalid value for '--port': 65536 is more than 65535."),
        ("port", -1, "Invalid value for '--port': -1 is less than 0."),
        ("port", "8000", "Invalid value for '--port': '8000' is not a number."),
        ("port", True, "Invalid value for '--port': True is not a number."),
        ("timeout_keep_alive", float("nan"), "Invalid value for '--timeout-keep-alive': nan is less than 0."),
        # Python has it, and what waits for something to be over has not.
        ("timeout_graceful_shutdown", float("inf"), "Invalid value for '--timeout-graceful-shutdown': inf is not finite."),
        ("limit_concurrency", 0, "Invalid value for '--limit-concurrency': 0 is less than 1."),
        ("limit_request_head", "1x", "Invalid value for '--limit-request-head': '1x' is not a size such as 65536, 64k or 1m."),
        ("lifespan", "maybe", "Invalid value for '--lifespan': 'maybe' is not one of auto, on, off."),
        (
            "http",
            "httpd",
            "Invalid value for '--http': 'httpd' is not one of auto, native, pure, httptools, zttp, h11 nor an import string "
            "module:attribute.",
        ),
    ],
)
def test_wrong_values(name: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(name, value)
    assert str(caught.value) == message
