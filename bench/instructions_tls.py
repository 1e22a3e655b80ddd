"""The TLS of recorded conversations: a server side like that of a server with default settings, and a client in memory."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import tls_certificate
from picocorn.transport.tls_settings import TLSSettings

__all__ = ["Client", "encrypted"]

#: Next to the bytecode: like that it is made by the first run, which is not counted, and is no part of the repository.
FOLDER = Path(__file__).parent / "__pycache__"


def encrypted(loop: Any, room: Callable[[str], ModuleType], factory: Callable[[], Any]) -> Callable[[], Any]:
    """What makes TLS connections that have one of `factory` behind them."""
    pair = tls_certificate.pair(FOLDER)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    settings = TLSSettings(
        loop=loop,
        context=lambda: context,
        protocol=lambda _name: factory,
        plain_answer=b"",
        handshake_seconds=0,
        shutdown_seconds=0,
        connections=set(),
    )
    connection_class = room("transport.tls").TLSConnection
    return lambda: connection_class(settings)


class Client:
    """Speaks TLS 1.3 with the suite that both sides prefer."""

    def __init__(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out)

    def shake_hands(self, received: bytes = b"") -> bytes:
        """What the client says next; nothing at the end, behind which session tickets come."""
        self._in.write(received)
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.do_handshake()
        return self._out.read()

    def said(self, request: bytes, count: int) -> Iterator[bytes]:
        """`request`, encrypted `count` times before the first of them is given out."""
        records = []
        for _ in range(count):
            self._tls.write(request)
            records.append(self._out.read())
        return iter(records)

    def heard(self, received: bytes) -> bytes:
        """What the server has said."""
        self._in.write(received)
        return self._tls.read(65536)
