"""The opening handshake of a client (RFC 6455 4.2, RFC 8441 5): is this request one, and what does it ask for.

Knows the head of a request by the attributes it needs, not who has parsed it; writes no response.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Protocol

from ..base.errors import RemoteProtocolError
from .extensions import is_token, parse_extensions

__all__ = [
    "HANDSHAKE_VERDICTS",
    "VERSION",
    "Handshake",
    "Head",
    "accept_value",
    "check_extended_connect",
    "check_handshake",
    "wants_websocket",
]

#: The one version there is (RFC 6455 4.2.1), as the field that a refusal with 426 says it in.
VERSION = b"13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
# RFC 6455 4.3: 0 to 255 without leading zeros.
_is_version = re.compile(rb"[0-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]").fullmatch

#: What may be held against a handshake, in the order of judgement: code -> status and message.
HANDSHAKE_VERDICTS: dict[str, tuple[int, str]] = {
    "HANDSHAKE_HTTP_VERSION": (400, "WebSocket handshake is not HTTP/1.1 (RFC 6455 4.2.1)"),
    "HANDSHAKE_METHOD": (400, "WebSocket handshake is not GET (RFC 6455 4.2.1)"),
    "HANDSHAKE_UPGRADE": (400, "Connection does not name Upgrade, or Upgrade does not name websocket (RFC 6455 4.2.1)"),
    "HANDSHAKE_CONTENT": (400, "WebSocket handshake has content (RFC 6455 4.1)"),
    "HANDSHAKE_VERSION_MISSING": (400, "Sec-WebSocket-Version is missing (RFC 6455 4.2.1)"),
    "HANDSHAKE_VERSION_DUPLICATE": (400, "there is more than one Sec-WebSocket-Version (RFC 6455 11.3.5)"),
    "HANDSHAKE_VERSION": (400, "Sec-WebSocket-Version is not a number from 0 to 255 (RFC 6455 4.3)"),
    "HANDSHAKE_VERSION_NOT_SUPPORTED": (426, "Sec-WebSocket-Version is not 13 (RFC 6455 4.4)"),
    "HANDSHAKE_KEY_MISSING": (400, "Sec-WebSocket-Key is missing (RFC 6455 4.2.1)"),
    "HANDSHAKE_KEY_DUPLICATE": (400, "there is more than one Sec-WebSocket-Key (RFC 6455 11.3.1)"),
    "HANDSHAKE_KEY": (400, "Sec-WebSocket-Key is not base64 of 16 bytes (RFC 6455 4.2.1)"),
    "HANDSHAKE_PROTOCOL": (400, "Sec-WebSocket-Protocol is not a list of different tokens (RFC 6455 4.1)"),
    "HANDSHAKE_EXTENSIONS": (400, "Sec-WebSocket-Extensions is not a list of extensions (RFC 6455 9.1)"),
}


class Head(Protocol):
    """What of the head of a request a handshake depends on; see `RequestHead` of the HTTP/1 parser."""

    method: str
    http_version: str
    headers: list[tuple[bytes, bytes]]
    content_length: int
    chunked: bool
    upgrade: bytes


@dataclass(slots=True)
class Handshake:
    """A handshake that may be accepted."""

    #: the value of Sec-WebSocket-Key, for `accept_value`; empty where the handshake has none (RFC 8441 5)
    key: bytes
    #: as offered, in the client's order of preference
    subprotocols: list[str]
    #: the values of all Sec-WebSocket-Extensions fields, for `negotiate`
    extension_offers: list[bytes]


def wants_websocket(head: Head) -> bool:
    """Whether a request is meant as a WebSocket handshake, well-formed or not: `check_handshake` tells.

    Over HTTP/1.0, where there is no Upgrade (RFC 9110 7.8), the field counts by itself, so that the client is told.
    """
    if head.upgrade:
        return _names_websocket(head.upgrade)
    return head.http_version == "1.0" and any(name == b"upgrade" and _names_websocket(value) for name, value in head.headers)


def check_handshake(head: Head) -> Handshake:
    """What the request asks for (RFC 6455 4.2.1).

    Raises RemoteProtocolError with a code of `HANDSHAKE_VERDICTS` and its status: 426 for a version other than 13, whose
    answer has to name 13 (RFC 6455 4.4), 400 for the rest.
    """
    if head.http_version != "1.1":
        raise _refusal("HANDSHAKE_HTTP_VERSION")
    if head.method != "GET":
        raise _refusal("HANDSHAKE_METHOD")
    if not _names_websocket(head.upgrade):
        raise _refusal("HANDSHAKE_UPGRADE")
    if head.content_length > 0 or head.chunked:
        raise _refusal("HANDSHAKE_CONTENT")
    key, keys, protocols, offers = _read_fields(head)
    if keys != 1:
        raise _refusal("HANDSHAKE_KEY_DUPLICATE" if keys else "HANDSHAKE_KEY_MISSING")
    _judge_key(key)
    return _handshake(key, protocols, offers)


def check_extended_connect(head: Head) -> Handshake:
    """What an extended CONNECT for `websocket` asks for (RFC 8441 5): as `check_handshake`, without Upgrade and key."""
    if head.content_length > 0:
        raise _refusal("HANDSHAKE_CONTENT")
    _key, _keys, protocols, offers = _read_fields(head)
    return _handshake(b"", protocols, offers)


def _read_fields(head: Head) -> tuple[bytes, int, list[bytes], list[bytes]]:
    """The key, how many there are, the values of protocols and of extensions. Raises for the version."""
    version = key = b""
    versions = keys = 0
    protocols: list[bytes] = []
    offers: list[bytes] = []
    # One pass over all fields: a short-lived socket pays for its handshake more than for anything else.
    for name, value in head.headers:
        if not name.startswith(b"sec-websocket-"):
            continue
        if name == b"sec-websocket-key":
            keys += 1
            key = value
        elif name == b"sec-websocket-version":
            versions += 1
            version = value
        elif name == b"sec-websocket-protocol":
            protocols.append(value)
        elif name == b"sec-websocket-extensions":
            offers.append(value)
    if versions != 1:
        raise _refusal("HANDSHAKE_VERSION_DUPLICATE" if versions else "HANDSHAKE_VERSION_MISSING")
    if version != VERSION:
        raise _refusal("HANDSHAKE_VERSION" if _is_version(version) is None else "HANDSHAKE_VERSION_NOT_SUPPORTED")
    return key, keys, protocols, offers


def _handshake(key: bytes, protocols: list[bytes], offers: list[bytes]) -> Handshake:
    subprotocols = _subprotocols(protocols) if protocols else []
    for offer in offers:
        if parse_extensions(offer) is None:
            raise _refusal("HANDSHAKE_EXTENSIONS")
    return Handshake(key, subprotocols, offers)


def accept_value(key: bytes) -> bytes:
    """The value of Sec-WebSocket-Accept that answers this Sec-WebSocket-Key (RFC 6455 4.2.2)."""
    return binascii.b2a_base64(hashlib.sha1(key + _GUID, usedforsecurity=False).digest(), newline=False)


def _refusal(code: str) -> RemoteProtocolError:
    status, message = HANDSHAKE_VERDICTS[code]
    return RemoteProtocolError(message, status_hint=status, code=code)


def _names_websocket(upgrade: bytes) -> bool:
    value = upgrade.lower()
    return value == b"websocket" or any(member.strip(b" \t") == b"websocket" for member in value.split(b","))


def _judge_key(key: bytes) -> None:
    try:
        nonce = binascii.a2b_base64(key, strict_mode=True)
    except binascii.Error:
        raise _refusal("HANDSHAKE_KEY") from None
    if len(nonce) != _KEY_BYTES:
        raise _refusal("HANDSHAKE_KEY")


def _subprotocols(values: list[bytes]) -> list[str]:
    # One list in several fields is the same list (RFC 6455 11.3.4); empty elements are skipped (RFC 9110 5.6.1.2).
    members = [member for value in values for part in value.split(b",") if (member := part.strip(b" \t"))]
    if not all(is_token(member) for member in members) or len(set(members)) < len(members):
        raise _refusal("HANDSHAKE_PROTOCOL")
    return [member.decode("ascii") for member in members]
