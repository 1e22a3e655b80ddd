"""One log record per response, in the shape that uvicorn's users filter and format. Knows scopes and `logging`, nothing else."""

from __future__ import annotations

import logging
from typing import Any

from .addresses import get_client_addr, get_path_with_query_string

__all__ = ["AccessLog"]

#: `record.args` is (client_addr, method, path, http_version, status): formatters and filters out there unpack it.
FORMAT = '%s - "%s %s HTTP/%s" %d'


def _printable(text: str) -> str:
    """`text` with what a terminal could obey, or a reader could take for a new line, escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


class AccessLog:
    """Writes the access log to `logger`, at level INFO."""

    def __init__(self, logger: logging.Logger) -> None:
        self.logger = logger

    def log(self, scope: dict[str, Any], status: int) -> None:
        """Record that the request of `scope` is answered with `status`. Called when the response starts."""
        logger = self.logger
        if not logger.isEnabledFor(logging.INFO):
            return
        client = get_client_addr(scope)
        if not client.isprintable():
            # From X-Forwarded-For, which may hold any byte above 0x7F: 0x9B starts a terminal sequence.
            client = _printable(client)
        path = get_path_with_query_string(scope)
        if not path.isprintable():
            path = _printable(path)
        logger.info(FORMAT, client, scope["method"], path, scope["http_version"], status)
