"""The table of verdicts: names and close codes are an interface (logs, C enum, corpus, wire), so they stand here once more."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from picocorn.base.errors import RemoteProtocolError, WebSocketError
from picocorn.websocket.opcodes import may_be_sent
from picocorn.websocket.verdicts import VERDICTS, websocket_error

HEADER = Path(__file__).parent.parent.parent / "csrc" / "websocket.h"

NOT_1002 = {"TOO_BIG": 1009, "TEXT_UTF8": 1007, "BAD_DEFLATE": 1007, "CLOSE_UTF8": 1007}


def test_close_codes() -> None:
    assert {name: code for name, (code, _) in VERDICTS.items() if code != 1002} == NOT_1002
    assert all(may_be_sent(code) for code, _ in VERDICTS.values())


def test_each_reason_says_its_own_thing_names_its_rule_and_fits_a_close_frame() -> None:
    reasons = [reason for _, reason in VERDICTS.values()]
    assert len(set(reasons)) == len(reasons)
    for reason in reasons:
        assert re.search(r"\(RFC (6455|7692) [0-9.]+\)$", reason), reason
        assert len(reason.encode("ascii")) <= 123, reason


@pytest.mark.parametrize("name", VERDICTS)
def test_websocket_error_carries_code_and_name(name: str) -> None:
    error = websocket_error(name)
    assert isinstance(error, WebSocketError)
    assert isinstance(error, RemoteProtocolError)
    assert (error.close_code, str(error), error.code) == (*VERDICTS[name], name)


def test_an_unknown_name_is_a_bug() -> None:
    with pytest.raises(KeyError):
        websocket_error("NO_SUCH_NAME")


def test_the_c_enum_has_the_same_names_in_the_same_order() -> None:
    listed = re.findall(r"^\s+X\(([A-Z0-9_]+)\)", HEADER.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == list(VERDICTS)
