"""What a line of the access log tells of a request, as text that is safe to print. Knows scopes, no `logging`."""

from __future__ import annotations

from typing import Any

from .addresses import get_client_addr, get_path_with_query_string

__all__ = ["request_parts"]


def _printable(text: str) -> str:
    """`text` with what a terminal could obey, or a reader could take for a new line, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def request_parts(scope: dict[str, Any]) -> tuple[str, str, str, str]:
    """(client_addr, method, path, http_version) of a request, as uvicorn's log records have them."""
    client = get_client_addr(scope)
    if not client.isprintable():
        # From X-Forwarded-For, which may hold any byte above 0x7F: 0x9B starts a terminal sequence.
        client = _printable(client)
    path = get_path_with_query_string(scope)
    if not path.isprintable():
        path = _printable(path)
    return client, scope["method"], path, scope["http_version"]
