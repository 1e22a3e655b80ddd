"""Every option, declared once: name, type, default, help, group and bounds are the fields of `Settings`.

`Config` is a `Settings` with behaviour, `run()` takes the same parameters, the command line and docs/settings.md are
generated from here. Knows neither asyncio nor click, so that `picocorn --version` is quick.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..base.errors import ConfigError
from ..base.limits import HTTP1Limits, WebSocketLimits
from .log_defaults import LOGGING_CONFIG

if TYPE_CHECKING:
    import os
    from collections.abc import Awaitable, Iterable
    from configparser import RawConfigParser
    from typing import IO

__all__ = [
    "GROUPS",
    "HTTP_CHOICES",
    "LOOP_CHOICES",
    "WS_CHOICES",
    "DefaultNumber",
    "DefaultText",
    "Option",
    "Settings",
    "check",
    "declared",
    "flag_of",
    "parse_size",
]

#: Help pages and docs show the options in these groups, in this order.
GROUPS = ("Application", "Binding", "Processes", "Server", "Limits", "Timeouts", "WebSocket", "Responses", "Proxies", "Logging")

LOOP_CHOICES = ("auto", "asyncio", "uvloop", "none")
#: `httptools` and `h11` are uvicorn's names for its fast and its pure parser.
HTTP_CHOICES = ("auto", "native", "pure", "httptools", "h11")
#: The last three are the names of the libraries that uvicorn can use.
WS_CHOICES = ("auto", "none", "native", "pure", "websockets", "websockets-sansio", "wsproto")

_LIMITS = HTTP1Limits()
_WEBSOCKET_LIMITS = WebSocketLimits()

#: What stands for a boolean in the value of an option, as with uvicorn.
_BOOLEANS = {
    **dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True),
    **dict.fromkeys(("0", "false", "f", "no", "n", "off"), False),
}


@dataclasses.dataclass(frozen=True, slots=True)
class Option:
    """What the command line, the docs and the checks know of one option."""

    help: str
    group: str
    #: "text", "integer", "octal", "seconds", "size", "switch" (--x/--no-x), "flag" (--x), "boolean" (--x true), "file", "list"
    kind: str = "text"
    choices: tuple[str, ...] = ()
    #: with choices: an import string is accepted as well
    importable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    #: name on the command line without "--", when it is not the parameter's name
    flag: str = ""
    #: what stands for the value in help
    metavar: str = ""
    #: how to name the default where there is none to show
    shown_default: str = ""
    #: part of the API alone
    api_only: bool = False


def about(help: str, group: str, **details: Any) -> dict[str, Option]:  # noqa: A002
    """The metadata of a field that is an option; see `Option`."""
    return {"option": Option(help, group, **details)}


class DefaultText(str):
    """A default that can be told from the same value given: who says where to bind means it."""

    __slots__ = ()


class DefaultNumber(int):
    """See DefaultText."""

    __slots__ = ()


@dataclasses.dataclass(eq=False, repr=False)
class Settings:
    """The options. Times are seconds, sizes bytes; None and 0 mean "no limit" where the help says so."""

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
        default=None, metadata=about(metavar="PATH", group="Binding", help="Bind to a Unix domain socket instead.")
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
            group="Server",
            help="HTTP/1.1 implementation: auto is native where it was compiled; httptools and h11 mean native and pure; "
            "an import string names a protocol class.",
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
            kind="file", group="Logging", help="File with a logging configuration: .json, .yaml, or .ini for anything else."
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
    workers: int | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="integer",
            minimum=1,
            shown_default="$WEB_CONCURRENCY, or one process without a supervisor",
            group="Processes",
            help="Worker processes, started and watched over by a supervisor.",
        ),
    )
    socket_balance: str = dataclasses.field(
        default="shared",
        metadata=about(
            choices=("shared", "reuseport"),
            group="Processes",
            help="How connections get to workers: all accept on shared sockets, or the kernel spreads them over one socket each.",
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
    limit_worker_lifetime: float | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Processes",
            help="Time after which a worker is replaced, plus up to a tenth. 0 means no limit.",
        ),
    )
    limit_worker_rss: int | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="size", minimum=0, group="Processes", help="Resident memory beyond which a worker is replaced. 0 means no limit."
        ),
    )
    limit_request_line: int | str = dataclasses.field(
        default=_LIMITS.request_line_bytes,
        metadata=about(kind="size", minimum=1, group="Limits", help="Request line; more is answered 414."),
    )
    limit_request_fields: int = dataclasses.field(
        default=_LIMITS.request_fields,
        metadata=about(kind="integer", minimum=1, group="Limits", help="Number of header fields; more are answered 431."),
    )
    limit_request_head: int | str = dataclasses.field(
        default=_LIMITS.request_head_bytes,
        metadata=about(
            kind="size", minimum=1, group="Limits", help="Request line and header fields together; more is answered 431."
        ),
    )
    limit_request_body: int | str = dataclasses.field(
        default=_LIMITS.request_body_bytes,
        metadata=about(kind="size", minimum=0, group="Limits", help="Request body; more is answered 413. 0 means no limit."),
    )
    h11_max_incomplete_event_size: int | None = dataclasses.field(
        default=None, metadata=about(kind="integer", minimum=1, group="Limits", help="uvicorn's name for limit-request-head.")
    )
    bind: list[str] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="bind",
            metavar="ADDRESS",
            group="Binding",
            help="Where to listen, instead of the above; may be repeated: host:port, [v6]:port, :port (all interfaces), "
            "unix:path, fd://number, systemd.",
        ),
    )
    uds_permissions: int | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="octal",
            minimum=0,
            maximum=0o777,
            shown_default="0666, or those of the socket that lies there",
            group="Binding",
            help="Permissions of the files of Unix sockets, as 0660.",
        ),
    )
    uds_owner: str | None = dataclasses.field(
        default=None,
        metadata=about(metavar="USER[:GROUP]", group="Binding", help="Owner of the files of Unix sockets, by names or numbers."),
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
    timeout_request_header: float = dataclasses.field(
        default=10,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="For the head of a request to arrive, also on a new connection. 0 means for ever.",
        ),
    )
    timeout_request_body: float = dataclasses.field(
        default=60,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="Without a byte of a request body that the application waits for. 0 means for ever.",
        ),
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
    timeout_worker_hung: float = dataclasses.field(
        default=0,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Processes",
            help="Without a sign of life from a worker's event loop; then the worker is killed and replaced. 0 means never.",
        ),
    )
    drain_delay: float = dataclasses.field(
        default=0,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="To serve on after a SIGTERM, so that load balancers see the health check fail and send requests elsewhere.",
        ),
    )
    health_check_path: str | None = dataclasses.field(
        default=None,
        metadata=about(
            metavar="PATH",
            group="Server",
            help="Path that the server answers by itself: 200, and 503 once it was told to end. Not in the access log.",
        ),
    )
    pidfile: str | os.PathLike[str] | None = dataclasses.field(
        default=None,
        metadata=about(metavar="FILE", group="Processes", help="File to write the process id into, once the server listens."),
    )
    timeout_notify: float = dataclasses.field(
        default=30,
        metadata=about(kind="seconds", minimum=0, group="Timeouts", api_only=True, help="Between two calls of callback_notify."),
    )
    callback_notify: Callable[..., Awaitable[None]] | None = dataclasses.field(
        default=None, metadata=about(group="Server", api_only=True, help="Awaited regularly while the server runs.")
    )
    headers: Iterable[tuple[str, str]] | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="header",
            metavar="NAME:VALUE",
            group="Responses",
            help="Field to send with each response; may be repeated.",
        ),
    )
    factory: bool = dataclasses.field(
        default=False, metadata=about(kind="flag", group="Application", help="APP is a function that makes the application.")
    )
    reset_contextvars: bool = dataclasses.field(
        default=False,
        metadata=about(
            kind="flag", group="Application", help="Run each request in an empty context: what the lifespan set is not seen."
        ),
    )
    app_dir: str | None = dataclasses.field(
        default="",
        init=False,
        metadata=about(
            metavar="DIRECTORY", group="Application", shown_default="the current directory", help="Look for APP here first."
        ),
    )

    def __post_init__(self) -> None:
        for name in declared(api=True):
            setattr(self, name, check(name, getattr(self, name)))


def declared(api: bool = False) -> dict[str, tuple[dataclasses.Field[Any], Option]]:
    """Parameter name -> (field, option), in the order of declaration. `api` adds what the command line does not have."""
    found = {field.name: (field, field.metadata["option"]) for field in dataclasses.fields(Settings)}
    return {name: (field, details) for name, (field, details) in found.items() if api or not details.api_only}


def flag_of(name: str, details: Option) -> str:
    """The option's name on the command line, with its dashes."""
    return f"--{(details.flag or name).replace('_', '-')}"


_SUFFIXES = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


def parse_size(value: str) -> int:
    """Bytes of "65536", "64k", "1m" or "2g" (1k = 1024). Raises ValueError."""
    text = value.strip().lower().removesuffix("b")
    factor = _SUFFIXES.get(text[-1:], 1)
    return int(text[:-1] if factor > 1 else text) * factor


def check(name: str, value: Any) -> Any:
    """Return `value` as the option `name` uses it (sizes as int, levels in lower case). Raises ConfigError naming the option."""
    _field, details = declared(api=True)[name]
    if value is None or details.api_only:
        return value
    try:
        return _check(details, value)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"Invalid value for '{flag_of(name, details)}': {error}") from None


def _check(details: Option, value: Any) -> Any:
    if details.choices:
        return _check_choice(details, value)
    if details.kind == "boolean" and isinstance(value, str):
        if value.lower() not in _BOOLEANS:
            raise ValueError(f"{value!r} is neither true nor false.")
        return _BOOLEANS[value.lower()]
    if details.kind == "size" and isinstance(value, str):
        try:
            value = parse_size(value)
        except ValueError:
            raise ValueError(f"{value!r} is not a size such as 65536, 64k or 1m.") from None
    if details.kind == "octal" and isinstance(value, str):
        try:
            value = int(value, 8)
        except ValueError:
            raise ValueError(f"{value!r} is no octal number such as 0660.") from None
    if details.kind in ("integer", "octal", "size", "seconds"):
        numbers = (int, float) if details.kind == "seconds" else (int,)
        if not isinstance(value, numbers) or isinstance(value, bool):
            raise ValueError(f"{value!r} is not a number.")
        if value != value or (details.minimum is not None and value < details.minimum):
            raise ValueError(f"{_shown(details, value)} is less than {_shown(details, details.minimum)}.")
        if details.maximum is not None and value > details.maximum:
            raise ValueError(f"{_shown(details, value)} is more than {_shown(details, details.maximum)}.")
    return value


def _shown(details: Option, value: Any) -> str:
    return f"{value:04o}" if details.kind == "octal" else repr(value)


def _check_choice(details: Option, value: Any) -> Any:
    if not isinstance(value, str) or (details.importable and ":" in value):
        return value
    if value.lower() in details.choices:
        return value.lower()
    last = " nor an import string module:attribute" if details.importable else ""
    raise ValueError(f"{value!r} is not one of {', '.join(details.choices)}{last}.")
