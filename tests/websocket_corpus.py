r"""Reads the corpora of WebSocket cases, runs a reader or the handshake over them. Knows the file formats, not the rules.

Blank lines and lines that begin with `#` mean nothing; a case begins with `case:`; escapes are those of `corpus_reader`.
`corpus/websocket/` has streams of a client's frames:

    case: text-in-two-fragments            unique in the whole corpus, kebab-case
    rule: RFC 6455 5.4                     why
    max-size: 10                           of a message; not given: 16 MiB
    offer: permessage-deflate              what the client offered and got; not given: nothing
    frame: text | Hel                      opcode by name or number, flags, payload behind the bar. Flags:
    frame: continuation fin | lo             fin rsv1 rsv2 rsv3 unmasked
    frame*3: ping fin mask=00000000          mask=HEX (not given: another in each frame)
    frame: text fin length=9 bits=16 | a     what the header declares, and in how many bits (7, 16, 64), instead of the truth
    input: \x81                            bytes as they are; frames and inputs are one stream
    expect: text Hello                     or binary, ping, pong; text*3 repeats its payload
    expect: close 1000 bye
    expect: need-data                      last of all: or mid-message, or error NAME CLOSE-CODE

`corpus/handshake/` has requests:

    input: GET / HTTP/1.1\r\n
    expect: key dGhlIHNhbXBsZSBub25jZQ==
    expect: accept s3pPLMBiTxaQ9kYGzzhZRbK+xOo=
    expect: subprotocols a, b              not given: none
    expect: deflate permessage-deflate     the field that accepts an offer; not given: none is accepted
    expect: error NAME STATUS              instead of all that
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from corpus_reader import unescape
from picocorn.base.errors import WebSocketError
from picocorn.websocket.deflate import DeflateParameters, Inflater, negotiate
from picocorn.websocket.opcodes import BINARY, CLOSE, CONTINUATION, NEED_DATA, PING, PONG, TEXT

__all__ = [
    "FrameCase",
    "HandshakeCase",
    "Transcript",
    "client_frame",
    "files",
    "read_frames",
    "read_handshakes",
    "run",
]

CORPUS = Path(__file__).parent / "corpus"
OPCODES = {
    "continuation": CONTINUATION,
    "text": TEXT,
    "binary": BINARY,
    "close": CLOSE,
    "ping": PING,
    "pong": PONG,
}
EVENTS = {opcode: name for name, opcode in OPCODES.items()}
DEFAULT_MAX_SIZE = 16 * 1024 * 1024


@dataclass
class Transcript:
    """What a reader made of a stream: events as (name, payload or (code, reason)), and the last word on it."""

    events: list[tuple[str, Any]] = field(default_factory=list)
    verdict: str = ""

    def however_cut(self) -> Transcript:
        """What of it may not depend on how the stream was cut.

        Of a message that is too large and no DEFLATE data either, zlib tells the fault without what came out before it when both
        lie in one piece, so which of the two is found is up to the cuts.
        """
        both = {"error TOO_BIG 1009", "error BAD_DEFLATE 1007"}
        return Transcript(self.events, "error" if self.verdict in both else self.verdict)


@dataclass
class FrameCase:
    """One stream of frames and what is expected of it."""

    name: str
    file: str
    rule: str = ""
    max_size: int = DEFAULT_MAX_SIZE
    deflate: DeflateParameters | None = None
    input: bytes = b""
    expected: Transcript = field(default_factory=Transcript)


@dataclass
class HandshakeCase:
    """One request and what is expected of it; `error` is "" or "NAME STATUS"."""

    name: str
    file: str
    rule: str = ""
    input: bytes = b""
    key: bytes = b""
    accept: bytes = b""
    subprotocols: list[str] = field(default_factory=list)
    deflate: bytes = b""
    error: str = ""


def client_frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = b"\x37\xfa\x21\x3d",
    length: int | None = None,
    bits: int = 0,
) -> bytes:
    """A frame as a client sends it, or one that only looks like it: `length` and `bits` replace what is true of the payload."""
    declared = len(payload) if length is None else length
    bits = bits or (7 if declared < 126 else 16 if declared < 65536 else 64)
    masked = 0 if mask is None else 0x80
    head = bytes((fin << 7 | rsv << 4 | opcode,))
    if bits == 7:
        head += bytes((masked | declared,))
    else:
        head += bytes((masked | (126 if bits == 16 else 127),)) + declared.to_bytes(bits // 8, "big")
    if mask is None:
        return head + payload
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


# -- reading -----------------------------------------------------------------------------------------------------------


def files(corpus: str) -> list[Path]:
    return sorted((CORPUS / corpus).glob("*.txt"))


def _lines(path: Path) -> Iterator[tuple[str, int, str]]:
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        if line and not line.startswith("#"):
            key, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"{path.name}:{number}: {line!r}: no colon")
            name, _, times = key.partition("*")
            yield name, int(times or 1), value.removeprefix(" ")


def read_frames(path: Path) -> Iterator[FrameCase]:
    """Every case of a file of frames."""
    case: FrameCase | None = None
    frames = 0
    for key, times, value in _lines(path):
        if key == "case":
            if case is not None:
                yield _finished(case)
            case, frames = FrameCase(value, path.name), 0
            continue
        assert case is not None, f"{path.name}: no case yet"
        assert not case.expected.verdict, f"{case.name}: {key} after the final verdict"
        if key == "rule":
            case.rule = value
        elif key == "max-size":
            case.max_size = int(value)
        elif key == "offer":
            case.deflate = negotiate([unescape(value)])
            assert case.deflate is not None, f"{case.name}: an offer that is declined"
        elif key == "input":
            case.input += unescape(value) * times
        elif key == "frame":
            for _ in range(times):
                case.input += _frame(value, frames)
                frames += 1
        elif key == "expect":
            _expect(case.expected, *value.partition(" ")[::2])
        else:
            raise ValueError(f"{case.name}: no such key: {key}")
    if case is not None:
        yield _finished(case)


def _finished(case: FrameCase) -> FrameCase:
    assert case.rule, f"{case.name}: no rule"
    assert case.expected.verdict, f"{case.name}: no verdict"
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.name), case.name
    return case


def _frame(text: str, number: int) -> bytes:
    words, _, payload = text.partition(" | ")
    opcode, *flags = words.split()
    options: dict[str, Any] = {"fin": False, "rsv": 0}
    # Another mask in each frame, so that none can be taken for that of its neighbour.
    options["mask"] = bytes((0xA1, 0x5B, 0x07 + number & 0xFF, 0xF0))
    for flag in flags:
        name, _, value = flag.partition("=")
        if name == "fin":
            options["fin"] = True
        elif name in ("rsv1", "rsv2", "rsv3"):
            options["rsv"] |= 8 >> int(name[3])
        elif name == "unmasked":
            options["mask"] = None
        elif name == "mask":
            options["mask"] = bytes.fromhex(value)
        elif name in ("length", "bits"):
            options[name] = int(value)
        else:
            raise ValueError(f"no such flag: {flag}")
    return client_frame(OPCODES[opcode] if opcode in OPCODES else int(opcode), unescape(payload), **options)


def _expect(expected: Transcript, word: str, value: str) -> None:
    name, _, times = word.partition("*")
    if name in ("need-data", "mid-message", "error"):
        expected.verdict = f"{name} {value}".rstrip()
    elif name == "close":
        code, _, reason = value.partition(" ")
        expected.events.append((name, (int(code), unescape(reason).decode())))
    elif name in ("text", "binary", "ping", "pong"):
        expected.events.append((name, unescape(value) * int(times or 1)))
    else:
        raise ValueError(f"no such expectation: {word}")


def read_handshakes(path: Path) -> Iterator[HandshakeCase]:
    """Every case of a file of requests."""
    case: HandshakeCase | None = None
    for key, times, value in _lines(path):
        if key == "case":
            if case is not None:
                yield case
            case = HandshakeCase(value, path.name)
            continue
        assert case is not None, f"{path.name}: no case yet"
        if key == "rule":
            case.rule = value
        elif key == "input":
            case.input += unescape(value) * times
        elif key == "expect":
            word, _, rest = value.partition(" ")
            if word == "subprotocols":
                case.subprotocols = rest.split(", ")
            elif word == "error":
                case.error = rest
            elif word in ("key", "accept", "deflate"):
                setattr(case, word, unescape(rest))
            else:
                raise ValueError(f"{case.name}: no such expectation: {word}")
        else:
            raise ValueError(f"{case.name}: no such key: {key}")
    if case is not None:
        yield case


# -- running -----------------------------------------------------------------------------------------------------------


def run(
    reader_module: ModuleType, pieces: Iterable[bytes], max_size: int = DEFAULT_MAX_SIZE, deflate: DeflateParameters | None = None
) -> Transcript:
    """What the MessageReader of `reader_module` makes of a stream that comes in these pieces."""
    reader = reader_module.MessageReader(max_size, None if deflate is None else Inflater(deflate))
    got = Transcript()
    try:
        for piece in pieces:
            reader.feed(piece)
            _drain(reader, got)
    except WebSocketError as error:
        got.verdict = f"error {error.code} {error.close_code}"
        return got
    got.verdict = "mid-message" if reader.mid_message() else "need-data"
    return got


def _drain(reader: Any, got: Transcript) -> None:
    while (event := reader.next_event()) != NEED_DATA:
        if event == TEXT:
            assert type(reader.message) is str
            got.events.append(("text", reader.message.encode()))
        elif event == BINARY:
            assert type(reader.message) is bytes
            got.events.append(("binary", reader.message))
        elif event == CLOSE:
            got.events.append(("close", (reader.close_code, reader.close_reason)))
        else:
            assert type(reader.payload) is bytes
            got.events.append((EVENTS[event], reader.payload))
    assert reader.buffered_bytes() == 0
