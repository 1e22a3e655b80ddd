"""X-Forwarded-For and X-Forwarded-Proto: whom to believe, and what that changes in a scope. Knows no socket.

The connection asks `TrustedHosts` once per connection and calls `rewrite_scope` per request; `ProxyHeadersMiddleware` does
the same around any application.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Iterable
from functools import lru_cache
from typing import Any

__all__ = ["ProxyHeadersMiddleware", "TrustedHosts", "rewrite_scope"]

#: Verdicts remembered per `TrustedHosts`: peers and forwarded clients repeat.
CACHED_HOSTS = 4096
#: No host name is longer (RFC 1035 2.3.4). What is longer is made up by a client, and must not fill the cache.
MAX_CACHED_HOST_LENGTH = 253

SCHEMES = frozenset(("http", "https", "ws", "wss"))

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        # A dual-stack socket shows IPv4 peers this way (RFC 4291 2.5.5.2).
        return address.ipv4_mapped
    return address


class TrustedHosts:
    """The hosts whose X-Forwarded-* fields are believed.

    `value` is a list of strings or one string with commas: IP addresses, networks ("10.0.0.0/8"), anything else is compared
    as it stands (host names, socket paths). "*" trusts everybody, also peers without an address. `host in trusted` takes a
    str or None.
    """

    def __init__(self, value: str | Iterable[str]) -> None:
        items = value.split(",") if isinstance(value, str) else list(value)
        items = [item.strip() for item in items]
        self.always = "*" in items
        self._addresses: set[_Address] = set()
        self._networks: list[_Network] = []
        #: what is neither an address nor a network
        self.literals: set[str] = set()
        for item in items:
            self._add(item)
        self._cached = lru_cache(maxsize=CACHED_HOSTS)(self._trusts)

    def _add(self, item: str) -> None:
        address = _address(item)
        if address is not None:
            self._addresses.add(address)
        elif item and "/" in item:
            try:
                self._networks.append(ipaddress.ip_network(item))
            except ValueError:
                # Paths have slashes too; a network with host bits set is no network.
                self.literals.add(item)
        elif item:
            self.literals.add(item)

    def __contains__(self, host: str | None) -> bool:
        if self.always:
            return True
        if not host:
            return False
        if len(host) > MAX_CACHED_HOST_LENGTH:
            return self._trusts(host)
        return self._cached(host)

    def _trusts(self, host: str) -> bool:
        address = _address(host)
        if address is None:
            return host in self.literals
        return address in self._addresses or any(address in network for network in self._networks)

    def client_address(self, forwarded_for: str) -> tuple[str, int]:
        """The client that a joined X-Forwarded-For value speaks of, as (host, port); host "" when it names none.

        Each proxy appends the peer it saw, so the list is walked from the right: the first host that is not one of ours is
        the client. When all are ours, or all are trusted, it is the leftmost.
        """
        hops = [_host_and_port(hop) for hop in forwarded_for.split(",")]
        if not self.always:
            for host, port in reversed(hops):
                if host not in self:
                    return host, port
        return hops[0]


def _host_and_port(hop: str) -> tuple[str, int]:
    """Split "host", "host:port", "[v6]", "[v6]:port" or "v6"; a port that is none belongs to the host, or is 0."""
    hop = hop.strip()
    if hop.startswith("["):
        host, bracket, rest = hop[1:].partition("]")
        if bracket:
            return host, _port(rest[1:]) if rest.startswith(":") else 0
        return hop, 0
    host, colon, digits = hop.partition(":")
    if colon and ":" not in digits and digits.isascii() and digits.isdigit():
        return host, _port(digits)
    return hop, 0


def _port(digits: str) -> int:
    # Beyond 65535 it is no port (RFC 9110 4.2.1); 0 says "not known", as where there is none.
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 5:
        return 0
    port = int(digits)
    return port if port <= 65535 else 0


def rewrite_scope(scope: dict[str, Any], trusted: TrustedHosts) -> None:
    """Put scheme and client of `scope` as the proxies tell. Only for a peer that is in `trusted`; changes `scope` in place."""
    protocol: bytes | None = None
    forwarded_for: list[bytes] | None = None
    for name, value in scope["headers"]:
        if name == b"x-forwarded-proto":
            protocol = value
        elif name == b"x-forwarded-for":
            if forwarded_for is None:
                forwarded_for = [value]
            else:
                forwarded_for.append(value)
    if protocol is not None:
        scheme = protocol.decode("latin-1").strip()
        if scheme in SCHEMES:
            scope["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
    if forwarded_for is not None:
        host, port = trusted.client_address(b", ".join(forwarded_for).decode("latin-1"))
        if host:
            scope["client"] = (host, port)


class ProxyHeadersMiddleware:
    """ASGI middleware that believes the X-Forwarded-* fields of trusted peers. Changes `scope["scheme"]` and `["client"]`."""

    def __init__(self, app: Callable[..., Awaitable[None]], trusted_hosts: list[str] | str = "127.0.0.1") -> None:
        self.app = app
        self.trusted_hosts = TrustedHosts(trusted_hosts)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Rewrite the scope if its client is trusted, then run the application."""
        if scope["type"] in ("http", "websocket"):
            client = scope.get("client")
            if (client[0] if client else None) in self.trusted_hosts:
                rewrite_scope(scope, self.trusted_hosts)
        await self.app(scope, receive, send)
