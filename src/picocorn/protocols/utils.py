"""A door for code that knew uvicorn's layout (`uvicorn.protocols.utils`)."""

from __future__ import annotations

from ..base.errors import ClientDisconnected
from ..connection.addresses import get_client_addr, get_local_addr, get_path_with_query_string, get_remote_addr, is_ssl

__all__ = [
    "ClientDisconnected",
    "get_client_addr",
    "get_local_addr",
    "get_path_with_query_string",
    "get_remote_addr",
    "is_ssl",
]
