"""TLS between a listener and the protocols behind it: the settings of its connections, and whom ALPN leads to. Opens nothing."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..transport import tls, tls_py
from ..transport.tls_settings import TLSSettings

if TYPE_CHECKING:
    from ..connection.context import ServerState
    from .config import Config

__all__ = ["over_tls"]

_PLAIN_TEXT = b"This port speaks HTTPS, and this request came without encryption: use https:// instead of http://.\n"
_PLAIN_ANSWER = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b"
) % (len(_PLAIN_TEXT), _PLAIN_TEXT)


def over_tls(
    config: Config, state: ServerState, factory: Callable[[], Any], by_alpn: Mapping[str, Callable[[], Any]], is_pure: bool
) -> Callable[[], Any]:
    """A factory of protocols that speak TLS, and then what ALPN has led to: one of `by_alpn`, or what `factory` makes."""
    settings = TLSSettings(
        loop=asyncio.get_running_loop(),
        context=config.ssl_certificates.context,
        protocol=lambda name: by_alpn.get(name or "", factory),
        plain_answer=_PLAIN_ANSWER,
        handshake_seconds=config.ssl_handshake_timeout,
        shutdown_seconds=config.ssl_shutdown_timeout,
        connections=state.connections,
    )
    return functools.partial(tls_py.TLSConnection if is_pure else tls.TLSConnection, settings)
