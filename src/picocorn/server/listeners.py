"""Opens what a server listens on, with the right protocol for each connection. Knows configuration, sockets and connections."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..asgi.proxy_headers import ProxyHeadersMiddleware, TrustedHosts
from ..base.native import NATIVE
from ..connection import access_log as chosen_access_log
from ..connection import access_log_py, context_py, http1, http1_py, http2, http2_py, websocket_http1, websocket_http1_py
from ..connection import context as chosen_context
from ..http2.engine import new_pure_session, new_session
from ..transport.listen import listen
from ..transport.listening import ListeningServer
from ..transport.preface import ProxyPreface, ProxySettings
from .foreign import ForeignWebSocket
from .tls_listening import over_tls
from .tls_redirect import Redirect, https_port, is_redirecting

if TYPE_CHECKING:
    from ..transport.sharing import Share
    from .config import Config
    from .log_shortcut import LineShortcut

__all__ = ["ServerState", "close_listeners", "open_listeners"]

ServerState = chosen_context.ServerState

#: For what precedes a request where the request itself has for ever: it is proxies that send it, at once.
LONGEST_PREFACE_SECONDS = 10.0


async def open_listeners(
    config: Config,
    state: ServerState,
    app_state: dict[str, Any],
    sockets: Sequence[socket.socket],
    shortcut: LineShortcut,
    share: Share | None = None,
) -> list[Any]:
    """Accept connections on `sockets`; returns objects like asyncio.Server. Raises OSError, ImportFromStringError.

    `share` is for sockets that other processes accept on too.
    """
    protocol_class = config.http_protocol_class
    redirecting = [sock for sock in sockets if is_redirecting(config, sock)]
    sockets = [sock for sock in sockets if sock not in redirecting]
    factory = _protocol_factory(protocol_class, config, state, app_state, shortcut)
    if factory is None:
        servers = await _foreign_listeners(protocol_class, config, state, app_state, sockets)
        native = NATIVE
    else:
        native = NATIVE and not issubclass(protocol_class, http1_py.HTTP1Protocol)
        factory = _behind_proxies(config, state, factory)
        servers = [await listen(factory, sock, backlog=config.backlog, native=native, share=share) for sock in sockets]
    if redirecting:
        factory = _behind_proxies(config, state, _redirect_factory(not native, config, state, sockets, shortcut))
        servers += [await listen(factory, sock, backlog=config.backlog, native=native, share=share) for sock in redirecting]
    return servers


async def close_listeners(servers: Sequence[Any]) -> None:
    """Stop accepting, once all are accepted who have connected by now. Connections stay."""
    for server in servers:
        # asyncio's own, for foreign protocols, cannot.
        if isinstance(server, ListeningServer):
            await server.accept_waiting()
        server.close()


def _behind_proxies(config: Config, state: ServerState, factory: Callable[[], Any]) -> Callable[[], Any]:
    """`factory`, behind what proxies tell at the beginning of connections, if they do."""
    if not config.proxy_protocol:
        return factory
    settings = ProxySettings(
        loop=asyncio.get_running_loop(),
        trusted=TrustedHosts(config.proxy_protocol_allow_ips or ""),
        timeout_seconds=config.timeout_request_header or LONGEST_PREFACE_SECONDS,
        connections=state.connections,
    )
    return functools.partial(ProxyPreface, settings, factory)


def _redirect_factory(
    is_pure: bool, config: Config, state: ServerState, sockets: Sequence[socket.socket], shortcut: LineShortcut
) -> Callable[[], Any]:
    """What makes the protocols of the plain listener, which answers with redirects to the port of `sockets`."""
    apart = (context_py if is_pure else chosen_context).ServerState()
    # They are counted, and end, with the others; but the fields of their answers are their own.
    apart.connections, apart.tasks = state.connections, state.tasks
    context_class: Any = context_py.ConnectionContext if is_pure else chosen_context.ConnectionContext
    context = context_class(
        app=Redirect(config.ssl_certificates, state, https_port(sockets)),
        loop=asyncio.get_running_loop(),
        server_state=apart,
        app_state={},
        limits=config.limits,
        # One redirect is all that there is to be had.
        keep_alive_seconds=0,
        request_header_seconds=config.timeout_request_header,
        request_body_seconds=config.timeout_request_body,
        access_log=_access_log(is_pure, config, shortcut),
        is_prefaced=config.proxy_protocol,
    )
    return functools.partial((http1_py if is_pure else http1).HTTP1Protocol, context)


def _access_log(is_pure: bool, config: Config, shortcut: LineShortcut) -> Any:
    access_log_class: Any = access_log_py.AccessLog if is_pure else chosen_access_log.AccessLog
    access = logging.getLogger("picocorn.access")
    return access_log_class(access, shortcut) if config.access_log and access.hasHandlers() else None


def _protocol_factory(
    protocol_class: Any, config: Config, state: ServerState, app_state: dict[str, Any], shortcut: LineShortcut
) -> Callable[[], Any] | None:
    """What makes a protocol of ours for each connection; None for a class that is not one of ours."""
    is_pure = _is_pure(protocol_class, http1_py.HTTP1Protocol, http1.HTTP1Protocol)
    if is_pure is None:
        return None
    context = _context(is_pure, config, state, app_state, shortcut)
    websocket_class = config.ws_protocol_class
    if websocket_class is not None:
        is_pure_too = _is_pure(websocket_class, websocket_http1_py.WebSocketProtocol, websocket_http1.WebSocketProtocol)
        if is_pure_too is None:
            context.websocket = functools.partial(
                ForeignWebSocket, websocket_class, config, state, app_state, asyncio.get_running_loop()
            )
        elif is_pure_too == is_pure:
            context.websocket = functools.partial(websocket_class, context)
        else:
            context.websocket = functools.partial(websocket_class, _context(is_pure_too, config, state, app_state, shortcut))
    if config.speaks_http2:
        http2_class: Any = http2_py.HTTP2Protocol if is_pure else http2.HTTP2Protocol
        context.http2 = functools.partial(http2_class, context)
        context.new_http2_session = new_pure_session if is_pure else new_session
    factory = functools.partial(protocol_class, context)
    if not config.is_ssl:
        return factory
    # What `Config.alpn_protocols` offers.
    by_alpn = {} if context.http2 is None else {"h2": context.http2}
    return over_tls(config, state, factory, by_alpn, is_pure)


def _is_pure(protocol_class: Any, pure: type, chosen: type) -> bool | None:
    """Which body of ours `protocol_class` is of; None for a class that is not one of ours."""
    if isinstance(protocol_class, type):
        if issubclass(protocol_class, pure):
            return True
        if issubclass(protocol_class, chosen):
            return False
    return None


def _context(
    is_pure: bool, config: Config, state: ServerState, app_state: dict[str, Any], shortcut: LineShortcut
) -> chosen_context.ConnectionContext:
    """What the connections of one body share. The pure one has its own kind: pure all the way down."""
    context_class: Any = context_py.ConnectionContext if is_pure else chosen_context.ConnectionContext
    app = config.loaded_app
    trusted = None
    if type(app) is ProxyHeadersMiddleware:
        # The connection does this for its requests, and asks once whether it trusts its peer.
        trusted = app.trusted_hosts
        app = app.app
    context: chosen_context.ConnectionContext = context_class(
        app=app,
        loop=asyncio.get_running_loop(),
        server_state=state,
        app_state=app_state,
        limits=config.limits,
        root_path=config.root_path,
        keep_alive_seconds=config.timeout_keep_alive,
        request_header_seconds=config.timeout_request_header,
        request_body_seconds=config.timeout_request_body,
        limit_concurrency=config.limit_concurrency,
        access_log=_access_log(is_pure, config, shortcut),
        trusted_hosts=trusted,
        reset_contextvars=config.reset_contextvars,
        asgi_version=config.asgi_version,
        is_tls=config.is_ssl,
        is_prefaced=config.proxy_protocol,
        server_cert_of=config.ssl_certificates.certificate_of if config.is_ssl else None,
        websocket_limits=config.websocket_limits,
        http2_limits=config.http2_limits,
        health_check_path=None if config.health_check_path is None else config.health_check_path.encode("ascii"),
    )
    return context


async def _foreign_listeners(
    protocol_class: Any, config: Config, state: ServerState, app_state: dict[str, Any], sockets: Sequence[socket.socket]
) -> list[Any]:
    """Listeners for a protocol class written for uvicorn: it is called as uvicorn calls it, and gets the loop's transports."""
    loop = asyncio.get_running_loop()
    factory: Any = functools.partial(protocol_class, config=config, server_state=state, app_state=app_state, _loop=loop)
    if config.is_ssl:
        factory = over_tls(config, state, factory, {}, not NATIVE)
    servers = []
    for sock in sockets:
        if sock.family == getattr(socket, "AF_UNIX", None):
            servers.append(await loop.create_unix_server(factory, sock=sock, backlog=config.backlog))
        else:
            servers.append(await loop.create_server(factory, sock=sock, backlog=config.backlog))
    return servers
