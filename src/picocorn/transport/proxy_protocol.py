"""The header of the PROXY protocol, versions 1 and 2: bytes in, addresses out. Knows no socket beyond the text of addresses.

Source: the specification that HAProxy publishes ("The PROXY protocol, Versions 1 & 2"); section numbers are its own. Whether a
peer is to send a header, and what becomes of one that sends another thing, is decided where connections begin (preface.py).
"""

from __future__ import annotations

import dataclasses
import functools
import socket
from typing import Any

from ..base.errors import RemoteProtocolError

__all__ = ["LONGEST_HEADER_BYTES", "ProxyHeader", "ProxyHeaderReader"]

_SIGNATURE_1 = b"PROXY "
_SIGNATURE_2 = b"\r\n\r\n\0\r\nQUIT\n"
#: With its CRLF (2.1): no line is longer, so that a receiver need not look further.
_LONGEST_LINE_BYTES = 107
_FIXED_BYTES = 16
#: Addresses take 216 bytes at most. The rest is room for extensions: a client certificate may be among them.
LONGEST_HEADER_BYTES = 16 * 1024

_LOCAL = 0x20
_PROXY = 0x21
#: Address family and transport protocol (2.2) -> bytes of the address block.
_STREAMS = {0x00: 0, 0x11: 12, 0x21: 36, 0x31: 216}
_INET, _INET6, _UNIX = 0x11, 0x21, 0x31
_PATH_BYTES = 108

_TYPE_CRC32C = 0x03
_TYPE_SSL = 0x20
_CLIENT_SSL = 0x01


@dataclasses.dataclass(frozen=True, slots=True)
class ProxyHeader:
    """What a proxy says of the connection that it passes on.

    Addresses are as the `socket` module has them: (host, port), or the path of a Unix socket, "" where it has none. Both are None
    if the connection is the proxy's own (LOCAL, UNKNOWN): then those of the socket are right.
    """

    source: tuple[str, int] | str | None = None
    destination: tuple[str, int] | str | None = None
    #: the client has come to the proxy over TLS; None if the header does not say
    over_tls: bool | None = None


class ProxyHeaderReader:
    """Reads one header from the beginning of a stream, in whatever pieces it comes."""

    __slots__ = ("_data", "rest")

    def __init__(self) -> None:
        self._data = bytearray()
        #: what has come behind the header; there once that is read
        self.rest = b""

    def feed(self, data: bytes) -> ProxyHeader | None:
        """The header once it is complete, None until then. Raises RemoteProtocolError for anything that is none."""
        self._data += data
        signature = _SIGNATURE_2 if self._data[:1] == b"\r" else _SIGNATURE_1
        begun = bytes(self._data[: len(signature)])
        if not signature.startswith(begun):
            raise _wrong("no PROXY protocol header")
        if len(begun) < len(signature):
            return None
        size = self._size_of_line() if signature is _SIGNATURE_1 else self._size_of_block()
        if not size or len(self._data) < size:
            return None
        header = bytes(self._data[:size])
        self.rest = bytes(self._data[size:])
        self._data.clear()
        return _read_line(header[:-2]) if signature is _SIGNATURE_1 else _read_block(header)

    def is_begun(self) -> bool:
        """Whether anything has come."""
        return bool(self._data)

    def _size_of_line(self) -> int:
        """Of a header of version 1 with its CRLF, 0 while that has not come."""
        end = self._data.find(b"\n", 0, _LONGEST_LINE_BYTES)
        if end < 0 and len(self._data) >= _LONGEST_LINE_BYTES:
            raise _wrong(f"its line is longer than {_LONGEST_LINE_BYTES} bytes")
        if end >= 0 and self._data[end - 1] != ord("\r"):
            raise _wrong("its line does not end with CR LF")
        return end + 1

    def _size_of_block(self) -> int:
        """Of a header of version 2, 0 while its length has not come."""
        if len(self._data) < _FIXED_BYTES:
            return 0
        size = _FIXED_BYTES + int.from_bytes(self._data[14:16], "big")
        if size > LONGEST_HEADER_BYTES:
            raise _wrong(f"it is longer than {LONGEST_HEADER_BYTES} bytes")
        return size


def _wrong(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(what, code="PROXY_HEADER")


# --- version 1 --------------------------------------------------------------------------------------------------------


def _read_line(line: bytes) -> ProxyHeader:
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":
        # "The receiver must ignore anything presented before the CRLF" (2.1).
        return ProxyHeader()
    family = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}.get(words[1])
    if family is None or len(words) != 6:
        raise _wrong("its line is neither TCP4 nor TCP6 with two addresses and two ports, nor UNKNOWN")
    source, destination = (_text_address(family, word) for word in words[2:4])
    return ProxyHeader((source, _text_port(words[4])), (destination, _text_port(words[5])))


def _text_address(family: socket.AddressFamily, word: bytes) -> str:
    try:
        # There and back: one spelling for each address.
        return socket.inet_ntop(family, socket.inet_pton(family, word.decode("ascii")))
    except (OSError, ValueError):
        raise _wrong(f"{word.decode('latin-1')!r} is not an address of its family") from None


def _text_port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or (word.startswith(b"0") and word != b"0") or int(word) > 65535:
        raise _wrong(f"{word.decode('latin-1')!r} is no port")
    return int(word)


# --- version 2 --------------------------------------------------------------------------------------------------------


def _read_block(header: bytes) -> ProxyHeader:
    command, family = header[12], header[13]
    if command == _LOCAL:
        # A health check of the proxy's, as a rule. Family and addresses are not to be looked at (2.2).
        return ProxyHeader()
    if command != _PROXY:
        raise _wrong(f"version and command are 0x{command:02x}")
    size = _STREAMS.get(family)
    if size is None:
        raise _wrong(f"0x{family:02x} is no family of streams")
    end = _FIXED_BYTES + size
    if len(header) < end:
        raise _wrong("it is too short for its addresses")
    over_tls = _read_extensions(header, end)
    if not size:
        return ProxyHeader(over_tls=over_tls)
    source, destination = _addresses(family, header[_FIXED_BYTES:end])
    return ProxyHeader(source, destination, over_tls)


def _addresses(family: int, block: bytes) -> tuple[Any, Any]:
    if family == _UNIX:
        return _path(block[:_PATH_BYTES]), _path(block[_PATH_BYTES:])
    size, kind = (4, socket.AF_INET) if family == _INET else (16, socket.AF_INET6)
    ports = block[2 * size :]
    return (
        (socket.inet_ntop(kind, block[:size]), int.from_bytes(ports[:2], "big")),
        (socket.inet_ntop(kind, block[size : 2 * size]), int.from_bytes(ports[2:4], "big")),
    )


def _path(field: bytes) -> str:
    return field.split(b"\0", 1)[0].decode("utf-8", "replace")


def _read_extensions(header: bytes, start: int) -> bool | None:
    """Look through the TLVs (2.2.1 to 2.2.7). Returns whether the client speaks TLS to the proxy, None if none says so."""
    over_tls = None
    while start < len(header):
        value = start + 3
        size = int.from_bytes(header[start + 1 : value], "big")
        if value > len(header) or value + size > len(header):
            raise _wrong("an extension is longer than what is left of it")
        if header[start] == _TYPE_CRC32C:
            _check_sum(header, value, size)
        elif header[start] == _TYPE_SSL:
            if size < 5:
                raise _wrong("its extension about TLS is too short")
            over_tls = bool(header[value] & _CLIENT_SSL)
        start = value + size
    return over_tls


def _check_sum(header: bytes, start: int, size: int) -> None:
    """The sum is over the whole header, with zeros in the place of the sum itself (2.2.3)."""
    if size != 4 or _crc32c(header[:start] + bytes(4) + header[start + 4 :]) != int.from_bytes(header[start : start + 4], "big"):
        raise _wrong("its checksum does not match")


@functools.cache
def _crc32c_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


def _crc32c(data: bytes) -> int:
    """CRC-32C (RFC 3720 B.4), which `zlib` does not have."""
    table = _crc32c_table()
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF
