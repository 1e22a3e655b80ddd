"""What a field section says about the message: host, framing, persistence, expectation, upgrade. Pure Python.

Knows no buffer and no parser state: name-value pairs go in, one decision comes out, or the RemoteProtocolError of the
first rule that is broken, in the order in which `verdicts.py` lists them. The native twin does this in C
(`csrc/http1_framing.c`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ..base.authority import is_valid_host
from ..base.limits import MAX_INT63
from .verdicts import remote_error

__all__ = ["FRAMING_FIELDS", "Framing", "decide", "split_absolute_form", "transfer_encoding_verdict"]

#: Fields that `decide` looks at; a parser need not hand over any other.
FRAMING_FIELDS = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"expect",
        b"upgrade",
        b"x-forwarded-for",
        b"x-forwarded-proto",
    )
)

_ABSOLUTE_FORM = re.compile(rb"[Hh][Tt][Tt][Pp][Ss]?://([^/?]*)([^?]*)(?:\?(.*))?", re.DOTALL)
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OWS = b" \t"
# 2^63-1 has 19 digits; int() on more than 4300 of them is refused by the interpreter with an error of its own.
_MAX_DIGITS = len(str(MAX_INT63))


class Framing(NamedTuple):
    """The decision. Field by field what `RequestHead` shows under the same names."""

    content_length: int = -1
    chunked: bool = False
    keep_alive: bool = True
    expect_continue: bool = False
    upgrade: bytes = b""
    forwarded: bool = False


def split_absolute_form(target: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Authority, path and query of an absolute-form target (RFC 9112 3.2.2); None unless it is a valid http(s) URI."""
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None or not is_valid_host(match[1]):
        return None
    return match[1], match[2] or b"/", match[3] or b""


def transfer_encoding_verdict(value: bytes) -> str:
    """The code of what is wrong with the (joined) Transfer-Encoding value, or "" when it is exactly chunked.

    A broken list is 400, a well-formed one with a coding we do not have is 501 (RFC 9112 6.1 and 6.3).
    """
    codings = [coding.strip(_OWS).lower() for coding in value.split(b",")]
    if any(_TOKEN.fullmatch(coding) is None for coding in codings) or b"chunked" in codings[:-1]:
        return "TRANSFER_ENCODING"
    return "" if codings == [b"chunked"] else "TRANSFER_CODING_UNKNOWN"


def _list_has(value: bytes, token: bytes) -> bool:
    return any(member.strip(_OWS) == token for member in value.lower().split(b","))


def _content_length(values: list[bytes]) -> int:
    if len(values) > 1:
        raise remote_error("CONTENT_LENGTH_DUPLICATE")
    # isdigit() on bytes knows ASCII digits only, unlike str.isdigit() and int().
    digits = values[0].lstrip(b"0") or values[0][-1:]
    if not digits.isdigit() or len(digits) > _MAX_DIGITS or (length := int(digits)) > MAX_INT63:
        raise remote_error("CONTENT_LENGTH")
    return length


def _judge_host(hosts: list[bytes], http11: bool) -> None:
    if not hosts:
        if http11:
            raise remote_error("HOST_MISSING")
    elif len(hosts) > 1:
        raise remote_error("HOST_DUPLICATE")
    elif hosts[0] and not is_valid_host(hosts[0]):
        raise remote_error("HOST")


def decide(fields: list[tuple[bytes, bytes]], http11: bool, body_limit_bytes: int) -> Framing:
    """What the field section says. `fields`: (lower-cased name, trimmed value); `body_limit_bytes` 0 means unlimited.

    Raises RemoteProtocolError with the code of the first rule broken (RFC 9112 3.2, 6.1, 6.3; RFC 9110 10.1.1).
    """
    if len(fields) == 1 and fields[0][0] == b"host":
        # Most requests say no more than this.
        _judge_host([fields[0][1]], http11)
        return _PLAIN[http11]
    by_name: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        by_name.setdefault(name, []).append(value)
    _judge_host(by_name.pop(b"host", []), http11)
    if not by_name:
        return _PLAIN[http11]
    content_length = -1
    codings = by_name.get(b"transfer-encoding")
    if codings:
        if not http11:
            raise remote_error("TRANSFER_ENCODING_HTTP10")
        if code := transfer_encoding_verdict(b",".join(codings)):
            raise remote_error(code)
    if lengths := by_name.get(b"content-length"):
        content_length = _content_length(lengths)
        if codings:
            raise remote_error("TRANSFER_ENCODING_AND_LENGTH")
    expectations = by_name.get(b"expect") if http11 else None
    if expectations and any(expectation.lower() != b"100-continue" for expectation in expectations):
        raise remote_error("EXPECTATION")
    if content_length > body_limit_bytes > 0:
        raise remote_error("BODY_TOO_LARGE")
    connection = b",".join(by_name.get(b"connection", ()))
    upgrades = by_name.get(b"upgrade") if http11 else None
    return Framing(
        content_length=content_length,
        chunked=bool(codings),
        # HTTP/1.0 never persists: the same rule as uvicorn's, and no peer is known to miss it.
        keep_alive=http11 and not (connection and _list_has(connection, b"close")),
        expect_continue=bool(expectations) and (content_length > 0 or bool(codings)),
        upgrade=b", ".join(upgrades) if upgrades and _list_has(connection, b"upgrade") else b"",
        forwarded=b"x-forwarded-for" in by_name or b"x-forwarded-proto" in by_name,
    )


_PLAIN = (Framing(keep_alive=False), Framing())
