"""The plain listener beside a TLS one: every request is told to come again by https, if it names a host that is served there.

Which host that is, the certificates say: a redirect to whatever the client has written would lead anywhere. Knows ASGI and the
names of certificates; no socket beyond its port.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..connection.context import ServerState
    from .config import Config
    from .tls_certificates import Certificates

__all__ = ["Redirect", "https_port", "is_redirecting"]

HTTPS_PORT = 443
_NAME = re.compile(r"[0-9a-z]([0-9a-z_.-]{0,252})", re.IGNORECASE | re.ASCII)
_HSTS = b"strict-transport-security"


def is_redirecting(config: Config, sock: socket.socket) -> bool:
    """Whether `sock` is the plain listener's."""
    return (
        config.redirect_http is not None
        and sock.family in (socket.AF_INET, socket.AF_INET6)
        and sock.getsockname()[1] == config.redirect_http
    )


def https_port(sockets: Iterable[socket.socket]) -> int:
    """The port to send people to: 443 if it is among those of `sockets`, or there is none."""
    ports = [sock.getsockname()[1] for sock in sockets if sock.family in (socket.AF_INET, socket.AF_INET6)]
    return HTTPS_PORT if HTTPS_PORT in ports or not ports else int(ports[0])


class Redirect:
    """The ASGI application of the plain listener. `port` is that of https."""

    def __init__(self, certificates: Certificates, state: ServerState, port: int) -> None:
        self._certificates = certificates
        self._state = state
        self._port = port

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """308 (RFC 9110 15.4.9), or 421 (15.5.20) for a host that is not served."""
        # Strict-Transport-Security over plain HTTP means nothing, and must not be sent (RFC 6797 7.2).
        headers = [field for field in self._state.default_headers if field[0] != _HSTS]
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        target = scope["raw_path"]
        if target.startswith(b"/") and self._is_served(host):
            status, body = 308, b""
            if scope["query_string"]:
                target += b"?" + scope["query_string"]
            headers.append((b"location", b"https://" + self._authority(host).encode("ascii") + target))
        else:
            status, body = 421, b"This host is not served here.\n"
            headers.append((b"content-type", b"text/plain; charset=utf-8"))
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _is_served(self, host: str) -> bool:
        name, _port = _split(host)
        try:
            return self._certificates.has_address(ipaddress.ip_address(name).packed)
        except ValueError:
            return _NAME.fullmatch(name) is not None and self._certificates.has_name(name)

    def _authority(self, host: str) -> str:
        name, _port = _split(host)
        shown = f"[{name}]" if ":" in name else name
        return shown if self._port == HTTPS_PORT else f"{shown}:{self._port}"


def _split(host: str) -> tuple[str, str]:
    """Name and port of a Host field."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name, port
    name, _, port = host.partition(":")
    return name, port
