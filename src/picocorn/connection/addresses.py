"""Addresses of a connection and of a request, in the form that scopes and logs use. Knows transports only by `get_extra_info`."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

__all__ = [
    "get_client_addr",
    "get_local_addr",
    "get_path_with_query_string",
    "get_remote_addr",
    "internet_address",
    "is_ssl",
    "local_address",
]


def internet_address(address: Any) -> tuple[str, int] | None:
    """(host, port) of an internet socket's address; None of a Unix socket's (asgi H11)."""
    if type(address) is tuple and len(address) == 2 and type(address[0]) is str and type(address[1]) is int:
        return address  # as both transports give it: once a connection, so this road is short
    if isinstance(address, (list, tuple)) and len(address) >= 2:
        return str(address[0]), int(address[1])
    return None


def local_address(address: Any) -> tuple[str, int | None] | None:
    """(host, port), or (path, None) of a Unix socket; None where there is no name (asgi H11)."""
    if isinstance(address, tuple):
        return internet_address(address)
    if isinstance(address, bytes):
        # Linux's abstract names start with NUL and are no paths; a scope has text.
        address = address.decode("utf-8", "replace")
    if isinstance(address, str):
        return (address, None) if address else None
    return internet_address(address)


def get_remote_addr(transport: Any) -> tuple[str, int] | None:
    """(host, port) of the peer; None on a Unix socket or when it is not known."""
    address = _asked(transport, "getpeername") or transport.get_extra_info("peername")
    return internet_address(address)


def get_local_addr(transport: Any) -> tuple[str, int | None] | None:
    """(host, port) that the peer connected to, (path, None) on a Unix socket, None when it is not known."""
    address = _asked(transport, "getsockname") or transport.get_extra_info("sockname")
    if isinstance(address, list | tuple) and len(address) >= 2:
        return str(address[0]), int(address[1])
    if isinstance(address, str) and address:
        return address, None
    return None


def _asked(transport: Any, method: str) -> Any:
    sock = transport.get_extra_info("socket")
    if sock is None:
        return None
    try:
        return getattr(sock, method)()
    except OSError:
        # Gone already: what the transport remembers is the next best.
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
