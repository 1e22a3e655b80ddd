"""What of a certificate a server needs to read itself: its names, for SNI, and its subject as text. Verifies nothing.

Certificates come as DER (X.690) from files that the administrator has chosen, or from `ssl` once they are verified; what
cannot be read raises ValueError. Sources: RFC 5280 4.1, RFC 4514.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

__all__ = ["Certificate", "read_certificate"]

_INTEGER_VERSION = 0xA0
_EXTENSIONS = 0xA3
_SEQUENCE = 0x30
_OID, _BOOLEAN, _OCTETS = 0x06, 0x01, 0x04
_DNS_NAME, _IP_ADDRESS = 0x82, 0x87
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")
_COMMON_NAME = bytes.fromhex("550403")

#: The names that everybody has to know (RFC 4514 3), by OID.
_SHORT_NAMES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550409"): "STREET",
    bytes.fromhex("0992268993f22c640119"): "DC",
    bytes.fromhex("0992268993f22c640101"): "UID",
}
#: Of the character strings that a name may be made of (X.680), by tag.
_CODECS = {
    0x0C: "utf-8",
    0x12: "ascii",
    0x13: "ascii",
    0x14: "latin-1",
    0x16: "ascii",
    0x1A: "ascii",
    0x1C: "utf-32-be",
    0x1E: "utf-16-be",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, as far as it is read here."""

    #: the subject, as RFC 4514 writes it
    subject: str
    #: DNS names it is for, in lower case; a wildcard begins with "*."
    dns_names: tuple[str, ...]
    #: IP addresses it is for, packed
    addresses: tuple[bytes, ...]


def read_certificate(der: bytes) -> Certificate:
    """Read a certificate. Raises ValueError if it is none."""
    try:
        (_tag, certificate), *_ = _parts(der)
        (_tag, to_be_signed), *_ = _parts(certificate)
        parts = [part for part in _parts(to_be_signed) if part[0] != _INTEGER_VERSION]
        # serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo, and what is optional
        subject = list(_attributes(parts[4][1]))
        names = list(_alternative_names(parts[6:]))
    except (IndexError, ValueError) as error:
        raise ValueError(f"not a certificate: {error}") from None
    dns_names = [value.decode("ascii").lower() for tag, value in names if tag == _DNS_NAME]
    addresses = [value for tag, value in names if tag == _IP_ADDRESS]
    if not dns_names and not addresses:
        # As clients of old did (RFC 6125 6.4.4), and as self-made certificates still have it.
        common = [_text(tag, value) for relative in subject for oid, tag, value in relative if oid == _COMMON_NAME]
        dns_names = [name.lower() for name in common if name]
    return Certificate(_rfc4514(subject), tuple(dns_names), tuple(addresses))


# --- DER --------------------------------------------------------------------------------------------------------------


def _parts(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(tag, content) of each element in `data`."""
    at = 0
    while at < len(data):
        tag, size = data[at], data[at + 1]
        at += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + size > len(data):
            raise ValueError("an element is longer than what it is in")
        yield tag, data[at : at + size]
        at += size


def _attributes(name: bytes) -> Iterator[list[tuple[bytes, int, bytes]]]:
    """The relative names of a distinguished name: lists of (OID, tag, value)."""
    for _set, relative in _parts(name):
        found = []
        for _sequence, attribute in _parts(relative):
            (_oid, oid), (tag, value) = _parts(attribute)
            found.append((oid, tag, value))
        yield found


def _alternative_names(optional: list[tuple[int, bytes]]) -> Iterator[tuple[int, bytes]]:
    for tag, content in optional:
        if tag != _EXTENSIONS:
            continue
        for _outer, extensions in _parts(content):
            for _sequence, extension in _parts(extensions):
                (_oid, oid), *rest = _parts(extension)
                if oid == _SUBJECT_ALT_NAME:
                    for _outer, names in _parts(rest[-1][1]):
                        yield from _parts(names)


# --- RFC 4514 ---------------------------------------------------------------------------------------------------------


def _rfc4514(subject: list[list[tuple[bytes, int, bytes]]]) -> str:
    """Backwards, as LDAP has it (2.1)."""
    return ",".join("+".join(_attribute(*attribute) for attribute in relative) for relative in reversed(subject))


def _attribute(oid: bytes, tag: int, value: bytes) -> str:
    name, text = _SHORT_NAMES.get(oid), _text(tag, value)
    if name is None or text is None:
        # A type that has no name everybody knows: then its value is shown as it is encoded (2.4).
        size = bytes([len(value)]) if len(value) < 128 else b"\x82" + len(value).to_bytes(2, "big")
        return f"{name or _dotted(oid)}=#{(bytes([tag]) + size + value).hex()}"
    return f"{name}={_escaped(text)}"


def _text(tag: int, value: bytes) -> str | None:
    codec = _CODECS.get(tag)
    try:
        return None if codec is None else value.decode(codec)
    except UnicodeDecodeError:
        return None


def _escaped(text: str) -> str:
    """2.4: what means something in a name, and blanks at the ends."""
    out = "".join("\\00" if char == "\0" else f"\\{char}" if char in '\\"+,;<>' else char for char in text)
    if out.startswith((" ", "#")):
        out = f"\\{out}"
    if out.endswith(" ") and len(text) > 1:
        out = f"{out[:-1]}\\ "
    return out


def _dotted(oid: bytes) -> str:
    first, numbers, number = True, [], 0
    for byte in oid:
        number = number << 7 | byte & 0x7F
        if byte & 0x80:
            continue
        if first:
            top = min(number // 40, 2)
            numbers += [top, number - 40 * top]
            first = False
        else:
            numbers.append(number)
        number = 0
    return ".".join(map(str, numbers))
