"""The grammar of the lines of a request head: request line and field line. Pure Python.

Knows no buffer, no limits on sizes and no framing: one line with its LF goes in, what it says comes out, or the verdict on
it. `HEAD` is the same grammar once more as one expression for a whole head; what it matches needs no second look, and what
it does not match is judged line by line here. The native twin does this in C (`csrc/http1_request.c`).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .framing_py import split_absolute_form
from .verdicts import remote_error

__all__ = [
    "HEAD",
    "METHOD_BYTES",
    "TCHAR",
    "RequestLine",
    "field_line_verdict",
    "read_request_line",
    "split_field_block",
    "split_field_line",
    "split_target",
]

#: Longer methods than this are 501 (RFC 9112 3); the longest registered one has 17 letters.
METHOD_BYTES = 32

_TCHAR = rb"!#$%&'*+\-.^_`|~0-9A-Za-z"
# Any byte but the controls; HTAB is allowed (RFC 9110 5.5), and so are bytes from 0x80 on (obs-text).
_VALUE = rb"[^\x00-\x08\x0a-\x1f\x7f]"
# 0x21-0x7E without "#": a fragment is never sent (RFC 9112 3.2).
_TARGET = rb"[!\"$-~]"

#: The characters of a token, as byte values (RFC 9110 5.6.2).
TCHAR = frozenset(byte for byte in range(256) if re.fullmatch(rb"[%b]" % _TCHAR, bytes((byte,))))

# Possessive repeats throughout: no input makes these backtrack.
#: A whole well-formed head: method, target, minor version, field lines.
HEAD = re.compile(
    rb"([%b]{1,%d}+) (%b++) HTTP/1\.([01])\r\n((?:[%b]++:%b*+\r\n)*+)\r\n" % (_TCHAR, METHOD_BYTES, _TARGET, _TCHAR, _VALUE)
)
_FIELD_LINE = re.compile(rb"[%b]++(:%b*+\r\n)?" % (_TCHAR, _VALUE))
_FIELD_NAME = re.compile(rb"[%b]++:" % _TCHAR)
_METHOD = re.compile(rb"[%b]++" % _TCHAR)
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_VISIBLE = re.compile(rb"%b++" % _TARGET)


class RequestLine(NamedTuple):
    """What a request line says. `authority` is None unless the target is in absolute-form."""

    method: str
    target: bytes
    raw_path: bytes
    query_string: bytes
    authority: bytes | None
    http11: bool


def split_target(method: str, target: bytes) -> tuple[bytes, bytes, bytes | None]:
    """Path, query and authority of a target made of allowed bytes (RFC 9112 3.2).

    Raises RemoteProtocolError CONNECT_REFUSED or TARGET.
    """
    if method == "CONNECT":
        raise remote_error("CONNECT_REFUSED")
    if target.startswith(b"/"):
        path, _, query = target.partition(b"?")
        return path, query, None
    if target == b"*" and method == "OPTIONS":
        return target, b"", None
    parts = split_absolute_form(target)
    if parts is None:
        raise remote_error("TARGET")
    authority, path, query = parts
    return path, query, authority


def line_ending_is_wrong(line: bytes) -> bool:
    """Whether a line (up to its LF, the only one in it) has anything but a single CR right before the LF (RFC 9112 2.2)."""
    return not line.endswith(b"\r\n") or line.find(b"\r") != len(line) - 2


def read_request_line(line: bytes) -> RequestLine:
    """What the request line says. `line` reaches up to its LF, the only one in it.

    Raises RemoteProtocolError with the first rule broken, in the order of `verdicts.py`.
    """
    if line_ending_is_wrong(line):
        raise remote_error("LINE_ENDING")
    parts = line[:-2].split(b" ")
    name = parts[0]
    if len(parts) > 1:
        if _METHOD.fullmatch(name) is None:
            raise remote_error("METHOD")
        if len(name) > METHOD_BYTES:
            raise remote_error("METHOD_TOO_LONG")
    if len(parts) != 3:
        raise remote_error("REQUEST_LINE")
    _, target, version = parts
    if _VERSION.fullmatch(version) is None:
        raise remote_error("VERSION")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise remote_error("VERSION_NOT_SUPPORTED")
    method = name.decode("ascii").upper()
    if method != "CONNECT" and _VISIBLE.fullmatch(target) is None:
        raise remote_error("TARGET")
    raw_path, query_string, authority = split_target(method, target)
    return RequestLine(method, target, raw_path, query_string, authority, version == b"HTTP/1.1")


def field_line_verdict(line: bytes) -> str:
    """The code of what is wrong with a field line (up to its LF, the only one in it), or ""."""
    match = _FIELD_LINE.match(line)
    if match is not None and match[1] is not None:
        return ""
    if line_ending_is_wrong(line):
        return "LINE_ENDING"
    if line[0] in b" \t":
        return "OBS_FOLD"
    return "FIELD_NAME" if _FIELD_NAME.match(line) is None else "FIELD_VALUE"


def split_field_line(line: bytes) -> tuple[bytes, bytes]:
    """Lower-cased name and trimmed value of a field line that has been judged (RFC 9110 5.1, 5.5)."""
    name, _, value = line.partition(b":")
    return name.lower(), value.strip(b" \t\r\n")


def split_field_block(block: bytes) -> list[tuple[bytes, bytes]]:
    """`split_field_line` of each line of a block that has been judged, without a call for each."""
    lines = block.split(b"\r\n")
    del lines[-1]
    return [(name.lower(), value.strip(b" \t")) for name, _, value in [line.partition(b":") for line in lines]]
