"""Writes the seed inputs of the C fuzz target from the corpus: `python fuzz/seeds.py FOLDER`.

Knows the control bytes that `http1_libfuzzer.c` expects before the stream; the streams are the corpus's own.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "src")]

import corpus_reader  # noqa: E402  (from tests/, which is not a package)

# Longer ones are about limits that the fuzzer reaches with small limits instead.
LONGEST_BYTES = 2048
FLAG_EOF = 1


def seed(stream: bytes, *, eof: bool) -> bytes:
    """One input: flags, two cuts at a third and two thirds, the stream."""
    cuts = [len(stream) // 3, 2 * len(stream) // 3]
    return bytes([FLAG_EOF if eof else 0, len(cuts)]) + b"".join(cut.to_bytes(2, "big") for cut in cuts) + stream


def main(folder: Path) -> int:
    """Write one file per case; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in corpus_reader.files():
        for case in corpus_reader.read(path):
            if len(case.input) <= LONGEST_BYTES:
                data = seed(case.input, eof=case.eof)
                (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
                count += 1
    return count


if __name__ == "__main__":
    print(f"{main(Path(sys.argv[1]))} seeds")
