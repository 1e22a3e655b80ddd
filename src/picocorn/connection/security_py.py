"""What a connection's transport knows about encryption, and what that changes in the scopes of its requests. Knows no request.

The text is compiled a second time as `security_c`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..asgi.tls_extension import tls_extension
from ..transport.tls_facts import TLSFacts, read_facts

__all__ = ["Security", "security_of"]


class Security:
    """Encryption of one connection; there only where there is some."""

    __slots__ = ("_extension",)

    def __init__(self, facts: TLSFacts | None, server_cert: str | None) -> None:
        #: for each request to have a copy of; None where TLS ends at a proxy
        self._extension: dict[str, Any] | None = None
        if facts is not None:
            self._extension = tls_extension(
                server_cert=server_cert,
                client_chain=facts.client_chain,
                client_name=facts.client_name,
                version=facts.version,
                cipher_suite=facts.cipher_suite,
            )

    def apply(self, scope: dict[str, Any]) -> None:
        """Change `scope` (of type http) in place."""
        scope["scheme"] = "https"
        if self._extension is not None:
            extension = self._extension.copy()
            extension["client_cert_chain"] = list(extension["client_cert_chain"])
            # A new dict: the scope builder gives the old one out again as long as nobody has changed it.
            extensions = scope["extensions"].copy()
            extensions["tls"] = extension
            scope["extensions"] = extensions


def security_of(transport: Any, server_cert_of: Callable[[Any], str | None] | None) -> Security | None:
    """How the connection of `transport` is encrypted, at this end or, as a proxy tells, at the client's; None if it is not.

    `server_cert_of` knows the certificate (PEM) of an `ssl.SSLContext`.
    """
    tls = transport.get_extra_info("ssl_object")
    if tls is not None:
        return Security(read_facts(tls), None if server_cert_of is None else server_cert_of(tls.context))
    header = transport.get_extra_info("proxy_header")
    if header is not None and header.over_tls:
        return Security(None, None)
    return None
