"""The header of the PROXY protocol: the cases of corpus/proxy_protocol/, whole and in pieces, and what no input may do."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus_reader import unescape
from picocorn.base.errors import RemoteProtocolError
from picocorn.transport.proxy_protocol import LONGEST_HEADER_BYTES, ProxyHeader, ProxyHeaderReader

CORPUS = Path(__file__).parent.parent / "corpus" / "proxy_protocol"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def read_cases() -> dict[str, tuple[bytes, list[str]]]:
    cases = {}
    for path in sorted(CORPUS.glob("*.txt")):
        for text in path.read_text(encoding="utf-8").split("\n\n"):
            lines = [line.split(": ", 1) for line in text.splitlines() if ":" in line and not line.startswith("#")]
            if lines:
                named = dict(lines)
                assert named["case"] not in cases
                cases[named["case"]] = (unescape(named["input"]), [value for key, value in lines if key == "expect"])
    return cases


CASES = read_cases()


def read(pieces: list[bytes]) -> tuple[str | ProxyHeader | None, bytes]:
    """The header and what is behind it; "error", or None if more is needed."""
    reader = ProxyHeaderReader()
    for number, piece in enumerate(pieces):
        try:
            header = reader.feed(piece)
        except RemoteProtocolError:
            return "error", b""
        if header is not None:
            return header, reader.rest + b"".join(pieces[number + 1 :])
    return None, b""


def expected(expect: list[str]) -> tuple[str | ProxyHeader | None, bytes]:
    if expect in (["error"], ["need-data"]):
        return ("error" if expect == ["error"] else None), b""
    said = dict(line.split(" ", 1) if " " in line else (line, "") for line in expect)
    ends = []
    for name in ("source", "destination"):
        if name in said:
            host, port = said[name].split(" ")
            ends.append((host, int(port)))
        else:
            ends.append(said.get(f"{name}-path"))  # type: ignore[arg-type]
    tls = {"yes": True, "no": False}.get(said.get("tls", ""))
    return ProxyHeader(*ends, tls), unescape(said.get("rest", ""))


@pytest.mark.parametrize("name", CASES)
def test_corpus(name: str) -> None:
    data, expect = CASES[name]
    wanted = expected(expect)
    assert read([data]) == wanted
    assert read([bytes([byte]) for byte in data]) == wanted
    for split in range(1, len(data)):
        assert read([data[:split], data[split:]]) == wanted, split


@given(
    st.binary(max_size=64), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 1.2.3.4 ", SIGNATURE, SIGNATURE + b"\x21\x11\0\x0c"])
)
def test_whatever_comes_is_a_header_or_an_error_or_too_short(data: bytes, start: bytes) -> None:
    whole = read([start + data])
    assert read([bytes([byte]) for byte in start + data]) == whole


@given(st.data())
def test_a_damaged_header_is_never_more_than_a_header(data: st.DataObject) -> None:
    header = bytearray(CASES[data.draw(st.sampled_from(sorted(CASES)))][0])
    for _ in range(data.draw(st.integers(1, 3))):
        header[data.draw(st.integers(0, len(header) - 1))] = data.draw(st.integers(0, 255))
    read([bytes(header)])


def test_it_keeps_no_more_than_the_longest_header() -> None:
    # Whatever length a peer declares, and however it sends.
    seed = random.Random(5)
    for length in (16368, 16369, 65535):
        reader = ProxyHeaderReader()
        stream = SIGNATURE + b"\x20\x00" + length.to_bytes(2, "big") + bytes(length)
        fed = 0
        with contextlib.suppress(RemoteProtocolError):
            while fed < len(stream):
                size = seed.randrange(1, 900)
                if reader.feed(stream[fed : fed + size]) is not None:
                    break
                fed += size
        assert fed <= (LONGEST_HEADER_BYTES if length == 16368 else 900)
