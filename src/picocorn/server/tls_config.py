"""The options about TLS, checked against each other. Reads no file; knows no connection."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..base.errors import ConfigError
from .binding import addresses_of

if TYPE_CHECKING:
    from .config import Config

__all__ = ["settle_tls"]


def settle_tls(config: Config) -> None:
    """Set `config.ssl_pairs`: (certificate, key or None) for each certificate, the first for who names no server.

    Raises ConfigError.
    """
    certificates, keys = _paths(config.ssl_certfile), _paths(config.ssl_keyfile)
    if keys and not certificates:
        raise ConfigError("Invalid value for '--ssl-keyfile': it needs --ssl-certfile.")
    if keys and len(keys) != len(certificates):
        raise ConfigError(
            f"Invalid value for '--ssl-keyfile': there are {len(keys)} for {len(certificates)} of --ssl-certfile; "
            "give one for each, in the same order, or none if the keys stand with the certificates."
        )
    config.ssl_pairs = list(zip(certificates, keys or (None for _ in certificates), strict=True))
    for flag, value in (("--hsts", config.hsts), ("--redirect-http", config.redirect_http)):
        if value is not None and not config.is_ssl:
            raise ConfigError(f"Invalid value for '{flag}': it needs --ssl-certfile.")
    if any(address.kind == "tcp" and address.port == config.redirect_http for address in addresses_of(config)):
        raise ConfigError(f"Invalid value for '--redirect-http': {config.redirect_http} is the port of https.")
    if config.ssl_cert_reqs not in (0, 1, 2):
        raise ConfigError(f"Invalid value for '--ssl-cert-reqs': {config.ssl_cert_reqs} is none of 0, 1 and 2.")
    if config.ssl_cert_reqs and not config.ssl_ca_certs and config.ssl_context_factory is None:
        raise ConfigError(
            "Invalid value for '--ssl-cert-reqs': it needs --ssl-ca-certs, or no client could show one that counts."
        )


def _paths(value: Any) -> list[str]:
    """One path, or several."""
    if value is None or value == "":
        return []
    if isinstance(value, str | os.PathLike):
        value = [value]
    return [os.fspath(path) for path in value]
