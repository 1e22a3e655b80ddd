r"""Reads the corpus of HTTP/1 cases, runs a parser over them and compares. Knows the file format, not the rules.

A file in `corpus/http1/` is one topic; `csrc/test/` reads the same files. Blank lines and lines that begin with `#` mean
nothing; a case begins with `case:`. One space after the colon is not part of a value; what else may stand there:

    case: te-and-content-length            unique in the whole corpus, kebab-case
    rule: RFC 9112 6.1                     why
    limits: request_fields=3               HTTP1Limits that differ from their defaults
    input: POST / HTTP/1.1\r\n             escapes \r \n \t \0 \\ \xHH; all input lines are one stream
    input*200: a                           repeated
    eof: yes                               the client ends the stream after the input
    expect: head POST / 1.1                method, target, version; begins a request. All below it are optional:
    expect: path /a b=1                      raw_path and query_string
    expect: field host a                     when one is given, all are, in order
    expect: framing length 3                 or chunked, or none
    expect: keep-alive yes                   or no
    expect: continue yes                     or no
    expect: upgrade websocket                nothing behind it: no upgrade
    expect: body abc                         all content that was delivered; not given: none; body*200 repeats
    expect: trailer name value               in order; not given: none
    expect: end                              the request came to its end
    expect: need-data                      last of all: or closed, or error CODE STATUS
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import ModuleType
from typing import Any

from picocorn.base.errors import RemoteProtocolError
from picocorn.base.limits import HTTP1Limits
from picocorn.http1.events import CLOSED, DATA, END, HEAD, NEED_DATA

__all__ = ["CORPUS", "Case", "Request", "Transcript", "escape", "files", "read", "run", "unescape"]

CORPUS = Path(__file__).parent / "corpus" / "http1"

_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_UNESCAPES = {ord(char): "\\" + name for name, char in _ESCAPES.items()}
_LIMITS = {limit.name for limit in fields(HTTP1Limits)}


def unescape(text: str) -> bytes:
    """The bytes that `text` of a corpus file stands for."""

    def one(match: re.Match[str]) -> str:
        if match[1]:
            return chr(int(match[1], 16))
        return _ESCAPES[match[2]]

    return re.sub(r"\\(?:x([0-9a-f]{2})|(.))", one, text).encode("latin-1")


def escape(data: bytes) -> str:
    """`data` as a corpus file writes it; blanks at the ends as \\x20, so that no editor eats them."""
    text = "".join(_UNESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}") for byte in data)
    for blank in (r"^ ", r" $"):
        text = re.sub(blank, r"\\x20", text)
    return text


@dataclass
class Request:
    """One request, as expected (None: not stated) or as parsed (nothing is None)."""

    head: tuple[bytes, bytes, bytes]
    path: tuple[bytes, bytes] | None = None
    fields: list[tuple[bytes, bytes]] | None = None
    framing: str | None = None
    keep_alive: bool | None = None
    expect_continue: bool | None = None
    upgrade: bytes | None = None
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    complete: bool = False


@dataclass
class Transcript:
    """What a parser made of a stream: the requests and the last word on it ("need-data", "closed", "error CODE STATUS")."""

    requests: list[Request] = field(default_factory=list)
    verdict: str = ""
    #: a HEAD has begun that has no end: what is answered has no content
    is_head: bool = False


@dataclass
class Case:
    """One case of the corpus."""

    name: str
    file: str
    rule: str = ""
    limits: dict[str, int] = field(default_factory=dict)
    input: bytes = b""
    eof: bool = False
    expected: Transcript = field(default_factory=Transcript)

    def check(self, got: Transcript) -> None:
        """Assert that `got` is what the case expects, in what the case states."""
        assert got.verdict == self.expected.verdict, f"{self.name}: {got.requests}"
        assert len(got.requests) == len(self.expected.requests), self.name
        for number, (expected, parsed) in enumerate(zip(self.expected.requests, got.requests, strict=True)):
            for slot in fields(Request):
                stated = getattr(expected, slot.name)
                if stated is not None:
                    assert getattr(parsed, slot.name) == stated, f"{self.name}: {slot.name} of request {number}"


# -- reading -----------------------------------------------------------------------------------------------------------


def files() -> list[Path]:
    return sorted(CORPUS.glob("*.txt"))


def read(path: Path) -> Iterator[Case]:
    """Every case of one file; a malformed file is a ValueError with its line."""
    case: Case | None = None
    for number, line in enumerate(path.read_text(encoding="ascii").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        try:
            key, value = _split(line)
            if key == "case":
                if case is not None:
                    yield _finished(case)
                case = Case(value, path.name)
            elif case is None:
                raise ValueError("no case yet")
            else:
                _line(case, key, value)
        except (ValueError, KeyError, IndexError) as error:
            raise ValueError(f"{path.name}:{number}: {line!r}: {error}") from error
    if case is not None:
        yield _finished(case)


def _split(line: str) -> tuple[str, str]:
    key, colon, value = line.partition(":")
    if not colon:
        raise ValueError("no colon")
    return key, value.removeprefix(" ")


def _finished(case: Case) -> Case:
    if not case.rule or not case.expected.verdict or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", case.name):
        raise ValueError(f"{case.file}: case {case.name!r} is without rule or verdict, or its name is not kebab-case")
    return case


def _line(case: Case, key: str, value: str) -> None:
    if key == "rule":
        case.rule = value
    elif key == "limits":
        for pair in value.split():
            name, _, number = pair.partition("=")
            if name not in _LIMITS:
                raise ValueError(f"no limit {name}")
            case.limits[name] = int(number)
    elif key == "eof":
        case.eof = {"yes": True, "no": False}[value]
    elif key == "expect":
        if case.expected.verdict:
            raise ValueError("after the final verdict")
        _expect(case.expected, *value.partition(" ")[::2])
    elif (match := re.fullmatch(r"input(?:\*([0-9]+))?", key)) is not None:
        case.input += unescape(value) * int(match[1] or 1)
    else:
        raise ValueError(f"no such key: {key}")


def _expect(expected: Transcript, word: str, value: str) -> None:
    if word in ("need-data", "closed", "error"):
        expected.verdict = f"{word} {value}".rstrip()
        return
    if word == "head":
        method, target, version = value.split(" ")
        expected.requests.append(Request((method.encode(), unescape(target), version.encode())))
        return
    request = expected.requests[-1]
    if request.complete:
        raise ValueError("after the request's end")
    first, _, rest = value.partition(" ")
    if word == "path":
        request.path = (unescape(first), unescape(rest))
    elif word == "field":
        request.fields = [*(request.fields or ()), (unescape(first), unescape(rest))]
    elif word == "framing":
        request.framing = value
    elif word == "keep-alive":
        request.keep_alive = {"yes": True, "no": False}[value]
    elif word == "continue":
        request.expect_continue = {"yes": True, "no": False}[value]
    elif word == "upgrade":
        request.upgrade = unescape(value)
    elif (match := re.fullmatch(r"body(?:\*([0-9]+))?", word)) is not None:
        request.body += unescape(value) * int(match[1] or 1)
    elif word == "trailer":
        request.trailers.append((unescape(first), unescape(rest)))
    elif word == "end":
        request.complete = True
    else:
        raise ValueError(f"no such expectation: {word}")


# -- running -----------------------------------------------------------------------------------------------------------


def _parsed(head: Any) -> Request:
    length = head.content_length
    assert not (head.chunked and length != -1)
    return Request(
        head=(head.method.encode(), head.target, head.http_version.encode()),
        path=(head.raw_path, head.query_string),
        fields=head.headers,
        framing="chunked" if head.chunked else "none" if length == -1 else f"length {length}",
        keep_alive=head.keep_alive,
        expect_continue=head.expect_continue,
        upgrade=head.upgrade,
    )


def run(parser_module: ModuleType, pieces: Iterable[bytes], eof: bool, limits: dict[str, int]) -> Transcript:
    """What the RequestParser of `parser_module` makes of a stream that comes in these pieces."""
    parser = parser_module.RequestParser(HTTP1Limits(**limits))
    got = Transcript()
    try:
        for piece in pieces:
            parser.feed(piece)
            _drain(parser, got)
        if eof:
            parser.feed_eof()
            _drain(parser, got)
        if not got.verdict:
            _drain(parser, got)
    except RemoteProtocolError as error:
        got.verdict = f"error {error.code} {error.status_hint}"
    got.is_head = parser.begun_is_head()
    return got


def _drain(parser: Any, got: Transcript) -> None:
    while True:
        event = parser.next_event()
        if event == HEAD:
            got.requests.append(_parsed(parser.head))
        elif event == DATA:
            assert parser.data, "a DATA event without data"
            assert type(parser.data) is bytes
            got.requests[-1].body += parser.data
        elif event == END:
            got.requests[-1].trailers = list(parser.trailers)
            got.requests[-1].complete = True
        else:
            got.verdict = {NEED_DATA: "need-data", CLOSED: "closed"}[event]
            return
