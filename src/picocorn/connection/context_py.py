"""What all connections of one server share: the application, its settings, counters and the fields of every response.

Built once by the server; knows no server, no command line and no socket. The text is compiled a second time as `context_c`.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..asgi.scope_py import ScopeBuilder
from ..asgi.tasks_py import TaskStarter
from ..base.limits import HTTP1Limits, HTTP2Limits, WebSocketLimits
from ..http1.writer_py import encode_fields, list_fields
from .timers_py import Timers
from .trace import is_tracing

if TYPE_CHECKING:
    from ..asgi.proxy_headers import TrustedHosts
    from .access_log_py import AccessLog

__all__ = ["ConnectionContext", "ServerState"]


#: The ASGI extensions that an HTTP/1.1 connection can carry.
HTTP1_EXTENSIONS = (
    "http.response.early_hint",
    "http.response.pathsend",
    "http.response.trailers",
    "http.response.zerocopysend",
)
#: A stream of HTTP/2 carries one more.
PUSH_EXTENSIONS = (*HTTP1_EXTENSIONS, "http.response.push")


class ServerState:
    """The live figures of one server, under uvicorn's names."""

    __slots__ = (
        "_default_headers",
        "connections",
        "default_fields",
        "default_pairs",
        "draining",
        "lent_bytes",
        "tasks",
        "total_requests",
        "winding_down",
    )

    def __init__(self) -> None:
        self.total_requests = 0
        #: every open connection's protocol
        self.connections: set[Any] = set()
        #: tasks of requests that did not finish at once
        self.tasks: set[asyncio.Task[None]] = set()
        #: the server is about to end: every response announces that its connection closes
        self.winding_down = False
        #: load balancers shall send their requests elsewhere: health checks are answered 503
        self.draining = False
        #: what windows of HTTP/2 connections have grown by
        self.lent_bytes = 0
        self._default_headers: list[tuple[bytes, bytes]] = []
        #: `default_headers` as bytes, encoded once a second rather than once a response
        self.default_fields = b""
        #: the same for versions that do not write lines
        self.default_pairs: list[tuple[bytes, bytes]] = []

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:
        """Fields put in front of every response: list of (name, value) bytes. Assign a new list to change them."""
        return self._default_headers

    @default_headers.setter
    def default_headers(self, headers: list[tuple[bytes, bytes]]) -> None:
        self._default_headers = headers
        self.default_fields = encode_fields(headers)
        self.default_pairs = list_fields(headers)


class ConnectionContext:
    """Settings and shared objects of all connections of one server. `0` means no limit and no timeout throughout."""

    __slots__ = (
        "access_log",
        "base_context",
        "health_check_path",
        "http2",
        "http2_limits",
        "is_prefaced",
        "is_tls",
        "is_tracing",
        "keep_alive_seconds",
        "limit_concurrency",
        "limits",
        "loop",
        "new_http2_session",
        "push_scopes",
        "request_body_seconds",
        "request_header_seconds",
        "scopes",
        "server_cert_of",
        "server_state",
        "starter",
        "timers",
        "trusted_hosts",
        "websocket",
        "websocket_limits",
        "websocket_max_queue",
    )

    def __init__(
        self,
        *,
        app: Any,
        loop: asyncio.AbstractEventLoop,
        server_state: ServerState,
        app_state: dict[str, Any],
        limits: HTTP1Limits,
        root_path: str = "",
        keep_alive_seconds: float = 5.0,
        request_header_seconds: float = 10.0,
        request_body_seconds: float = 60.0,
        limit_concurrency: int | None = None,
        access_log: AccessLog | None = None,
        trusted_hosts: TrustedHosts | None = None,
        reset_contextvars: bool = False,
        asgi_version: str = "3.0",
        is_tls: bool = False,
        is_prefaced: bool = False,
        server_cert_of: Callable[[Any], str | None] | None = None,
        websocket_limits: WebSocketLimits | None = None,
        http2_limits: HTTP2Limits | None = None,
        health_check_path: bytes | None = None,
    ) -> None:
        self.loop = loop
        self.server_state = server_state
        self.limits = limits
        self.keep_alive_seconds = keep_alive_seconds
        self.request_header_seconds = request_header_seconds
        self.request_body_seconds = request_body_seconds
        self.limit_concurrency = limit_concurrency or 0
        #: raw path (bytes, without query) that the connection answers by itself; None for no such path
        self.health_check_path = health_check_path
        self.access_log = access_log
        self.trusted_hosts = trusted_hosts
        self.is_tls = is_tls
        #: something precedes HTTP on connections, and their transports know what it has told
        self.is_prefaced = is_prefaced or is_tls
        #: knows the certificate (PEM) of an ssl.SSLContext
        self.server_cert_of = server_cert_of
        self.is_tracing = is_tracing()
        #: makes the protocol that takes a connection over when it is upgraded to a WebSocket; None where that is not done
        self.websocket: Callable[[], Any] | None = None
        #: makes the protocol that takes a connection over which begins with the preface of HTTP/2; None where that is not spoken
        self.http2: Callable[[], Any] | None = None
        #: makes its session, of a SessionHandler and limits
        self.new_http2_session: Any = None
        self.http2_limits = http2_limits or HTTP2Limits()
        self.websocket_limits = websocket_limits or WebSocketLimits()
        self.websocket_max_queue = max(1, self.websocket_limits.max_queue)
        #: what callbacks run in, and what each request gets a copy of
        self.base_context = contextvars.Context() if reset_contextvars else contextvars.copy_context()
        self.scopes, self.push_scopes = [
            ScopeBuilder(
                scheme="https" if is_tls else "http",
                root_path=root_path,
                app_state=app_state,
                asgi_version=asgi_version,
                extensions=extensions,
            )
            for extensions in (HTTP1_EXTENSIONS, PUSH_EXTENSIONS)
        ]
        self.timers = Timers(loop, self.base_context)
        self.starter = TaskStarter(app, loop, self.base_context, server_state.tasks)
