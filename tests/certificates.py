"""Certificates for tests, of authorities that exist for one run: made when first asked for, and told to clients and servers."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import Any

import trustme

__all__ = ["Pair", "authority", "child_authority", "client_context", "issued", "server_context", "write_pair"]

Pair = tuple[str, str]


@functools.cache
def authority() -> trustme.CA:
    """The authority that has signed everything here."""
    return trustme.CA()


@functools.cache
def child_authority() -> trustme.CA:
    """One that `authority` has signed: what it issues comes with a chain of two."""
    return authority().create_child_ca()


@functools.cache
def issued(*names: str) -> trustme.LeafCert:
    """A certificate for `names`."""
    return authority().issue_cert(*names)


def write_pair(folder: Path, *names: str, stem: str = "server", certificate: trustme.LeafCert | None = None) -> Pair:
    """Write a certificate with its chain, and its key, as PEM files; return their paths."""
    certificate = certificate or issued(*names)
    paths = folder / f"{stem}.pem", folder / f"{stem}.key"
    paths[0].write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    paths[1].write_bytes(certificate.private_key_pem.bytes())
    return str(paths[0]), str(paths[1])


def server_context(*names: str) -> ssl.SSLContext:
    """A context of the server's, without the server's options."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued(*(names or ("localhost",))).configure_cert(context)
    return context


def client_context(version: ssl.TLSVersion | None = None, certificate: Any = None, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
    """A context that trusts the authority of servers; `certificate` is what it shows itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if certificate is not None:
        certificate.configure_cert(context)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context
