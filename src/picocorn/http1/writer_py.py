"""The HTTP/1 response writer, pure Python: status, fields and content in, bytes out. Twin of `writer_c.pyx`.

The rules on what an application may send as fields are here too, for versions that do not write lines: `list_head`.

Mechanism only: it checks what the application hands over and serialises it. How the message is framed, whether the connection
stays open and which fields the server adds is policy and lives in `connection_py.py`. Knows no socket and no request.

Nothing is repaired: a name or value that could end a line or begin another is refused (RFC 9112 11.1, response splitting).
"""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn

from ..base.errors import LocalProtocolError
from ..base.limits import MAX_INT63

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CONNECTION_CLOSE",
    "LAST_CHUNK",
    "chunk",
    "content_length_line",
    "encode_fields",
    "encode_head",
    "join_message",
    "list_fields",
    "list_head",
]

#: Flag of `encode_head`: the application's Connection field lists "close".
CONNECTION_CLOSE = 1

#: Ends chunked content without trailers (RFC 9112 7.1).
LAST_CHUNK = b"0\r\n\r\n"

_REASONS = {status.value: status.phrase.encode("ascii") for status in HTTPStatus}
# The SP before an empty reason stays (RFC 9112 4).
_STATUS_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, _REASONS.get(status, b"")) for status in range(200, 600)}
_is_name = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]++").fullmatch
_has_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
# ASGI E5: the server frames the message, so it ignores an application's Transfer-Encoding.
_SPECIAL = frozenset((b"content-length", b"transfer-encoding", b"connection"))
#: Fields that other versions of HTTP do not have (RFC 9113 8.2.2).
_CONNECTION_SPECIFIC = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"))


def _refuse_shape(index: int, field: object) -> NoReturn:
    raise LocalProtocolError(f"header {index} is not a pair of bytes: {field!r}")


def _refuse(index: int, name: bytes, what: str) -> NoReturn:
    raise LocalProtocolError(f"header {index} ({name!r}): {what}")


def _pair(index: int, field: Iterable[object]) -> tuple[bytes, bytes]:
    """Name and value of one field, checked. Raises LocalProtocolError that says which field and what is wrong with it."""
    try:
        name, value = field
    except (TypeError, ValueError):
        _refuse_shape(index, field)
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        _refuse_shape(index, field)
    if _is_name(name) is None:
        _refuse(index, name, "the name is not a token (RFC 9110 5.6.2)")
    if _has_control(value) is not None:
        _refuse(index, name, f"the value has a control character (RFC 9110 5.5): {value!r}")
    return name, value


def _status_line(status: object) -> bytes:
    # An IntEnum member is an int and fits; a float that compares equal does not.
    if isinstance(status, int) and (line := _STATUS_LINES.get(status)):
        return line
    raise LocalProtocolError(f"status is not an integer from 200 to 599: {status!r}")


def _length(index: int, value: bytes, previous: int) -> int:
    if previous >= 0:
        _refuse(index, b"content-length", "there is more than one (RFC 9110 8.6)")
    # More digits than these are out of range, or are leading zeros that nobody needs.
    if not value.isdigit() or len(value) > 19 or (length := int(value)) > MAX_INT63:
        _refuse(index, b"content-length", f"the value is not a decimal number in range (RFC 9110 8.6): {value!r}")
    return length


def encode_head(status: int, headers: Iterable[Iterable[bytes]], default_fields: bytes) -> tuple[bytes, int, int]:
    """Status line, `default_fields` (ready-made lines) and the application's fields, without the final empty line.

    Returns (block, content_length, flags): the application's Content-Length or -1, and CONNECTION_CLOSE or 0.
    `headers` is any iterable of pairs (ASGI E3); their order is kept, Transfer-Encoding is left out (ASGI E5).
    Raises LocalProtocolError for a status outside 200..599, and for a field that is no pair of bytes, has an invalid name or
    a control character, or is a second or invalid Content-Length.
    """
    parts = [_status_line(status), default_fields]
    content_length = -1
    flags = 0
    for index, field in enumerate(_iterate(headers)):
        name, value = _pair(index, field)
        lowered = name.lower()
        if lowered in _SPECIAL:
            if lowered == b"transfer-encoding":
                continue
            if lowered == b"content-length":
                content_length = _length(index, value, content_length)
            elif any(member.strip(b" \t") == b"close" for member in value.lower().split(b",")):
                flags |= CONNECTION_CLOSE
        parts.append(b"%b: %b\r\n" % (name, value))
    return b"".join(parts), content_length, flags


def encode_fields(headers: Iterable[Iterable[bytes]]) -> bytes:
    """Field lines as they are, for trailers and for 103 (RFC 9112 7.1.2, RFC 8297). No empty line behind them.

    Raises LocalProtocolError as `encode_head` does for a field that is no pair of bytes or is invalid.
    """
    return b"".join([b"%b: %b\r\n" % _pair(index, field) for index, field in enumerate(_iterate(headers))])


def list_head(
    status: int, headers: Iterable[Iterable[bytes]], default_fields: list[tuple[bytes, bytes]]
) -> tuple[list[tuple[bytes, bytes]], int]:
    """What `encode_head` writes as lines, as a list for HTTP/2 and 3: (fields, the application's Content-Length or -1).

    Names are in lower case, values without whitespace around them, and fields about the connection are left out (RFC 9113 8.2).
    `default_fields` are that already. Raises LocalProtocolError as `encode_head` does.
    """
    _status_line(status)
    fields = default_fields.copy()
    content_length = -1
    for index, field in enumerate(_iterate(headers)):
        name, value = _pair(index, field)
        name = name.lower()
        if name == b"content-length":
            content_length = _length(index, value, content_length)
        if name not in _CONNECTION_SPECIFIC:
            fields.append((name, value.strip(b" \t")))
    return fields, content_length


def list_fields(headers: Iterable[Iterable[bytes]]) -> list[tuple[bytes, bytes]]:
    """What `encode_fields` writes as lines, as a list of the same form as `list_head`'s. Raises LocalProtocolError."""
    fields = []
    for index, field in enumerate(_iterate(headers)):
        name, value = _pair(index, field)
        name = name.lower()
        if name not in _CONNECTION_SPECIFIC:
            fields.append((name, value.strip(b" \t")))
    return fields


def _iterate(headers: Iterable[Iterable[bytes]]) -> Iterable[Iterable[bytes]]:
    try:
        return iter(headers)
    except TypeError:
        raise LocalProtocolError(f"headers are not an iterable of pairs: {headers!r}") from None


def chunk(data: bytes) -> bytes:
    """`data` as one chunk (RFC 9112 7.1). Empty data gives b"", because a chunk of size 0 would end the content."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def content_length_line(size_bytes: int) -> bytes:
    """The Content-Length field line for content of that size (RFC 9110 8.6)."""
    if size_bytes < 0:
        raise ValueError(f"content cannot have {size_bytes} bytes")
    return b"content-length: %d\r\n" % size_bytes


def join_message(block: bytes, more_lines: bytes, data: bytes) -> bytes:
    """A head (`encode_head`'s block, then `more_lines`, then the empty line) and content behind it, as one bytes object."""
    return b"".join((block, more_lines, b"\r\n", data))
