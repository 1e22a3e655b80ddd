"""Writes the seed inputs of a C fuzz target from the corpus: `python fuzz/seeds.py http1|websocket FOLDER`.

Knows the control bytes that `*_libfuzzer.c` expect before the stream; the streams are the corpus's own.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import corpus_reader  # noqa: E402  (from tests/, which is not a package)
import websocket_corpus  # noqa: E402

# Longer ones are about limits that the fuzzer reaches with small limits instead.
LONGEST_BYTES = 2048
#: Flags of http1_libfuzzer.c and of websocket_libfuzzer.c.
FLAG_EOF = 1
FLAG_MAY_COMPRESS = 1


def http1() -> Iterator[tuple[int, bytes]]:
    """Flags and stream of each case."""
    for path in corpus_reader.files():
        for case in corpus_reader.read(path):
            yield FLAG_EOF if case.eof else 0, case.input


def websocket() -> Iterator[tuple[int, bytes]]:
    """Flags and stream of each case."""
    for path in websocket_corpus.files("websocket"):
        for case in websocket_corpus.read_frames(path):
            yield FLAG_MAY_COMPRESS if case.deflate else 0, case.input


TARGETS = {"http1": http1, "websocket": websocket}


def seed(flags: int, stream: bytes) -> bytes:
    """One input: flags, two cuts at a third and two thirds, the stream."""
    cuts = [len(stream) // 3, 2 * len(stream) // 3]
    return bytes([flags, len(cuts)]) + b"".join(cut.to_bytes(2, "big") for cut in cuts) + stream


def main(target: str, folder: Path) -> int:
    """Write one file per case; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for flags, stream in TARGETS[target]():
        if len(stream) <= LONGEST_BYTES:
            data = seed(flags, stream)
            (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
            count += 1
    return count


if __name__ == "__main__":
    print(f"{main(sys.argv[1], Path(sys.argv[2]))} seeds")
