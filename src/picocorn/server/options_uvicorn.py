"""The options that uvicorn has as well, declared in its order: that of the positional parameters of `Config`. Nothing else.

See options.py. An option of uvicorn's that is new here is put where uvicorn has it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..base.limits import WebSocketLimits
from .log_defaults import LOGGING_CONFIG
from .options_declaring import HTTP_CHOICES, LOOP_CHOICES, WS_CHOICES, DefaultNumber, DefaultText, about

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Iterable
    from configparser import RawConfigParser
    from pathlib import Path
    from typing import IO

__all__ = ["UvicornsOptions"]

_WEBSOCKET_LIMITS = WebSocketLimits()


@dataclasses.dataclass(eq=False, repr=False)
class UvicornsOptions:
    """What uvicorn's `Config` takes."""

    app: Any = dataclasses.field(
        metadata=about(
            group="Application", metavar="APP", help="The application: module:attribute, or the object itself in the API."
        )
    )
    host: str | None = dataclasses.field(
        default=DefaultText("127.0.0.1"),
        metadata=about(group="Binding", help="Address or name to bind to; 0.0.0.0 or :: for all interfaces."),
    )
    port: int = dataclasses.field(
        default=DefaultNumber(8000),
        metadata=about(kind="integer", minimum=0, maximum=65535, group="Binding", help="Port to bind to; 0 picks a free one."),
    )
    uds: str | None = dataclasses.field(
        default=None, metadata=about(metavar="PATH", path=True, group="Binding", help="Bind to a Unix domain socket instead.")
    )
    fd: int | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="integer", minimum=0, group="Binding", help="Use the bound socket with this file descriptor instead."
        ),
    )
    loop: str = dataclasses.field(
        default="auto",
        metadata=about(
            choices=LOOP_CHOICES,
            importable=True,
            group="Server",
            help="Event loop: auto is uvloop where it is installed, none is what asyncio chooses; "
            "an import string names a loop factory.",
        ),
    )
    http: Any = dataclasses.field(
        default="auto",
        metadata=about(
            choices=HTTP_CHOICES,
            importable=True,
            # The others are other names for these; a line of help has 80 columns.
            metavar="[auto|native|pure|MODULE:ATTRIBUTE]",
            group="Server",
            help="HTTP implementation: auto is native where it was compiled; httptools, zttp and h11 mean native, native and "
            "pure; an import string names a protocol class.",
        ),
    )
    http2: bool | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="switch",
            shown_default="if libnghttp2 was built in, or h2 is installed",
            group="HTTP/2",
            help="Speak HTTP/2 too: in cleartext to clients that begin with its preface, over TLS to those that offer it.",
        ),
    )
    ws: Any = dataclasses.field(
        default="auto",
        metadata=about(
            choices=WS_CHOICES,
            importable=True,
            # The others are other names for these; a line of help has 80 columns.
            metavar="[auto|none|native|pure|MODULE:ATTRIBUTE]",
            group="WebSocket",
            help="WebSocket implementation: auto is as http, none serves upgrade requests as plain HTTP; websockets, "
            "websockets-sansio and wsproto mean native, native and pure; an import string names a protocol class.",
        ),
    )
    ws_max_size: int | str = dataclasses.field(
        default=_WEBSOCKET_LIMITS.max_size_bytes,
        metadata=about(
            kind="size",
            minimum=0,
            group="WebSocket",
            help="Message, after inflation; more is closed with 1009. 0 means no limit.",
        ),
    )
    ws_max_queue: int = dataclasses.field(
        default=_WEBSOCKET_LIMITS.max_queue,
        metadata=about(
            kind="integer", minimum=1, group="WebSocket", help="Messages held for the application; at that many reading pauses."
        ),
    )
    ws_ping_interval: float | None = dataclasses.field(
        default=_WEBSOCKET_LIMITS.ping_interval_seconds,
        metadata=about(kind="seconds", minimum=0, group="WebSocket", help="Between two keep-alive pings. 0 sends none."),
    )
    ws_ping_timeout: float | None = dataclasses.field(
        default=_WEBSOCKET_LIMITS.ping_timeout_seconds,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="WebSocket",
            help="Of silence after a keep-alive ping; then the connection is closed with 1011. 0 means for ever.",
        ),
    )
    ws_per_message_deflate: bool = dataclasses.field(
        default=_WEBSOCKET_LIMITS.deflate,
        metadata=about(kind="boolean", group="WebSocket", help="Compress messages where the client offers it: true or false."),
    )
    lifespan: str = dataclasses.field(
        default="auto",
        metadata=about(
            choices=("auto", "on", "off"),
            group="Application",
            help="Whether the application takes part in the lifespan protocol.",
        ),
    )
    env_file: str | os.PathLike[str] | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="file", group="Application", help="File with environment variables to load first (needs python-dotenv)."
        ),
    )
    log_config: dict[str, Any] | str | os.PathLike[str] | RawConfigParser | IO[Any] | None = dataclasses.field(
        default_factory=lambda: LOGGING_CONFIG,
        metadata=about(
            kind="file",
            table=True,
            group="Logging",
            help="File with a logging configuration: .json, .yaml, or .ini for anything else.",
        ),
    )
    log_level: str | int | None = dataclasses.field(
        default=None,
        metadata=about(
            choices=("critical", "error", "warning", "info", "debug", "trace"),
            shown_default="info",
            group="Logging",
            help="Level of the server's own log.",
        ),
    )
    access_log: bool = dataclasses.field(
        default=True, metadata=about(kind="switch", group="Logging", help="One line for each request.")
    )
    use_colors: bool | None = dataclasses.field(
        default=None, metadata=about(kind="switch", shown_default="on a terminal", group="Logging", help="Colours in the log.")
    )
    interface: str = dataclasses.field(
        default="auto",
        metadata=about(
            choices=("auto", "asgi3", "asgi2", "wsgi"),
            group="Application",
            help="What the application speaks. wsgi runs it in threads (needs a2wsgi).",
        ),
    )
    reload: bool = dataclasses.field(
        default=False,
        metadata=about(kind="flag", group="Processes", help="Start the application anew when its files change: for development."),
    )
    reload_dirs: list[str] | list[Path] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="reload-dir",
            metavar="DIRECTORY",
            separator=os.pathsep,
            must_exist=True,
            shown_default="the current directory",
            group="Processes",
            help="Look for changes below; may be repeated.",
        ),
    )
    reload_delay: float = dataclasses.field(
        default=0.25,
        metadata=about(kind="seconds", minimum=0, group="Processes", help="Between two looks for changes."),
    )
    reload_includes: list[str] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="reload-include",
            metavar="GLOB",
            group="Processes",
            help="Files that count beside *.py, or a directory to look into; may be repeated.",
        ),
    )
    reload_excludes: list[str] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="reload-exclude",
            metavar="GLOB",
            group="Processes",
            help="Files and directories that do not count, beside hidden ones; may be repeated.",
        ),
    )
    workers: int | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="integer",
            minimum=1,
            variable="WEB_CONCURRENCY",
            shown_default="$WEB_CONCURRENCY, or one process without a supervisor",
            group="Processes",
            help="Worker processes, started and watched over by a supervisor.",
        ),
    )
    proxy_headers: bool = dataclasses.field(
        default=True,
        metadata=about(kind="switch", group="Proxies", help="Believe X-Forwarded-Proto and X-Forwarded-For of trusted proxies."),
    )
    server_header: bool = dataclasses.field(
        default=True, metadata=about(kind="switch", group="Responses", help="Send a Server field.")
    )
    date_header: bool = dataclasses.field(
        default=True, metadata=about(kind="switch", group="Responses", help="Send a Date field.")
    )
    forwarded_allow_ips: list[str] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            variable="FORWARDED_ALLOW_IPS",
            joined_by=",",
            shown_default="$FORWARDED_ALLOW_IPS, or 127.0.0.1,::1",
            group="Proxies",
            help="Trusted proxies: addresses, networks and literals (socket paths) with commas between them; * for everybody.",
        ),
    )
    root_path: str = dataclasses.field(
        default="", metadata=about(metavar="PATH", group="Proxies", help="Path below which a proxy shows the application.")
    )
    limit_concurrency: int | None = dataclasses.field(
        default=None, metadata=about(kind="integer", minimum=1, group="Limits", help="Running requests; more are answered 503.")
    )
    limit_max_requests: int | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="integer", minimum=1, group="Limits", help="Requests after which the process ends, or the worker is replaced."
        ),
    )
    limit_max_requests_jitter: int = dataclasses.field(
        default=0,
        metadata=about(kind="integer", minimum=0, group="Limits", help="Add a random number up to this to limit-max-requests."),
    )
    backlog: int = dataclasses.field(
        default=2048, metadata=about(kind="integer", minimum=0, group="Binding", help="Connections that may wait to be accepted.")
    )
    timeout_keep_alive: float = dataclasses.field(
        default=5,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="Idle time between two requests on a connection. 0 closes after each.",
        ),
    )
    timeout_notify: float = dataclasses.field(
        default=30,
        metadata=about(kind="seconds", minimum=0, group="Timeouts", api_only=True, help="Between two calls of callback_notify."),
    )
    timeout_graceful_shutdown: float | None = dataclasses.field(
        default=30,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="For running requests to end once the server is told to stop. 0 means for ever.",
        ),
    )
    timeout_worker_healthcheck: float = dataclasses.field(
        default=5,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Processes",
            help="Without a sign of life from a worker's event loop; then the log says so. Also for a replacement to get ready, "
            "unless twice the time that workers took so far is longer.",
        ),
    )
    callback_notify: Callable[..., Awaitable[None]] | None = dataclasses.field(
        default=None, metadata=about(group="Server", api_only=True, help="Awaited regularly while the server runs.")
    )
    ssl_keyfile: list[str] | str | os.PathLike[str] | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="ssl-keyfile",
            metavar="FILE",
            separator=os.pathsep,
            must_exist=True,
            group="TLS",
            help="Key of the certificate, PEM, unless it stands in the same file; one for each certificate.",
        ),
    )
    ssl_certfile: list[str] | str | os.PathLike[str] | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="ssl-certfile",
            metavar="FILE",
            separator=os.pathsep,
            must_exist=True,
            group="TLS",
            help="Certificate with its chain, PEM; may be repeated: clients get the one for the name they ask for, or the first.",
        ),
    )
    ssl_keyfile_password: str | None = dataclasses.field(
        default=None, metadata=about(metavar="PASSWORD", secret=True, group="TLS", help="Of the keys that are encrypted.")
    )
    # Numbers, as `ssl` has them: importing it would make `--version` slow.
    ssl_version: int = dataclasses.field(
        default=17,
        metadata=about(
            kind="integer", minimum=0, group="TLS", help="ssl.PROTOCOL_*: 17 is PROTOCOL_TLS_SERVER, TLS 1.2 and newer."
        ),
    )
    ssl_cert_reqs: int = dataclasses.field(
        default=0,
        metadata=about(
            kind="integer",
            minimum=0,
            group="TLS",
            help="Whether clients show a certificate, ssl.CERT_*: 0 is no, 1 if they have one, 2 they must.",
        ),
    )
    ssl_ca_certs: str | os.PathLike[str] | None = dataclasses.field(
        default=None,
        metadata=about(kind="file", group="TLS", help="Authorities that certificates of clients are verified with, PEM."),
    )
    ssl_ciphers: str | None = dataclasses.field(
        default=None,
        metadata=about(
            metavar="CIPHERS", shown_default="OpenSSL's", group="TLS", help="Cipher suites of TLS 1.2, as OpenSSL lists them."
        ),
    )
    ssl_context_factory: Callable[..., ssl.SSLContext] | None = dataclasses.field(
        default=None,
        metadata=about(
            group="TLS",
            api_only=True,
            help="Makes the ssl.SSLContext: called with the Config and a function that makes the one of the options above.",
        ),
    )
    headers: Iterable[tuple[str, str]] | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="header",
            table=True,
            metavar="NAME:VALUE",
            group="Responses",
            help="Field to send with each response; may be repeated.",
        ),
    )
    factory: bool = dataclasses.field(
        default=False, metadata=about(kind="flag", group="Application", help="APP is a function that makes the application.")
    )
    h11_max_incomplete_event_size: int | None = dataclasses.field(
        default=None, metadata=about(kind="integer", minimum=1, group="Limits", help="uvicorn's name for limit-request-head.")
    )
    reset_contextvars: bool = dataclasses.field(
        default=False,
        metadata=about(
            kind="flag", group="Application", help="Run each request in an empty context: what the lifespan set is not seen."
        ),
    )
