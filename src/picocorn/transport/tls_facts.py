"""What is agreed on and shown in a handshake, read from the standard library's objects. Knows TLS; nothing of ASGI."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ssl
from typing import Any

from .x509 import read_certificate

__all__ = ["TLSFacts", "read_facts"]

#: What `SSLObject.version()` says -> the number on the wire (RFC 8446 4.2.1).
_VERSIONS = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}


@dataclasses.dataclass(frozen=True, slots=True)
class TLSFacts:
    """One connection's TLS."""

    version: int | None
    #: the number on the wire, as in IANA's registry
    cipher_suite: int | None
    #: PEM, the client's own first, each signed by the next; empty if the client has shown none
    client_chain: tuple[str, ...]
    #: the subject of the client's certificate (RFC 4514)
    client_name: str | None


def read_facts(tls: Any) -> TLSFacts:
    """The facts of `tls` (ssl.SSLObject), whose handshake is done."""
    cipher = tls.cipher()
    chain = _client_chain(tls)
    name = None
    if chain:
        # Whatever the client's certificate is like, it has been accepted.
        with contextlib.suppress(ValueError):
            name = read_certificate(chain[0]).subject
    return TLSFacts(
        version=_VERSIONS.get(tls.version()),
        cipher_suite=None if cipher is None else _cipher_suites().get(cipher[0]),
        client_chain=tuple(map(ssl.DER_cert_to_PEM_cert, chain)),
        client_name=name,
    )


def _client_chain(tls: Any) -> list[bytes]:
    """DER of the chain that the client has shown and we have verified: none of our own, and none that does not belong to it."""
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return []
    shown = _chain(tls, "get_unverified_chain")
    verified = [der for der in _chain(tls, "get_verified_chain") if der in shown]
    # A session that is resumed remembers no more than the client's own.
    return verified or [leaf]


def _chain(tls: Any, method: str) -> list[bytes]:
    get = getattr(tls, method, None)
    if get is not None:  # from Python 3.13 on
        return list(get() or ())
    # There since 3.10, and not public yet.
    certificates = getattr(tls._sslobj, method)() or ()
    return [certificate.public_bytes(ssl._ssl.ENCODING_DER) for certificate in certificates]  # type: ignore[attr-defined]


@functools.cache
def _cipher_suites() -> dict[str, int]:
    """Names as OpenSSL has them -> numbers on the wire, of every suite that it knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    return {cipher["name"]: cipher["id"] & 0xFFFF for cipher in context.get_ciphers()}
