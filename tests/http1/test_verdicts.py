"""The table of verdicts: its codes are an interface (logs, C enum, corpus), so they are written down here once more."""

from __future__ import annotations

import re
from http import HTTPStatus
from pathlib import Path

import pytest

from picocorn.base.errors import RemoteProtocolError
from picocorn.http1.verdicts import VERDICTS, remote_error

HEADER = Path(__file__).parent.parent.parent / "csrc" / "http1.h"

NOT_400 = {
    "METHOD_TOO_LONG": 501,
    "REQUEST_LINE_TOO_LONG": 414,
    "VERSION_NOT_SUPPORTED": 505,
    "CONNECT_REFUSED": 501,
    "HEAD_TOO_LARGE": 431,
    "TOO_MANY_FIELDS": 431,
    "TRANSFER_CODING_UNKNOWN": 501,
    "EXPECTATION": 417,
    "BODY_TOO_LARGE": 413,
}


def test_statuses() -> None:
    assert {code: status for code, (status, _) in VERDICTS.items() if status != 400} == NOT_400
    for status, _ in VERDICTS.values():
        assert 400 <= HTTPStatus(status) < 600


def test_each_message_says_its_own_thing_and_names_its_rule() -> None:
    messages = [message for _, message in VERDICTS.values()]
    assert len(set(messages)) == len(messages)
    for message in messages:
        assert re.search(r"\(RFC 911[02] [0-9.]+\)$", message), message


def test_remote_error_carries_status_and_code() -> None:
    for code, (status, message) in VERDICTS.items():
        error = remote_error(code)
        assert isinstance(error, RemoteProtocolError)
        assert (error.status_hint, error.code, str(error)) == (status, code, message)


def test_an_unknown_code_is_a_bug() -> None:
    with pytest.raises(KeyError):
        remote_error("NO_SUCH_CODE")


def test_the_c_enum_has_the_same_codes_in_the_same_order() -> None:
    listed = re.findall(r"^\s+X\(([A-Z0-9_]+)\)", HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == list(VERDICTS)
