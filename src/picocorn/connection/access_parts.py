"""What a line of a log tells of a request or a WebSocket, as text that is safe to print. Knows scopes, no `logging`."""

from __future__ import annotations

from typing import Any

from .addresses import get_client_addr, get_path_with_query_string

__all__ = ["client_and_path", "request_parts"]


def _printable(text: str) -> str:
    """`text` with what a terminal could obey, or a reader could take for a new line, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def client_and_path(scope: dict[str, Any]) -> tuple[str, str]:
    """(client_addr, path) of a request or a WebSocket; the path with its query."""
    client = get_client_addr(scope)
    if not client.isprintable():
        # From X-Forwarded-For, which may hold any byte above 0x7F: 0x9B starts a terminal sequence.
        client = _printable(client)
    path = get_path_with_query_string(scope)
    if not path.isprintable():
        path = _printable(path)
    return client, path


def request_parts(scope: dict[str, Any]) -> tuple[str, str, str, str]:
    """(client_addr, method, path, http_version) of a request, as uvicorn's log records have them."""
    client, path = client_and_path(scope)
    return client, scope["method"], path, scope["http_version"]
