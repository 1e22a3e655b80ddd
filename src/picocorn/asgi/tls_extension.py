"""The `tls` extension (ASGI X8): its keys, filled from what is known of a connection. Knows neither sockets nor certificates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["tls_extension"]


def tls_extension(
    *,
    server_cert: str | None,
    client_chain: Sequence[str],
    client_name: str | None,
    version: int | None,
    cipher_suite: int | None,
) -> dict[str, Any]:
    """The value of `scope["extensions"]["tls"]`, for one connection: requests are to have copies, of the chain as well.

    Certificates are PEM. `client_cert_error` is always None: a client whose certificate is not accepted gets no further than the
    handshake.
    """
    return {
        "server_cert": server_cert,
        "client_cert_chain": list(client_chain),
        "client_cert_name": client_name,
        "client_cert_error": None,
        "tls_version": version,
        "cipher_suite": cipher_suite,
    }
