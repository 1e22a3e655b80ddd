"""What the TLS connections of one server share. Knows no certificate: contexts come from whoever makes them."""

from __future__ import annotations

import asyncio
import dataclasses
import ssl
from collections.abc import Callable
from typing import Any

__all__ = ["TLSSettings"]


@dataclasses.dataclass(frozen=True, slots=True)
class TLSSettings:
    """The seam between the server and whatever does TLS: `tls.TLSConnection` over the standard library's `ssl`, for now."""

    loop: asyncio.AbstractEventLoop
    #: the context for a new connection; asked once for each
    context: Callable[[], ssl.SSLContext]
    #: the factory of the protocol that ALPN has led to (str), or that there is without (None)
    protocol: Callable[[str | None], Callable[[], Any]]
    #: what to tell somebody who does not speak TLS: a whole response of HTTP/1.1
    plain_answer: bytes
    #: for the handshake, from the connection on; 0 means for ever
    handshake_seconds: float
    #: for a client to take some of what is queued when its connection is closed; 0 means for ever
    shutdown_seconds: float
    #: the connections of the server: one stands among them until its handshake is done
    connections: set[Any]
