"""What a conversation may cost beyond the stored figures, and the frames of the one that is made here."""

from __future__ import annotations

from pathlib import Path

import pytest

import instructions
import instructions_http2
from picocorn.http2 import codes

FACTS = {"python": "3.13.0", "interpreter": "one", "machine": "x86_64 avx2", "valgrind": "3.19"}
ANOTHER = {**FACTS, "python": "3.13.2", "interpreter": "two"}
STORED = {"raw-get stack": {"total": 20_000, "ours": 5_000}}


def counted(total: int, ours: int) -> instructions.Figures:
    return {"raw-get stack": {"total": total, "ours": ours}, "not stored yet": {"total": 1, "ours": 1}}


def grown(facts: dict[str, str], total: int, ours: int) -> list[str]:
    return instructions.choose_basis([{"build": FACTS, "figures": STORED}], facts).grown(counted(total, ours))


def test_more_than_a_twentieth_is_too_much_for_this_very_build() -> None:
    assert grown(FACTS, 21_000, 5_250) == []
    assert [line.split(":")[1].split()[0] for line in grown(FACTS, 21_001, 5_251)] == ["total", "ours"]


def test_of_another_build_only_the_own_part_is_compared() -> None:
    assert grown(ANOTHER, 40_000, 5_500) == []
    assert len(grown(ANOTHER, 20_000, 5_501)) == 1
    assert grown({**ANOTHER, "python": "3.12.1"}, 40_000, 10_000) == []


@pytest.mark.parametrize(("total", "status"), [(20_900, 0), (21_100, 1)])
def test_the_command_fails_for_it(total: int, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "scope_c", object())
    monkeypatch.setattr(instructions, "install_valgrind", lambda: True)
    monkeypatch.setattr(instructions, "build_facts", lambda: FACTS)
    monkeypatch.setattr(instructions, "read_stored", lambda: [{"build": FACTS, "figures": STORED}])
    monkeypatch.setattr(instructions, "count_all", lambda: counted(total, 5_000))
    monkeypatch.setattr("sys.argv", ["instructions.py"])
    assert instructions.main() == status


def test_figures_of_other_builds_go_when_one_has_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "STORED", tmp_path / "results" / "instructions.json")
    instructions.store(STORED, FACTS, False)
    instructions.store(STORED, ANOTHER, False)
    assert [entry["build"] for entry in instructions.read_stored()] == [FACTS, ANOTHER]
    instructions.store(counted(30_000, 5_000), FACTS, True)
    assert [entry["build"] for entry in instructions.read_stored()] == [FACTS]


def test_pieces_are_requests_on_streams_that_follow_each_other() -> None:
    pieces = list(instructions_http2.pieces(3))
    size = len(pieces[0]) // instructions_http2.STREAMS
    frames = [piece[at : at + size] for piece in pieces for at in range(0, len(piece), size)]
    assert [int.from_bytes(frame[5:9], "big") for frame in frames] == [3 + 2 * number for number in range(len(frames))]
    assert {(frame[3], frame[4]) for frame in frames} == {(codes.HEADERS, codes.END_HEADERS | codes.END_STREAM)}


def answer(content: bytes, streams: int = instructions_http2.STREAMS) -> bytes:
    def frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream_id.to_bytes(4, "big") + payload

    ids = [3 + 2 * number for number in range(streams)]
    heads = b"".join(frame(codes.HEADERS, codes.END_HEADERS, each, b"\x88\xc0") for each in ids)
    return heads + b"".join(frame(codes.DATA, codes.END_STREAM, each, content) for each in ids)


@pytest.mark.parametrize(
    "wrong", [answer(b"Hello"), answer(b"Hi", 1), answer(b"Hi")[:-1], answer(b"Hi").replace(b"\x88", b"\x8d"), b""]
)
def test_every_request_of_a_piece_has_to_be_answered(wrong: bytes) -> None:
    instructions_http2.check(answer(b"Hi"), b"Hi")
    with pytest.raises(SystemExit, match="wrong answer"):
        instructions_http2.check(wrong, b"Hi")
