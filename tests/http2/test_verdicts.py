"""The tables of verdicts: error codes of the RFC, messages that name a rule."""

from __future__ import annotations

import pytest

from picocorn.base.errors import HTTP2Error, RemoteProtocolError
from picocorn.http2 import codes
from picocorn.http2.verdicts import CONNECTION_VERDICTS, REFUSALS, STREAM_VERDICTS, engine_error, http2_error


def test_verdicts_have_codes_of_the_rfc() -> None:
    for table in (STREAM_VERDICTS, CONNECTION_VERDICTS):
        assert all(0 < code < len(codes.ERROR_NAMES) for code, _ in table.values())
        assert all("RFC" in message for _, message in table.values())
    assert set(REFUSALS.values()) == {431, 417, 501}
    assert not set(REFUSALS) & set(STREAM_VERDICTS)


def test_an_error_carries_its_code_and_its_name() -> None:
    error = http2_error("RESET_FLOOD")
    assert isinstance(error, HTTP2Error)
    assert isinstance(error, RemoteProtocolError)
    assert (error.error_code, error.code) == (codes.ENHANCE_YOUR_CALM, "RESET_FLOOD")
    with pytest.raises(KeyError):
        http2_error("UNHEARD_OF")


def test_errors_of_a_library_are_named_by_their_code() -> None:
    assert engine_error(codes.FLOW_CONTROL_ERROR, "x").code == "FLOW_CONTROL_ERROR"
    assert engine_error(codes.NO_ERROR, "x").error_code == codes.INTERNAL_ERROR
    assert engine_error(0x99, "x").code == "UNKNOWN"
