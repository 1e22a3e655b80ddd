"""The configuration of a server: the options of `Settings`, checked, and what they lead to (application, protocol, headers).

Under uvicorn's names, because programs read and patch them. Can be pickled before it is loaded. Knows no running server.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..asgi.lifespan import LifespanOff, LifespanOn
from ..asgi.proxy_headers import TrustedHosts
from ..base.errors import ConfigError, ImportFromStringError, LocalProtocolError
from ..base.limits import HTTP1Limits, HTTP2Limits, WebSocketLimits
from ..base.native import NATIVE
from ..http1.writer import encode_fields
from ..http2 import engine as http2_engine
from ..transport.preface import UNIX_PEER
from .application import made_application, wrapped
from .binding import addresses_of, log_listening, own_sockets, settle_binding
from .importer import import_from_string
from .log_config import LOG_LEVELS, LOGGING_CONFIG, apply_level, apply_log_config, silence_access_log
from .loop import get_loop_factory
from .options import DefaultNumber, DefaultText, Settings, check
from .recycling import check_platform
from .reload_settings import settle_reload
from .tls_config import settle_tls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = [
    "HTTP_PROTOCOLS",
    "INTERFACES",
    "LIFESPAN",
    "LOGGING_CONFIG",
    "LOG_LEVELS",
    "STARTUP_FAILURE",
    "WS_PROTOCOLS",
    "Config",
]

logger = logging.getLogger("picocorn.error")

#: Exit code of a server that could not start.
STARTUP_FAILURE = 3

DEFAULT_TRUSTED = "127.0.0.1,::1"

#: uvicorn's names for what has another one here.
_RENAMED = {
    "http": {"httptools": "native", "zttp": "native", "h11": "pure"},
    "ws": {"websockets": "native", "websockets-sansio": "native", "wsproto": "pure"},
}

#: Value of the option -> where its class is.
HTTP_PROTOCOLS = {
    "auto": "picocorn.connection.http1:HTTP1Protocol",
    "native": "picocorn.connection.http1:HTTP1Protocol",
    "pure": "picocorn.connection.http1_py:HTTP1Protocol",
}
#: Value of the option -> where its class is; "auto" is as `http`, and "none" has no class.
WS_PROTOCOLS = {
    "auto": "picocorn.connection.websocket_http1:WebSocketProtocol",
    "native": "picocorn.connection.websocket_http1:WebSocketProtocol",
    "pure": "picocorn.connection.websocket_http1_py:WebSocketProtocol",
}
INTERFACES = ("auto", "asgi3", "asgi2", "wsgi")
LIFESPAN: dict[str, type[LifespanOn | LifespanOff]] = {"auto": LifespanOn, "on": LifespanOn, "off": LifespanOff}


def _header(item: Any) -> tuple[str, str]:
    """One entry of `headers`: a pair, or "Name: value"."""
    if isinstance(item, str):
        name, colon, value = item.partition(":")
        pair: Any = (name, value) if colon else ()
    else:
        pair = tuple(item)
    if len(pair) != 2 or not all(isinstance(part, str) for part in pair) or not pair[0].strip():
        raise ConfigError(f"Invalid value for '--header': {item!r} is not of the form NAME:VALUE.")
    name, value = pair[0].strip(), pair[1].strip()
    if name.lower() in ("content-length", "transfer-encoding"):
        # One for every response would be wrong for all but one, and a client would take the next for part of it.
        raise ConfigError(f"Invalid value for '--header': {item!r} cannot be sent: {name} belongs to each response.")
    try:
        encode_fields([(name.encode("latin-1"), value.encode("latin-1"))])
    except (UnicodeEncodeError, LocalProtocolError) as error:
        raise ConfigError(f"Invalid value for '--header': {item!r} cannot be sent: {error}") from None
    return name, value


class Config(Settings):
    """Options of one server; `picocorn.server.options.Settings` lists them.

    Making one configures logging and reads `env_file`. Raises ConfigError for a value that cannot be used.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        #: the application, ready to be called as ASGI 3; there once `loaded`
        self.loaded_app: Any = None
        self.loaded = False
        #: the file that options are from, None without one
        self.config_file: str | None = None
        #: fields of every response but Date: list of (name, value) bytes; there once `loaded`
        self.encoded_headers: list[tuple[bytes, bytes]] = []
        self.headers: list[tuple[str, str]] = [_header(item) for item in self.headers or ()]
        self.configure_logging()
        #: directories that `reload_excludes` names
        self.reload_dirs_excludes: list[Path] = []
        settle_reload(self)
        if self.env_file is not None:
            self._load_env_file()
        if self.forwarded_allow_ips is None or isinstance(self.forwarded_allow_ips, DefaultText):
            otherwise = DEFAULT_TRUSTED if self.forwarded_allow_ips is None else str(self.forwarded_allow_ips)
            self.forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", otherwise)
        if self.proxy_protocol_allow_ips is None:
            self.proxy_protocol_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", DEFAULT_TRUSTED)
        else:
            self._check_proxies(TrustedHosts(self.proxy_protocol_allow_ips))
        self._settle_workers()
        self._settle_renamed()
        settle_binding(self)
        #: (certificate, key or None), paths
        self.ssl_pairs: list[tuple[str, str | None]] = []
        settle_tls(self)
        #: there once `loaded`, if connections are encrypted
        self.ssl_certificates: Any = None
        self.ssl: Any = None
        self._check_outside()

    def _settle_workers(self) -> None:
        """`workers` as a number, and whether a supervisor is needed for it or for another option."""
        #: whether --workers was given
        self.workers_given = self.workers is not None
        variable = os.environ.get("WEB_CONCURRENCY", "")
        if variable and (self.workers is None or isinstance(self.workers, DefaultNumber)):
            try:
                self.workers = check("workers", int(variable))
            except (ValueError, ConfigError):
                raise ConfigError(f"Invalid value for WEB_CONCURRENCY: {variable!r} is no number of workers.") from None
        self.workers = int(self.workers or 1)
        if self.reload and self.workers > 1:
            logger.warning('"workers" flag is ignored when reloading is enabled.')
        check_platform(int(self.limit_worker_rss or 0))
        needed = self.workers > 1 or self.limit_worker_lifetime or self.limit_worker_rss or self.timeout_worker_hung
        self.needs_supervisor = bool(needed) and not self.reload

    def _check_proxies(self, trusted: TrustedHosts) -> None:
        # A slip would be noticed only when the proxy's connections are refused. With X-Forwarded-For, literals are uvicorn's.
        for item in sorted(trusted.literals - {UNIX_PEER, "*"}):
            raise ConfigError(
                f"Invalid value for '--proxy-protocol-allow-ips': {item!r} is neither an address nor a network, nor unix: or *."
            )

    def _check_outside(self) -> None:
        """Check what others are told about this server: load balancers, and who looks for its process."""
        path = self.health_check_path
        if path is not None and not (
            path.startswith("/") and path.isascii() and path.isprintable() and not set(path) & set(" ?#")
        ):
            raise ConfigError(
                f"Invalid value for '--health-check-path': {path!r} is no path as it stands in a request: "
                "from the first / on, percent-encoded, without a query."
            )
        if self.pidfile is not None and os.name != "posix":
            raise ConfigError("Invalid value for '--pidfile': needs a POSIX system.")

    def _settle_renamed(self) -> None:
        """Understand uvicorn's names for what has another one here, and say so."""
        for option, names in _RENAMED.items():
            value = getattr(self, option)
            if isinstance(value, str) and value in names:
                renamed = names[value]
                if renamed == "native" and not NATIVE:
                    renamed = "auto"
                logger.warning("--%s %s is called --%s %s here.", option, value, option, renamed)
                setattr(self, option, renamed)
            if getattr(self, option) == "native" and not NATIVE:
                raise ConfigError(
                    f"Invalid value for '--{option}': native needs the compiled extensions, "
                    "which this installation does not have."
                )
        if self.http2 and not self._has_http2_engine():
            logger.warning(
                "--http2 needs libnghttp2 at the build, or the package h2: pip install 'picocorn[http2]'. Serving without HTTP/2."
            )
        if self.h11_max_incomplete_event_size is not None:
            logger.warning("--h11-max-incomplete-event-size is called --limit-request-head here.")
            self.limit_request_head = self.h11_max_incomplete_event_size

    def _load_env_file(self) -> None:
        path = os.fspath(self.env_file or "")
        if not os.path.exists(path):
            raise ConfigError(f"Invalid value for '--env-file': File {path!r} does not exist.")
        try:
            from dotenv import load_dotenv
        except ImportError as error:
            raise ConfigError(
                "Invalid value for '--env-file': needs the package python-dotenv: pip install python-dotenv"
            ) from error
        logger.info("Loading environment from '%s'", path)
        try:
            # The package passes over what it cannot open, as if it were empty.
            with open(path, encoding="utf-8") as file:
                load_dotenv(stream=file)
        except (OSError, ValueError) as error:
            # Not text; or with a NUL, which no variable can hold.
            raise ConfigError(f"Invalid value for '--env-file': {path!r} cannot be used: {error}") from None

    def configure_logging(self) -> None:
        """Apply `log_config`, `log_level`, `use_colors` and `access_log`. Raises ConfigError."""
        apply_log_config(self.log_config, self.use_colors)
        apply_level(self.log_level)
        if not self.access_log:
            silence_access_log()

    # -- what the options lead to

    @property
    def asgi_version(self) -> str:
        """`scope["asgi"]["version"]` for the application's interface."""
        return "2.0" if self.interface == "asgi2" else "3.0"

    @property
    def is_ssl(self) -> bool:
        """Whether connections are encrypted."""
        return bool(self.ssl_keyfile or self.ssl_certfile or self.ssl_context_factory)

    @property
    def should_reload(self) -> bool:
        """Whether the application is started anew when files change."""
        return isinstance(self.app, str) and self.reload

    @property
    def use_subprocess(self) -> bool:
        """Whether the application runs in other processes than this one."""
        return self.needs_supervisor or self.reload

    @property
    def limits(self) -> HTTP1Limits:
        """The limits of an HTTP/1.1 connection."""
        return HTTP1Limits(
            request_line_bytes=int(self.limit_request_line),
            request_fields=self.limit_request_fields,
            request_head_bytes=int(self.limit_request_head),
            request_body_bytes=int(self.limit_request_body),
        )

    @property
    def websocket_limits(self) -> WebSocketLimits:
        """The limits and times of a WebSocket."""
        return WebSocketLimits(
            max_size_bytes=int(self.ws_max_size),
            max_queue=self.ws_max_queue,
            ping_interval_seconds=self.ws_ping_interval or 0.0,
            ping_timeout_seconds=self.ws_ping_timeout or 0.0,
            deflate=self.ws_per_message_deflate,
        )

    @property
    def http2_limits(self) -> HTTP2Limits:
        """The limits of an HTTP/2 connection."""
        return HTTP2Limits(
            max_concurrent_streams=self.http2_max_concurrent_streams,
            header_list_bytes=int(self.http2_max_headers_size),
            request_fields=self.limit_request_fields,
            stream_window_bytes=int(self.http2_initial_stream_window_size),
            connection_window_bytes=int(self.http2_initial_connection_window_size),
            lent_window_bytes=int(self.http2_lent_window_size),
        )

    @property
    def speaks_http2(self) -> bool:
        """Whether HTTP/2 is spoken: wanted, possible, and by connections of ours."""
        return self.http2 is not False and self._has_http2_engine() and self._speaks_our_http()

    @property
    def alpn_protocols(self) -> list[str]:
        """What is offered in TLS handshakes (RFC 7301), the preferred one first."""
        if not self._speaks_our_http():
            # uvicorn's name for what a class for `http` speaks.
            return list(getattr(self.http_protocol_class, "alpn_protocols", ("http/1.1",)))
        return ["h2", "http/1.1"] if self.speaks_http2 else ["http/1.1"]

    def _has_http2_engine(self) -> bool:
        # The pure bodies go with the pure engine.
        return find_spec("h2") is not None if self.http == "pure" else bool(http2_engine.ENGINE)

    @property
    def lifespan_class(self) -> type[LifespanOn | LifespanOff]:
        """`lifespan_class(config)` runs the lifespan protocol."""
        return LIFESPAN[self.lifespan]

    @property
    def http_protocol_class(self) -> Any:
        """The protocol of HTTP/1.1 connections: ours, or the class that the option `http` names. Raises ImportFromStringError."""
        if not isinstance(self.http, str):
            return self.http
        return import_from_string(HTTP_PROTOCOLS.get(self.http, self.http))

    @property
    def ws_protocol_class(self) -> Any:
        """The protocol of WebSockets over HTTP/1.1, None where they are off. Raises ImportFromStringError."""
        if self.ws is None or self.ws == "none" or self.interface == "wsgi":
            return None
        if not isinstance(self.ws, str):
            return self.ws
        if self.ws in WS_PROTOCOLS and not self._speaks_our_http():
            # It could not hand a connection on to ours.
            return None
        if self.ws == "auto" and self.http == "pure":
            return import_from_string(WS_PROTOCOLS["pure"])
        return import_from_string(WS_PROTOCOLS.get(self.ws, self.ws))

    def _speaks_our_http(self) -> bool:
        """Whether the protocol of HTTP/1.1 connections is one of ours, or built on it."""
        if self.http in HTTP_PROTOCOLS:
            return True
        ours = tuple(import_from_string(HTTP_PROTOCOLS[name]) for name in ("auto", "pure"))
        protocol_class = self.http_protocol_class
        return isinstance(protocol_class, type) and issubclass(protocol_class, ours)

    def get_loop_factory(self) -> Callable[[], asyncio.AbstractEventLoop] | None:
        """The factory of the event loop, None for asyncio's own choice. Exits (3) if it cannot be had."""
        try:
            return get_loop_factory(self.loop)
        except ImportFromStringError as error:
            logger.error("Error loading custom loop setup function. %s", error)
        except ConfigError as error:
            logger.error("%s", error)
        sys.exit(STARTUP_FAILURE)

    # -- the application

    def load(self) -> None:
        """Import and wrap the application, encode the headers. Exits (3) with one line if the application cannot be used.

        What the application's own module or factory raises goes through.
        """
        self.encoded_headers = self._encode_headers()
        for kind, name in (("HTTP", "http_protocol_class"), ("WebSocket", "ws_protocol_class")):
            try:
                getattr(self, name)
            except ImportFromStringError as error:
                logger.error("Error loading %s protocol class. %s", kind, error)
                sys.exit(STARTUP_FAILURE)
        for option, value in (("health-check-path", self.health_check_path), ("proxy-protocol", self.proxy_protocol)):
            if value and not self._speaks_our_http():
                logger.error("--%s needs one of picocorn's own protocol classes, and --http names another one.", option)
                sys.exit(STARTUP_FAILURE)
        self._say_http2_engine()
        if self.is_ssl:
            self._load_certificates()
        app = self.load_app()
        try:
            self.loaded_app = wrapped(made_application(app, self.factory), self)
        except ConfigError as error:
            logger.error("%s", error)
            sys.exit(STARTUP_FAILURE)
        self.loaded = True

    def _say_http2_engine(self) -> None:
        if self.http2 is False or self.http == "pure" or not self._speaks_our_http():
            return
        error = http2_engine.load_error()
        if error:
            instead = "over the package h2" if self.speaks_http2 else "no HTTP/2"
            logger.warning("libnghttp2 was there at the build and cannot be loaded now: serving %s. %s", instead, error)

    def _load_certificates(self) -> None:
        # Not above: who serves without has no use for it.
        from .tls_certificates import Certificates

        try:
            self.ssl_certificates = Certificates(self, self.alpn_protocols)
        except ConfigError as error:
            logger.error("%s", error)
            sys.exit(STARTUP_FAILURE)
        self.ssl = self.ssl_certificates.context()

    def load_app(self) -> Any:
        """The object that `app` names. Exits (3) if it is not there; what its module raises goes through."""
        try:
            return import_from_string(self.app)
        except ImportFromStringError as error:
            logger.error("Error loading ASGI app. %s", error)
            sys.exit(STARTUP_FAILURE)

    def _encode_headers(self) -> list[tuple[bytes, bytes]]:
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers]
        if self.server_header and b"server" not in dict(encoded):
            encoded.insert(0, (b"server", b"picocorn"))
        if self.hsts is not None and b"strict-transport-security" not in dict(encoded):
            encoded.append((b"strict-transport-security", b"max-age=%d" % self.hsts))
        return encoded

    # -- sockets

    def bind_socket(self) -> socket.socket:
        """Bind one socket, say so in the log, and return it, inheritable: for programs that bind here and serve elsewhere.

        Exits (3) if it cannot be bound. Raises ConfigError if there are more addresses than one.
        """
        if len(addresses_of(self)) > 1:
            raise ConfigError("bind_socket() binds one socket, and '--bind' was given more than one address.")
        try:
            sock, *others = own_sockets(self).sockets
        except OSError as error:
            logger.error("%s", error)
            sys.exit(STARTUP_FAILURE)
        for other in others:
            other.close()
        log_listening(self, [sock])
        sock.set_inheritable(True)
        return sock
