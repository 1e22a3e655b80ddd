"""The grammar of Sec-WebSocket-Extensions (RFC 6455 9.1) and of tokens. Knows no extension."""

from __future__ import annotations

import re

__all__ = ["Extension", "is_token", "parse_extensions"]

#: Name and parameters in order; a parameter without a value has None.
Extension = tuple[bytes, list[tuple[bytes, bytes | None]]]

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
is_token = re.compile(_TOKEN).fullmatch
_NAME = re.compile(rb"[ \t]*+(%b)[ \t]*+" % _TOKEN)
# A quoted value must be a token once it is unquoted (RFC 6455 9.1), so nothing but a token and backslashes can stand there.
_PARAMETER = re.compile(
    rb";[ \t]*+(%b)[ \t]*+(?:=[ \t]*+(?:(%b)|\"((?:\\?[!#$%%&'*+\-.^_`|~0-9A-Za-z])++)\")[ \t]*+)?" % (_TOKEN, _TOKEN)
)
_EMPTY_ELEMENTS = re.compile(rb"[ \t,]*+")


def parse_extensions(value: bytes) -> list[Extension] | None:
    """The extensions of one field value in order; None when it is not what RFC 6455 9.1 says. Empty elements are skipped."""
    extensions: list[Extension] = []
    pos = _end(_EMPTY_ELEMENTS.match(value))
    while pos < len(value):
        name = _NAME.match(value, pos)
        if name is None:
            return None
        pos = name.end()
        parameters: list[tuple[bytes, bytes | None]] = []
        while (parameter := _PARAMETER.match(value, pos)) is not None:
            pos = parameter.end()
            quoted = parameter[3]
            parameters.append((parameter[1], quoted.replace(b"\\", b"") if quoted else parameter[2]))
        extensions.append((name[1], parameters))
        if pos < len(value):
            if value[pos] != 0x2C:
                return None
            pos = _end(_EMPTY_ELEMENTS.match(value, pos))
    return extensions


def _end(match: re.Match[bytes] | None) -> int:
    assert match is not None  # the pattern matches the empty string too
    return match.end()
