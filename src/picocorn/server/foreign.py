"""Protocol classes written for uvicorn, in the place of ours. Knows how uvicorn makes and drives them, no socket.

For a whole connection (`--http`) that is done where sockets are listened on; here are those that take over at an upgrade.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

__all__ = ["ForeignWebSocket"]

logger = logging.getLogger("picocorn.error")


class ForeignWebSocket:
    """Hands a connection on to `protocol_class`, which reads the handshake anew and answers it by itself."""

    def __init__(
        self, protocol_class: Any, config: Any, state: Any, app_state: dict[str, Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        self._protocol_class = protocol_class
        self._arguments = {"config": config, "server_state": state, "app_state": app_state, "_loop": loop}

    def take_over(
        self, transport: Any, conn: Any, head: Any, handshake: Any, scope: dict[str, Any], rest: bytes, eof: bool
    ) -> None:
        """See `connection.websocket_http1.WebSocketProtocol`."""
        try:
            protocol = self._protocol_class(**self._arguments)
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(_request_bytes(head))
            if rest:
                protocol.data_received(rest)
            if eof:
                protocol.eof_received()
        except Exception:
            # Nobody else would close what nobody has taken over.
            logger.exception("Error in the WebSocket protocol class %r.", self._protocol_class)
            transport.abort()


def _request_bytes(head: Any) -> bytes:
    """The request once more, as it may have been sent: names in lower case, and the target's authority as the host."""
    lines = [b"%b %b HTTP/1.1" % (head.method.encode(), head.target)]
    lines += [b"%b: %b" % field for field in head.headers]
    return b"\r\n".join((*lines, b"", b""))
