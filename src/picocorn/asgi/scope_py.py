"""Builds the `http` scope of a request from its head (asgi H1-H14). Pure body; knows no socket and no connection.

Everything that stays the same on one server is prepared once in a template.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_to_bytes

from ..base.request_head_py import RequestHead
from .scope_template import SPEC_VERSION, scope_template

__all__ = ["ScopeBuilder"]


class ScopeBuilder:
    """Makes the scopes of one server's requests.

    `app_state` is the lifespan state (dict), copied shallowly into each scope (asgi H12); `extensions` are the names of the ASGI
    extensions that the wire can carry.
    """

    __slots__ = ("_app_state", "_asgi", "_extensions", "_root_path", "_root_path_bytes", "_template")

    def __init__(
        self, *, scheme: str, root_path: str, app_state: dict[str, Any], asgi_version: str, extensions: tuple[str, ...]
    ) -> None:
        self._app_state = app_state
        self._asgi = {"version": asgi_version, "spec_version": SPEC_VERSION}
        self._extensions = extensions
        self._root_path = root_path
        self._root_path_bytes = root_path.encode("utf-8")
        self._template = scope_template(scheme, root_path)

    def build(self, head: RequestHead, client: tuple[str, int] | None, server: tuple[str, int | None] | None) -> dict[str, Any]:
        """Return a new scope for `head`. Every dict and list in it is the request's own (asgi C11).

        `client` and `server` are (str, int) address tuples, (str, None) for a Unix socket, or None.
        """
        raw_path = head.raw_path
        # RFC 3986 2.1; bytes that are no UTF-8 become U+FFFD, as in uvicorn: the exact bytes stay in raw_path.
        path = unquote_to_bytes(raw_path).decode("utf-8", "replace") if b"%" in raw_path else raw_path.decode("ascii")
        # "*" is no path (RFC 9112 3.2.4), so nothing is put in front of it.
        if self._root_path and raw_path != b"*":
            path = self._root_path + path
            raw_path = self._root_path_bytes + raw_path
        scope = self._template.copy()
        scope["asgi"] = self._asgi.copy()
        scope["http_version"] = head.http_version
        scope["server"] = server
        scope["client"] = client
        scope["method"] = head.method
        scope["path"] = path
        scope["raw_path"] = raw_path
        scope["query_string"] = head.query_string
        scope["headers"] = head.headers
        scope["state"] = self._app_state.copy()
        scope["extensions"] = {name: {} for name in self._extensions}
        return scope
