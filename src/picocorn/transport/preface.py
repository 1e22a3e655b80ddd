"""What comes on a connection before its own protocol: the PROXY protocol's header. Hands the connection on once that is read.

Knows transports and asyncio's callbacks; not what the protocol behind it speaks, TLS or HTTP.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from typing import Any, Protocol

from ..base.errors import RemoteProtocolError
from .extra_info import with_extra_info
from .proxy_protocol import ProxyHeader, ProxyHeaderReader

__all__ = ["UNIX_PEER", "ProxyPreface", "ProxySettings"]

logger = logging.getLogger("picocorn.error")

#: What stands for the peers of a Unix socket among trusted addresses, as with nginx.
UNIX_PEER = "unix:"


class TrustedPeers(Protocol):
    """A set of addresses."""

    def __contains__(self, host: str, /) -> bool: ...


@dataclasses.dataclass(frozen=True, slots=True)
class ProxySettings:
    """What the prefaces of one server share."""

    loop: asyncio.AbstractEventLoop
    #: addresses (str) of the peers that begin with a header, UNIX_PEER for those of Unix sockets
    trusted: TrustedPeers
    #: for the header to arrive
    timeout_seconds: float
    #: the connections of the server: a preface stands among them while it lasts
    connections: set[Any]


class ProxyPreface:
    """asyncio-style protocol that reads a header from a trusted peer, then leaves the connection to what `factory` makes.

    A trusted peer that sends anything but a header, or not in time, is cut off: its requests would be served under an address
    that is not its client's. Any other peer is served under its own address, and a header of its making is no request.
    """

    __slots__ = ("_factory", "_is_shutting_down", "_reader", "_settings", "_timer", "transport")

    def __init__(self, settings: ProxySettings, factory: Callable[[], Any]) -> None:
        self._settings = settings
        self._factory = factory
        self._reader = ProxyHeaderReader()
        self._timer: asyncio.TimerHandle | None = None
        self._is_shutting_down = False
        #: None before the connection is there, and once it is somebody else's
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """The connection is open."""
        settings = self._settings
        self.transport = transport
        if _host(transport) not in settings.trusted:
            self._hand_over(None)
            return
        settings.connections.add(self)
        self._timer = settings.loop.call_later(settings.timeout_seconds, self._late)

    def data_received(self, data: bytes) -> None:
        """Bytes have come in."""
        if self.transport is None or self.transport.is_closing():
            return
        try:
            header = self._reader.feed(data)
        except RemoteProtocolError as error:
            self._refuse(str(error))
            return
        if header is not None:
            self._hand_over(header)

    def eof_received(self) -> bool:
        """The peer has closed its side."""
        # One that connects and says nothing looks whether somebody listens.
        if self._reader.is_begun():
            self._refuse("it ended before the header did")
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone."""
        self._leave()

    def pause_writing(self) -> None:
        """Nothing is written here."""

    def resume_writing(self) -> None:
        """Nothing is written here."""

    def shutdown(self) -> None:
        """End the connection once it is served, or now if nothing has come yet."""
        self._is_shutting_down = True
        if self.transport is not None and not self._reader.is_begun():
            self.transport.abort()

    def disconnect(self) -> None:
        """End the connection now."""
        if self.transport is not None:
            self.transport.abort()

    def _late(self) -> None:
        self._timer = None
        self._refuse("the header did not arrive in time")

    def _refuse(self, why: str) -> None:
        if self.transport is not None and not self.transport.is_closing():
            logger.warning("Invalid PROXY protocol header from %s: %s. Connection closed.", _host(self.transport), why)
            self.transport.abort()

    def _leave(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._settings.connections.discard(self)
        self.transport = None

    def _hand_over(self, header: ProxyHeader | None) -> None:
        transport = self.transport
        self._leave()
        if header is not None:
            transport = with_extra_info(transport, _told(header))
        protocol = self._factory()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if self._reader.rest:
            protocol.data_received(self._reader.rest)
        if self._is_shutting_down:
            protocol.shutdown()


def _host(transport: Any) -> str:
    peer = transport.get_extra_info("peername")
    return peer[0] if isinstance(peer, tuple) else UNIX_PEER


def _told(header: ProxyHeader) -> dict[str, Any]:
    """What a header says, under the names of `get_extra_info`."""
    told: dict[str, Any] = {"proxy_header": header}
    if header.source is not None:
        told["peername"] = header.source
        told["sockname"] = header.destination
    return told
