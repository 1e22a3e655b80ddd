r"""Reads the corpus of HTTP/2 cases, runs an engine over them and compares. Knows the file format, not the rules.

A file in `corpus/http2/` is one topic. Blank lines and lines that begin with `#` mean nothing; a case begins with `case:`.

    case: data-on-idle-stream              unique in the whole corpus, kebab-case
    rule: RFC 9113 5.1                     why
    limits: max_concurrent_streams=2       HTTP2Limits that differ from their defaults
    raw: yes                               nothing is sent but what stands here; else preface, SETTINGS and its ACK go before
    input: PRI * HTTP/2.0\r\n              bytes as they are; escapes \r \n \t \0 \\ \xHH
    frame: data end stream=1 | abc         type (or a number), flags, stream; behind the bar the payload
    frame: ping length=7 | 1234567         `length` is what the header says, whatever the payload
    frame*200: ping | 12345678             repeated
    head: end stream=1 | GET /             HEADERS with END_HEADERS: method and path, then more fields with bars between them
    head: stream=1 | GET / | a b | te x      a name, a blank, a value; names that begin with ":" replace those of the head
    fields: end stream=1 | a b | c d       HEADERS with just these fields; both take `-end-headers` and `no-huffman` literals only
    reply: 1                               the server answers this stream with 200 and content "ok"
    expect: ok                             the peer has done no wrong; `told` says what the handler heard. The default
    expect: stream 1 PROTOCOL_ERROR        that stream was reset, and the connection serves on
    expect: connection PROTOCOL_ERROR      GOAWAY with that code
    expect: connection A or stream 1 A     whatever the RFC leaves open
    told: request 1 GET / end              in order; not given: anything. Content is put together: `data 1 abc`
    told: end 1                            or: closed 1 CANCEL, goaway NO_ERROR
    frames: ping ack                       frames that must have been sent, in any order: type and flags
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from corpus_reader import unescape
from http2.engines import Peer, frame, make, read_frames
from picocorn.base.errors import HTTP2Error
from picocorn.base.limits import HTTP2Limits
from picocorn.http2 import codes

__all__ = ["CORPUS", "Case", "check", "files", "read"]

CORPUS = Path(__file__).parent / "corpus" / "http2"
TYPES = {
    "data": codes.DATA,
    "headers": codes.HEADERS,
    "priority": codes.PRIORITY,
    "rst-stream": codes.RST_STREAM,
    "settings": codes.SETTINGS,
    "push-promise": codes.PUSH_PROMISE,
    "ping": codes.PING,
    "goaway": codes.GOAWAY,
    "window-update": codes.WINDOW_UPDATE,
    "continuation": codes.CONTINUATION,
    "priority-update": codes.PRIORITY_UPDATE,
}
NAMES = {number: name for name, number in TYPES.items()}
FLAGS = {"end": 0x1, "ack": 0x1, "end-headers": 0x4, "padded": 0x8, "priority": 0x20, "undefined": 0xC2}
_LIMITS = {limit.name for limit in fields(HTTP2Limits)}
#: The stream on which a connection shows that it still serves.
LAST_STREAM = 2001


@dataclass
class Case:
    """One case of the corpus."""

    name: str
    rule: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    raw: bool = False
    #: bytes to send, or a stream to answer
    steps: list[bytes | int] = field(default_factory=list)
    expect: list[str] = field(default_factory=lambda: ["ok"])
    told: list[str] | None = None
    frames: list[str] = field(default_factory=list)


def _literal(text: bytes) -> bytes:
    # An HPACK string without Huffman coding; its length needs a second byte from 127 on (RFC 7541 5.1).
    size = len(text)
    if size < 127:
        return bytes((size,)) + text
    size -= 127
    out = bytearray((127,))
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes(out) + bytes((size,)) + text


def encode(lines: list[tuple[bytes, bytes]]) -> bytes:
    """A field block of literals that are not indexed (RFC 7541 6.2.2)."""
    return b"".join(b"\0" + _literal(name) + _literal(value) for name, value in lines)


def _head(text: str) -> list[tuple[bytes, bytes]]:
    first, *more = text.split(" | ")
    method, _, path = first.partition(" ")
    control = {b":method": method, b":scheme": "http", b":authority": "a.example", b":path": path}
    lines: list[tuple[bytes, bytes]] = []
    replaced: dict[bytes, bytes | None] = {name: unescape(value) for name, value in control.items()}
    for line in more:
        name, _, value = line.partition(" ")
        if name in (":method", ":scheme", ":authority", ":path"):
            replaced[name.encode()] = None if value == "-" else unescape(value)
        else:
            lines.append((unescape(name), unescape(value)))
    return [(name, value) for name, value in replaced.items() if value is not None] + lines


def _lines(text: str) -> list[tuple[bytes, bytes]]:
    return [(unescape(line.partition(" ")[0]), unescape(line.partition(" ")[2])) for line in text.split(" | ")]


def _frame(kind: str, text: str) -> bytes:
    words, _, payload = text.partition(" | ") if " | " in text else (text.removesuffix(" |"), "", "")
    names = words.split()
    number, flags = codes.HEADERS, codes.END_HEADERS
    if kind == "frame":
        name = names.pop(0)
        number, flags = TYPES[name] if name in TYPES else int(name, 0), 0
    stream_id, length = 0, -1
    for name in names:
        if name.startswith("stream="):
            stream_id = int(name.removeprefix("stream="), 0)
        elif name.startswith("length="):
            length = int(name.removeprefix("length="))
        elif name.startswith("-"):
            flags &= ~FLAGS[name[1:]]
        else:
            flags |= FLAGS[name]
    if kind == "head":
        content = encode(_head(payload))
    elif kind == "fields":
        content = encode(_lines(payload))
    else:
        content = unescape(payload)
        if "*" in payload and payload.rpartition("*")[2].isdigit():
            text, _, times = payload.rpartition("*")
            content = unescape(text) * int(times)
    made = frame(number, flags, stream_id, content)
    return made if length < 0 else length.to_bytes(3, "big") + made[3:]


def read(path: Path) -> Iterator[Case]:
    """The cases of one file."""
    case: Case | None = None
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        assert colon, f"{path.name}:{number}: no colon"
        if key == "case":
            if case is not None:
                yield case
            case = Case(value)
            continue
        assert case is not None, f"{path.name}:{number}: before the first case"
        key, _, times = key.partition("*")
        repeat = int(times or 1)
        if key == "rule":
            case.rule = value
        elif key == "raw":
            case.raw = value == "yes"
        elif key == "limits":
            case.limits = {name: int(limit) for name, limit in (pair.split("=") for pair in value.split())}
            assert set(case.limits) <= _LIMITS, f"{path.name}:{number}"
        elif key == "input":
            case.steps += [unescape(value) * repeat]
        elif key in ("frame", "head", "fields"):
            case.steps += [_frame(key, value) * repeat]
        elif key == "reply":
            case.steps += [int(value)]
        elif key == "expect":
            case.expect = value.split(" or ")
        elif key == "told":
            case.told = [*(case.told or []), value] if value.strip() else []
        elif key == "frames":
            case.frames.append(value)
        else:
            raise AssertionError(f"{path.name}:{number}: {key}?")
    if case is not None:
        yield case


def files() -> list[Path]:
    """The files of the corpus."""
    return sorted(CORPUS.glob("*.txt"))


def _notes(told: list[tuple[Any, ...]]) -> list[str]:
    notes: list[str] = []
    content: dict[int, bytes] = {}
    for kind, *what in told:
        if kind == "data":
            content[what[0]] = content.get(what[0], b"") + what[1]
            continue
        for stream_id, data in content.items():
            notes.append(f"data {stream_id} {data.decode('latin-1')}")
        content.clear()
        if kind == "request":
            notes.append(f"request {what[0]} {what[1].method} {what[1].target.decode()}" + (" end" if what[4] else ""))
        elif kind == "closed":
            notes.append(f"closed {what[0]} {codes.ERROR_NAMES[what[1]]}")
        elif kind == "goaway":
            notes.append(f"goaway {codes.ERROR_NAMES[what[0]]}")
        else:
            notes.append(" ".join(str(word) for word in (kind, *what)))
    for stream_id, data in content.items():
        notes.append(f"data {stream_id} {data.decode('latin-1')}")
    return notes


def _code(name: int) -> str:
    return codes.ERROR_NAMES[name]


def check(case: Case, engine: str, split: int = 0) -> None:
    """Run `case` and compare. `split`: bytes go in in pieces of so many, 0: each step whole."""
    limits = HTTP2Limits(**case.limits)
    if case.raw:
        session, told = make(engine, limits)
        frames = read_frames(b"".join(session.send()))
    else:
        peer = Peer(engine, limits)
        session, told, frames = peer.session, peer.told, []
    error: HTTP2Error | None = None
    try:
        for step in case.steps:
            if isinstance(step, int):
                session.queue_head(step, 200, [(b"a", b"b")], False)
                session.queue_data(step, b"ok", True)
            else:
                for pos in range(0, len(step), split or len(step) or 1):
                    session.receive(step[pos : pos + (split or len(step))], 1000.0)
            frames += read_frames(b"".join(session.send()))
    except HTTP2Error as ended:
        error = ended
    frames += read_frames(b"".join(session.send()))
    resets = [f"stream {f[2]} {_code(int.from_bytes(f[3], 'big'))}" for f in frames if f[0] == codes.RST_STREAM]
    goaways = [_code(int.from_bytes(f[3][4:8], "big")) for f in frames if f[0] == codes.GOAWAY]
    if error is not None:
        assert goaways, "an error without GOAWAY"
        assert goaways[-1] == _code(error.error_code)
        assert session.is_over()
        outcome = [f"connection {goaways[-1]}"]
    else:
        assert not [name for name in goaways if name != "NO_ERROR"], goaways
        outcome = resets or ["ok"]
    assert set(outcome) <= set(case.expect), (outcome, error)
    if case.told is not None and error is None:
        assert _notes(told) == case.told
    sent = {" ".join([NAMES.get(f[0], "?")] + (["ack"] if f[0] in (4, 6) and f[1] & 1 else [])) for f in frames}
    assert set(case.frames) <= sent, sent
    if error is None and not case.raw and not session.is_over():
        _serves_on(session, told)


def _serves_on(session: Any, told: list[tuple[Any, ...]]) -> None:
    before = len(told)
    session.receive(_frame("head", f"end stream={LAST_STREAM} | GET /"), 2000.0)
    assert [note[1] for note in told[before:] if note[0] == "request"] == [LAST_STREAM]
    session.queue_head(LAST_STREAM, 204, [], True)
    ended = [f for f in read_frames(b"".join(session.send())) if f[0] == codes.HEADERS and f[2] == LAST_STREAM]
    assert ended
    assert ended[0][1] & codes.END_STREAM
