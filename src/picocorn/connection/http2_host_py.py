"""What a stream of HTTP/2 may ask of the connection that it is part of. An interface only, over what all connections have.

Stands between `http2_stream_py.py` and `http2_py.py`, which would have to know each other without it. The text is compiled a
second time as `http2_host_c`, where the methods become entries of a C function table.
"""

from __future__ import annotations

from typing import Any

from ..base.request_head_py import RequestHead
from ..http2.session_py import HTTP2Session, SessionHandler
from .context_py import ConnectionContext
from .stream_py import StreamConnection

__all__ = ["StreamHost"]


class StreamHost(StreamConnection):
    """A connection with streams. Application code runs inside none of these methods."""

    __slots__ = ("abandoned_tasks", "held_turns", "is_plain", "kept_bytes", "session", "streams", "unheard")

    def __init__(self, context: ConnectionContext, handler: SessionHandler) -> None:
        StreamConnection.__init__(self, context)
        #: the engine, which tells `handler`; NO_SESSION once the connection is lost
        self.session: HTTP2Session = context.new_http2_session(handler, context.http2_limits)
        #: open streams by their numbers: HTTP2Stream
        self.streams: dict[int, Any] = {}
        #: streams that are over, and whose applications go on giving content to a HEAD
        self.unheard: set[Any] = set()
        #: calls of the application that still run, though their streams have been reset
        self.abandoned_tasks = 0
        #: turns at whose end the window was held (`holds_window`)
        self.held_turns = 0
        #: complete content that such calls, and those of a lost connection, were not given yet
        self.kept_bytes = 0
        #: no task factory stands in the loop; see TaskStarter
        self.is_plain = True

    def note(self, stream: Any) -> None:
        """Have `stream.go_on()` called soon, outside of everything."""
        raise NotImplementedError

    def flush_soon(self) -> None:
        """Something is queued in the session: send it in this turn of the loop, or with the next."""
        raise NotImplementedError

    def holds_window(self) -> bool:
        """Whether content that nobody has read takes up so much of the connection's window that the peer may have to wait."""
        raise NotImplementedError

    def release(self, size_bytes: int) -> None:
        """So much of `kept_bytes` is held no longer."""
        raise NotImplementedError

    def scope_of(self, head: RequestHead, may_push: bool) -> dict[str, Any]:
        """A new `http` scope."""
        raise NotImplementedError

    def promise(self, stream_id: int, head: RequestHead, authority: bytes) -> None:
        """Promise the response to `head`, which has no Host, on a stream of the peer's; begin that request if it is wanted."""
        raise NotImplementedError
