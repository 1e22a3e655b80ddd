"""Random conversations of HTTP/2 clients, mostly right and a little wrong, and what an engine makes of one. For fuzzing."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hpack import Encoder

from http2.engines import PREFACE, frame, make, read_frames, uint32
from picocorn.base.errors import HTTP2Error
from picocorn.base.limits import HTTP2Limits
from picocorn.http2 import codes

__all__ = ["Outcome", "conversation", "disagreement", "run"]

#: What the engines may judge differently, for the RFC leaves it open: a stream or the connection, an error or nothing.
EITHER = (
    "frame on a stream that the peer has ended",
    "WINDOW_UPDATE: window_size_increment == 0",
    "depend on itself",
    "SETTINGS: unexpected ACK",
    "padding is longer than its frame",
)
LIMITS = HTTP2Limits(max_concurrent_streams=5, header_list_bytes=600, request_fields=8, resets_burst=20, control_frames_burst=20)

METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"CONNECT", b"get", b"FOO", b"B AD", b""]
PATHS = [b"/", b"/a?b=c", b"/%20", b"*", b"", b"a", b"/ b", b"/#", b"/\xff"]
HOSTS = [b"a.example", b"A.example:80", b"b.example", b"[::1]:1", b"u@a", b"a:99999", b""]
SCHEMES = [b"http", b"https", b"x-y", b"", b"h ttp"]
NAMES = [
    b"a",
    b"accept",
    b"cookie",
    b"cookie",
    b"content-length",
    b"te",
    b"host",
    b"expect",
    b"priority",
    b"connection",
    b"A",
    b":x",
]
VALUES = [b"", b"1", b"3", b"trailers", b"100-continue", b"u=1, i", b"a=b", b" a", b"a\0b", b"x" * 300, b"caf\xe9"]


@dataclass
class Outcome:
    """What an engine told and answered."""

    requests: list[Any] = field(default_factory=list)
    content: dict[int, bytes] = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    closed: dict[int, int] = field(default_factory=dict)
    goaways: list[tuple[int, int]] = field(default_factory=list)
    resets: dict[int, int] = field(default_factory=dict)
    refusals: list[int] = field(default_factory=list)
    error: int | None = None
    message: str = ""


def _fields(rng: random.Random, wrong: float) -> list[tuple[bytes, bytes]]:
    def pick(values: list[bytes]) -> bytes:
        return rng.choice(values) if rng.random() < wrong else rng.choice(values[:2])

    lines = [(b":method", pick(METHODS)), (b":scheme", pick(SCHEMES)), (b":authority", pick(HOSTS)), (b":path", pick(PATHS))]
    if rng.random() < wrong:
        lines.pop(rng.randrange(len(lines)))
    if rng.random() < wrong / 4:
        lines.append((b":protocol", rng.choice([b"websocket", b""])))
    names = NAMES if rng.random() < wrong else NAMES[:4]
    lines += [(rng.choice(names), pick(VALUES)) for _ in range(rng.randrange(4))]
    if rng.random() < wrong / 4:
        rng.shuffle(lines)
    return lines


def conversation(rng: random.Random) -> list[bytes]:
    """Frames, after a preface that is right. Pieces are whole frames."""
    encoder = Encoder()
    encoder.huffman = rng.random() < 0.5  # type: ignore[attr-defined]
    wrong = rng.choice([0.0, 0.05, 0.3])
    out = [PREFACE + frame(codes.SETTINGS, 0, 0), frame(codes.SETTINGS, codes.ACK, 0)]
    highest = -1
    for _ in range(rng.randrange(1, 14)):
        kind = rng.choice(("head", "head", "head", "data", "data", "data", "trailers", "reset", "window", "control", "wild"))
        stream_id = max(1, rng.choice((highest, highest, highest - 2, highest + (2 if rng.random() < wrong else 0))))
        end = codes.END_STREAM if rng.random() < 0.5 else 0
        if kind == "head":
            highest += 2
            block = encoder.encode(_fields(rng, wrong))
            if rng.random() < 0.2:
                cut = rng.randrange(len(block) + 1)
                out.append(frame(codes.HEADERS, end, highest, block[:cut]))
                out.append(frame(codes.CONTINUATION, codes.END_HEADERS, highest, block[cut:]))
            elif rng.random() < 0.2:
                payload = b"\x02" + block + b"\0\0"
                out.append(frame(codes.HEADERS, codes.END_HEADERS | codes.PADDED | end, highest, payload))
            else:
                out.append(frame(codes.HEADERS, codes.END_HEADERS | end, highest, block))
        elif kind == "data":
            if rng.random() < 0.3:
                out.append(frame(codes.DATA, end | codes.PADDED, stream_id, b"\x01abc\0"))
            else:
                out.append(frame(codes.DATA, end, stream_id, rng.choice((b"", b"x", b"abc", b"y" * 1000))))
        elif kind == "trailers":
            block = encoder.encode([(b"a", b"b")] if rng.random() > wrong else _fields(rng, wrong))
            out.append(
                frame(codes.HEADERS, codes.END_HEADERS | (codes.END_STREAM if rng.random() > wrong else 0), stream_id, block)
            )
        elif kind == "reset":
            out.append(frame(codes.RST_STREAM, 0, stream_id, uint32(codes.CANCEL)))
        elif kind == "window":
            increment = rng.choice((1, 1000, 0 if rng.random() < wrong else 5, 0x7FFFFFFF if rng.random() < wrong else 6))
            out.append(frame(codes.WINDOW_UPDATE, 0, rng.choice((0, stream_id)), uint32(increment)))
        elif kind == "control":
            out.append(
                rng.choice(
                    (
                        frame(codes.PING, 0, 0, b"12345678"),
                        frame(codes.SETTINGS, 0, 0, b"\0\x04\0\0\x10\0"),
                        frame(codes.SETTINGS, 0, 0, b"\0\x01\0\0\0\0\0\x03\0\0\0\x01"),
                        frame(0x77, 0xFF, stream_id, b"unknown"),
                        frame(codes.PRIORITY, 0, stream_id, b"\0\0\0\0\x10"),
                        frame(codes.PRIORITY_UPDATE, 0, 0, uint32(stream_id) + b"u=1"),
                    )
                )
            )
        elif rng.random() < wrong:
            out.append(rng.randbytes(rng.randrange(30)) if rng.random() < 0.3 else _damaged(rng, rng.choice(out)))
    return out


def _damaged(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 3)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def run(engine: str, pieces: list[bytes], answer: bool) -> Outcome:
    """Give the pieces to an engine, answering what is complete when `answer`."""
    session, told = make(engine, LIMITS)
    outcome = Outcome()
    sent = b"".join(session.send())
    seen = 0
    try:
        for number, piece in enumerate(pieces):
            session.receive(piece, 1000.0 + number / 1000)
            if answer:
                complete = [n[1] for n in told[seen:] if n[0] == "end" or (n[0] == "request" and n[-1])]
                for stream_id in complete:
                    session.queue_head(stream_id, 200, [(b"a", b"b")], False)
                    session.queue_data(stream_id, b"answer", stream_id % 4 == 1)
                    if stream_id % 4 == 3:
                        session.queue_trailers(stream_id, [(b"t", b"u")])
            for note in told[seen:]:
                if note[0] == "data":
                    session.consume(note[1], len(note[2]))
            seen = len(told)
            sent += b"".join(session.send())
    except HTTP2Error as error:
        outcome.error, outcome.message = error.error_code, str(error)
    sent += b"".join(session.send())
    for note in told:
        if note[0] == "request":
            head = note[2]
            shown = (head.method, head.target, head.raw_path, head.query_string, head.headers, head.content_length)
            outcome.requests.append((note[1], *shown, head.expect_continue, head.forwarded, *note[3:]))
        elif note[0] == "data":
            outcome.content[note[1]] = outcome.content.get(note[1], b"") + note[2]
        elif note[0] == "end":
            outcome.ends.append(note[1])
        elif note[0] == "closed":
            assert note[1] not in outcome.closed, "told twice"
            outcome.closed[note[1]] = note[2]
        elif note[0] == "goaway":
            outcome.goaways.append(note[1:])
    for kind, _, stream_id, payload in read_frames(sent):
        if kind == codes.RST_STREAM:
            outcome.resets[stream_id] = int.from_bytes(payload, "big")
        elif kind == codes.HEADERS and stream_id not in [request[0] for request in outcome.requests]:
            outcome.refusals.append(stream_id)
    return outcome


def disagreement(pieces: list[bytes], cut: list[bytes], answer: bool, engines: list[str]) -> str:
    """What is wrong with how the engines see this, or "". The first of them is the measure."""
    first = run(engines[0], pieces, answer)
    if not answer:
        again = run(engines[0], cut, answer)
        if again != first:
            return f"{engines[0]}, whole: {first}\n# cut: {again}"
    for engine in engines[1:]:
        other = run(engine, pieces, answer)
        if engine == "h2-native":
            if other != first:
                return f"{engines[0]}: {first}\n# {engine}: {other}"
        elif (wrong := _difference(first, other)) and not (wrong == "error" and _is_cut_short(b"".join(pieces))):
            return f"{wrong}\n# {engines[0]}: {first}\n# {engine}: {other}"
    return ""


def _is_cut_short(data: bytes) -> bool:
    # One may wait for all of a frame, or of a field block, that the other has judged by its beginning.
    pos = len(PREFACE)
    in_block = False
    while pos + 9 <= len(data):
        kind, flags = data[pos + 3], data[pos + 4]
        in_block = kind in (codes.HEADERS, codes.CONTINUATION) and not flags & codes.END_HEADERS
        pos += 9 + int.from_bytes(data[pos : pos + 3], "big")
    return pos != len(data) or in_block


def _difference(one: Outcome, other: Outcome) -> str:
    # Where one ends the connection the other may have ignored the frame, or seen it later; up to there they must agree.
    if one.error is None and other.error is None:
        for name in ("requests", "content", "ends", "goaways", "refusals", "closed"):
            if getattr(one, name) != getattr(other, name):
                return name
        return "" if one.resets == other.resets else "resets"
    shorter = min(len(one.requests), len(other.requests))
    if one.requests[:shorter] != other.requests[:shorter]:
        return "requests"
    if one.error is not None and other.error is not None:
        return ""
    return "" if any(words in one.message + other.message for words in EITHER) else "error"
