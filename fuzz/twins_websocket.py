"""Sets the two WebSocket readers against each other until the time is up: same bytes, any cuts, same events and same verdict.

    python fuzz/twins_websocket.py --seconds 60 [--seed 1]

Streams come from the grammar of the tests, with and without permessage-deflate, and from the corpus, both mutated; with atheris
installed, `--atheris` lets it guide the bytes instead. What the readers give is sent back through both writers. A disagreement
is made small and printed as a case for `tests/corpus/websocket/`; the exit status is then 1.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from corpus_reader import escape
from picocorn.base.errors import LocalProtocolError, WebSocketError
from picocorn.websocket.deflate import DeflateParameters, Inflater, negotiate
from picocorn.websocket.opcodes import BINARY, NEED_DATA
from websocket_corpus import Transcript, files, read_frames, run
from websocket_streams import parameters, pieces, stream

NATIVE: Any = importlib.import_module("picocorn.websocket.reader_c")
PURE: Any = importlib.import_module("picocorn.websocket.reader_py")
WRITERS = [importlib.import_module(f"picocorn.websocket.writer_{body}") for body in ("c", "py")]
CORPUS = [case for path in files("websocket") for case in read_frames(path) if len(case.input) < 4000]


def states(reader_module: Any, cut: list[bytes], limit: int, deflate: DeflateParameters | None) -> list[tuple[Any, ...]]:
    """What the methods say at every step: both twins must let the connection draw the same conclusions."""
    reader = reader_module.MessageReader(limit, None if deflate is None else Inflater(deflate))
    seen: list[tuple[Any, ...]] = []
    try:
        for piece in cut:
            reader.feed(piece)
            event = None
            while event != NEED_DATA:
                seen.append((reader.buffered_bytes(), reader.mid_message()))
                event = reader.next_event()
            seen.append((reader.buffered_bytes(), reader.mid_message(), reader.close_code, reader.close_reason))
    except WebSocketError:
        seen.append((reader.buffered_bytes(), reader.mid_message()))
    return seen


def written(writer: Any, got: Transcript) -> list[Any]:
    """What a writer makes of the messages and codes of a transcript."""
    out: list[Any] = []
    for name, content in got.events:
        try:
            if name == "close":
                out.append(writer.encode_close(*content))
            elif name == "text":
                out.append(writer.encode_text(content.decode()))
            else:
                out.append(writer.encode_frame(BINARY, content, len(content) % 2 == 1))
        except LocalProtocolError as error:
            out.append(str(error))
    return out


def disagreement(cut: list[bytes], limit: int, deflate: DeflateParameters | None) -> str:
    """What is wrong, or ""."""
    data = b"".join(cut)
    expected = run(PURE, [data], limit, deflate)
    for how, shown in (([data], "whole"), (cut, "cut")):
        pure, native = run(PURE, how, limit, deflate), run(NATIVE, how, limit, deflate)
        if native != pure:
            return f"pure, {shown}: {pure}\n# native, {shown}: {native}"
        if pure.however_cut() != expected.however_cut():
            return f"pure, whole: {expected}\n# pure, cut: {pure}"
    one, other = states(NATIVE, cut, limit, deflate), states(PURE, cut, limit, deflate)
    if one != other:
        return f"(buffered_bytes, mid_message), native: {one}\n# pure: {other}"
    one, other = (written(writer, expected) for writer in WRITERS)
    return f"written, native: {one}\n# pure: {other}" if one != other else ""


def shrink(data: bytes, wrong: Callable[[bytes], str]) -> bytes:
    """A shorter stream that still disagrees: cut out ever smaller spans."""
    size = len(data) // 2
    while size:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + size :]
            if wrong(shorter):
                data = shorter
            else:
                at += size
        size //= 2
    return data


def report(cut: list[bytes], limit: int, deflate: DeflateParameters | None) -> None:
    """Print the disagreement as a case, made small if it does not depend on these very cuts."""
    data = b"".join(cut)

    def whole(shorter: bytes) -> str:
        return disagreement([shorter], limit, deflate)

    def dribbled(shorter: bytes) -> str:
        return disagreement([shorter[at : at + 1] for at in range(len(shorter))], limit, deflate)

    what = disagreement(cut, limit, deflate)
    for wrong in (whole, dribbled):
        if wrong(data):
            data = shrink(data, wrong)
            what = wrong(data)
            break
    else:
        print(f"# only when cut like this: {cut}")
    print(f"# {what}\ncase: found-by-fuzzing\nrule: ?\nmax-size: {limit}")
    if deflate is not None:
        print(f"offer: {deflate.response_field().decode()}")
    print(f"input: {escape(data)}\nexpect: ?", flush=True)


def example(rng: random.Random) -> tuple[list[bytes], int, DeflateParameters | None]:
    """One stream with its cuts, its limit and what was negotiated."""
    limit, deflate = parameters(rng)
    if rng.random() < 0.7:
        data = stream(rng, deflate)
    else:
        one, other = rng.choice(CORPUS), rng.choice(CORPUS)
        limit, deflate = min(one.max_size, other.max_size), one.deflate or other.deflate
        data = one.input[: rng.randrange(len(one.input) + 1)] + other.input[rng.randrange(len(other.input) + 1) :]
        for _ in range(rng.randrange(3)):
            at = rng.randrange(len(data) + 1)
            data = data[:at] + bytes((rng.randrange(256),)) + data[at + rng.randrange(2) :]
    return pieces(rng, data), limit, deflate


def by_seed(seconds: float, seed: int) -> int:
    """Streams of one seed after the other. Returns the exit status."""
    deadline = time.monotonic() + seconds
    count = 0
    while time.monotonic() < deadline:
        for _ in range(100):
            found = example(random.Random(seed + count))
            if disagreement(*found):
                print(f"# seed {seed + count}")
                report(*found)
                return 1
            count += 1
    print(f"twins_websocket: {count} streams from seed {seed} on, no disagreement")
    return 0


def by_atheris(seconds: float) -> int:
    """Streams that atheris makes from the corpus by watching the pure twin's branches."""
    import atheris

    deflate = negotiate([b"permessage-deflate"])

    def one(raw: bytes) -> None:
        cut = pieces(random.Random(raw), raw)
        if disagreement(cut, 1000, deflate):
            report(cut, 1000, deflate)
            raise AssertionError("the twins disagree")

    atheris.instrument_all()
    atheris.Setup([sys.argv[0], f"-max_total_time={int(seconds)}"], one)
    atheris.Fuzz()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None, help="first seed (default: from the clock)")
    parser.add_argument("--atheris", action="store_true")
    options = parser.parse_args()
    if options.atheris:
        return by_atheris(options.seconds)
    return by_seed(options.seconds, time.time_ns() if options.seed is None else options.seed)


if __name__ == "__main__":
    sys.exit(main())
