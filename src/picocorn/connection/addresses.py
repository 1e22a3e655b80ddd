"""Addresses of a connection and of a request, in the form that scopes and logs use. Knows transports only by `get_extra_info`."""

from __future__ import annotations

import socket
from typing import Any
from urllib.parse import quote

__all__ = ["get_client_addr", "get_local_addr", "get_path_with_query_string", "get_remote_addr", "is_ssl"]


def get_remote_addr(transport: Any) -> tuple[str, int] | None:
    """(host, port) of the peer; None on a Unix socket or when it is not known."""
    sock = transport.get_extra_info("socket")
    address: Any = None
    if sock is not None:
        try:
            address = sock.getpeername()
        except OSError:
            # Gone already: what the transport remembers is the next best.
            address = None
    if address is None:
        address = transport.get_extra_info("peername")
    if isinstance(address, list | tuple) and len(address) >= 2:
        return str(address[0]), int(address[1])
    return None


def get_local_addr(transport: Any) -> tuple[str, int | None] | None:
    """(host, port) that the peer connected to, (path, None) on a Unix socket, None when it is not known."""
    sock = transport.get_extra_info("socket")
    address = sock.getsockname() if sock is not None else transport.get_extra_info("sockname")
    if isinstance(address, list | tuple) and len(address) >= 2:
        return str(address[0]), int(address[1])
    unix = sock is not None and sock.family == getattr(socket, "AF_UNIX", None)
    if isinstance(address, str) and (address or unix):
        return address, None
    return None


def is_ssl(transport: Any) -> bool:
    """Whether the connection is encrypted."""
    return bool(transport.get_extra_info("sslcontext"))


def get_client_addr(scope: Any) -> str:
    """ "host:port" of the scope's client, "" when there is none."""
    client = scope.get("client")
    return f"{client[0]}:{client[1]}" if client else ""


def get_path_with_query_string(scope: Any) -> str:
    """The path, percent-encoded anew, and the query string as sent."""
    path = quote(scope["path"])
    query_string = scope["query_string"]
    if query_string:
        return f"{path}?{query_string.decode('latin-1')}"
    return path
