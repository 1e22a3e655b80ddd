"""Right answers over a WebSocket pass, however they are cut; each mistake is named."""

from __future__ import annotations

import socket
from dataclasses import replace

import pytest
from faulty_websocket import MISTAKES, UNUSUAL, serving
from websocket_echo import echoing

import websocket_verify
from failure import BenchFailure, Unsupported
from websocket_verify import accept_value, check, frame
from workloads import WEBSOCKET_WORKLOADS

WORKLOADS = {workload.name: workload for workload in WEBSOCKET_WORKLOADS}
SMALL = WORKLOADS["ws-echo-64"]


def test_the_example_of_the_rfc() -> None:
    assert accept_value("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize(("length", "head"), [(125, "81fd"), (126, "81fe007e"), (65536, "81ff0000000000010000")])
def test_lengths_of_frames(length: int, head: str) -> None:
    made = frame(1, b"x" * length)
    assert made.hex().startswith(head)
    assert len(made) == len(head) // 2 + 4 + length
    mask, masked = made[len(head) // 2 :][:4], made[-length:]
    assert bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked)) == b"x" * length


@pytest.mark.parametrize("name", [name for name in WORKLOADS if name not in {"ws-broadcast", "ws-deflate"}])
def test_a_right_echo(name: str) -> None:
    with echoing() as port:
        assert check(port, WORKLOADS[name]) == ""


def test_a_compressed_echo() -> None:
    with echoing(deflate=True) as port:
        assert check(port, WORKLOADS["ws-deflate"]).startswith("permessage-deflate")


def test_whoever_does_not_compress_has_not_failed() -> None:
    with echoing() as port, pytest.raises(Unsupported, match="declines permessage-deflate"):
        check(port, WORKLOADS["ws-deflate"])


def test_a_right_broadcast() -> None:
    with echoing(room=3) as port:
        assert check(port, WORKLOADS["ws-broadcast"]) == ""


@pytest.mark.parametrize("manner", UNUSUAL)
def test_what_is_unusual_is_right(manner: str) -> None:
    with serving(manner) as port:
        assert check(port, SMALL) == ""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named(mistake: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(websocket_verify, "TIMEOUT_SECONDS", 0.2)
    with serving(mistake) as port, pytest.raises(BenchFailure) as failure:
        check(port, SMALL)
    assert MISTAKES[mistake][2] in str(failure.value)


def test_content_that_does_not_inflate() -> None:
    with serving("compresses unasked") as port, pytest.raises(BenchFailure, match="declines"):
        check(port, replace(SMALL, deflate=True))


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(BenchFailure, match="refused"):
            check(unused.getsockname()[1], SMALL)
