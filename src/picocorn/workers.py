"""A worker for gunicorn: `gunicorn -k picocorn.workers.PicocornWorker main:app`. A door: the server is the same as ever.

gunicorn binds, forks, watches and replaces; a worker serves until it is told to stop. Written for the worker interface of
gunicorn 21 to 27. Knows gunicorn, which nothing else here does.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import os
import signal
import sys
import time
import traceback
import weakref
from collections.abc import Iterator
from types import FrameType
from typing import Any, ClassVar

from gunicorn.arbiter import Arbiter
from gunicorn.errors import HaltServer
from gunicorn.workers.base import Worker

from .base.errors import ConfigError
from .base.native import NATIVE
from .server.config import Config
from .server.drain import LAST_STEPS_SECONDS, LATE_SECONDS, wind_down
from .server.health import heartbeat_seconds
from .server.run import serve_here
from .server.server import Server
from .transport.sharing import Share, ShareTable

__all__ = ["PicocornPureWorker", "PicocornWorker"]

#: For what runs when a file has changed (gunicorn's --reload): a stream would keep the new code waiting for ever.
RELOAD_SECONDS = 2.0

#: gunicorn's setting -> our option, where another value than gunicorn's default counts. Left alone, our default does.
_SETTINGS = {
    "limit_request_line": "limit_request_line",
    "limit_request_fields": "limit_request_fields",
    "root_path": "root_path",
    "asgi_loop": "loop",
    "asgi_lifespan": "lifespan",
    "websocket_max_message_size": "ws_max_size",
    "http2_max_concurrent_streams": "http2_max_concurrent_streams",
    "http2_initial_window_size": "http2_initial_stream_window_size",
    "http2_max_header_list_size": "http2_max_headers_size",
}
_TLS_SETTINGS = {
    "ssl_version": "ssl_version",
    "cert_reqs": "ssl_cert_reqs",
    "ca_certs": "ssl_ca_certs",
    "ciphers": "ssl_ciphers",
}
#: Settings that are somebody else's, or of gunicorn's own protocols: said once at the start, so that nobody believes in them.
_WITHOUT_EFFECT = (
    "access_log_format",
    "asgi_disconnect_grace_period",
    "forwarder_headers",
    "header_map",
    "http2_cleartext",
    "http2_max_frame_size",
    "limit_request_field_size",
    "permit_unconventional_http_method",
    "permit_unconventional_http_version",
    "post_request",
    "pre_request",
    "secure_scheme_headers",
    "threads",
    "worker_connections",
)


class _Server(Server):
    """A server that gunicorn watches: it shows that its loop goes round, and leaves signals to its worker."""

    def __init__(self, config: Config, worker: PicocornWorker) -> None:
        super().__init__(config)
        self._worker = worker
        self._beat_seconds = heartbeat_seconds(worker.cfg.timeout, 0)
        self._leaves_at: float | None = None
        self.share = worker.share

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing to capture: the worker's handlers ask for the end, and a worker ends by itself, so that its hooks run."""
        try:
            yield
        finally:
            self._watchdog.disarm()

    def signalled(self, number: int, frame: FrameType | None) -> None:
        """A signal asks for the end; set `force_exit` before for an end at once."""
        self._signalled(number, frame)

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """As for any server, with heartbeats from here on: a start-up may wait as long as it likes, but not block."""
        loop = asyncio.get_running_loop()
        # In an empty context: the one of the lifespan is none of its business.
        contextvars.Context().run(self._beat)
        # gunicorn's reloader writes to it. It does so from a thread, which no handler of signals hears of.
        loop.add_reader(self._worker.PIPE[0], self._look_at_worker)
        await super().startup(sockets=sockets)

    def _beat(self) -> None:
        self._worker.notify()
        if os.getppid() != self._worker.ppid:
            if not self.should_exit:
                self._worker.log.info("Parent changed, shutting down: %s", self._worker)
            self.should_exit = True
        asyncio.get_running_loop().call_later(self._beat_seconds, self._beat)

    def _look_at_worker(self) -> None:
        asyncio.get_running_loop().remove_reader(self._worker.PIPE[0])
        if not self._worker.alive and not self.should_exit:
            self.config.timeout_graceful_shutdown = min(RELOAD_SECONDS, self.config.timeout_graceful_shutdown or RELOAD_SECONDS)
            self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """As for any server, but one at its limit serves on until its clients know: gunicorn starts the next one only then.

        Every answer announces that its connection closes. An idle connection may ask once more, as long as it may be idle.
        """
        if self._leaves_at is None:
            if not await super().on_tick(counter) or self.should_exit:
                return self.should_exit
            self._leaves_at = time.monotonic() + self._idle_seconds()
            await wind_down(self.server_state, 0, lambda: True)
        elif counter % 10 == 0:
            await self._each_second()
        return self.should_exit or not self.server_state.connections or time.monotonic() >= self._leaves_at

    def _idle_seconds(self) -> float:
        return self.config.timeout_keep_alive + LATE_SECONDS

    async def let_clients_know(self, timeout_seconds: float | None) -> float | None:
        """Let idle connections ask once more: other workers may have taken over, and no request shall be lost by that."""
        if self._leaves_at is not None:
            return await super().let_clients_know(timeout_seconds)
        seconds = self._idle_seconds()
        if timeout_seconds:
            seconds = min(seconds, timeout_seconds / 2)
        began = time.monotonic()
        await wind_down(self.server_state, seconds, lambda: self.force_exit)
        return max(timeout_seconds - (time.monotonic() - began), 0.1) if timeout_seconds else timeout_seconds


class PicocornWorker(Worker):  # type: ignore[misc]
    """Serves an ASGI application as one of gunicorn's workers. Subclasses may set `CONFIG_KWARGS`: options of `Config`."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "auto", "http": "auto"}

    #: where workers that accept on the same sockets keep the numbers of their connections; made by gunicorn's master
    _table: ShareTable | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.server: _Server | None = None
        self._use_log()
        try:
            options = options_of(self.cfg)
            if self.cfg.max_requests > 0:
                # With gunicorn's own jitter.
                options["limit_max_requests"] = self.max_requests
            self.config = Config(**{**options, **self.CONFIG_KWARGS})
        except ConfigError as error:
            # In gunicorn's master: the next worker would fail as this one.
            raise HaltServer(str(error), Arbiter.WORKER_BOOT_ERROR) from None
        self.share = self._take_share()

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Called by gunicorn at its start: say which settings have no effect here."""
        for name in _WITHOUT_EFFECT:
            if _is_changed(cfg, name):
                log.warning("The setting %s has no effect on %s.", name, cls.__name__)

    def _use_log(self) -> None:
        """Have the server log where gunicorn does."""
        for name, log in (("picocorn", self.log.error_log), ("picocorn.access", self.log.access_log)):
            logger = logging.getLogger(name)
            # The very lists, so that a handler that somebody adds is there for both.
            logger.handlers = log.handlers
            logger.setLevel(log.level)
            logger.propagate = False

    def _take_share(self) -> Share | None:
        """A place among the workers of the same sockets. Called in gunicorn's master, before the fork."""
        if not NATIVE or not hasattr(os, "memfd_create") or self.cfg.reuse_port:
            return None
        if PicocornWorker._table is None:
            PicocornWorker._table = ShareTable()
        table = PicocornWorker._table
        number = table.take()
        # gunicorn lets go of a worker that has ended. The workers have copies of it, which are nobody's business.
        weakref.finalize(self, _give_back, table, number, os.getpid()).atexit = False
        return Share(table, number) if number >= 0 else None

    # -- called by gunicorn in the worker's process

    def load_wsgi(self) -> None:
        """Import the application. Under --reload one that cannot be compiled is shown as a page, until it is saved anew."""
        try:
            self.wsgi = self.app.wsgi()
        except SyntaxError as error:
            if not self.cfg.reload:
                raise
            self.log.exception(error)
            if self.reloader is not None and error.filename is not None:
                self.reloader.add_extra_file(error.filename)
            self.wsgi = _page("".join(traceback.format_exception(error)))

    def init_signals(self) -> None:
        """As gunicorn's other workers."""
        super().init_signals()
        # To gunicorn's pipe, which is for the reloader alone here: event loops have a way of their own to be woken.
        signal.set_wakeup_fd(-1)

    def run(self) -> None:
        """Serve until told to stop. Exits with gunicorn's WORKER_BOOT_ERROR if it cannot, so that gunicorn ends too."""
        self.config.app = self.wsgi
        self.server = server = _Server(self.config, self)
        # Told to stop while the application was imported.
        server.should_exit = not self.alive
        try:
            serve_here(server, [getattr(one, "sock", one) for one in self.sockets])
        except ConfigError as error:
            self.log.error("%s", error)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        finally:
            # gunicorn repeats it to those that it wants to be rid of. Our handler is not there to the very end.
            signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: wind up within the graceful timeout."""
        super().handle_exit(sig, frame)
        if self.server is not None:
            self.server.signalled(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGQUIT and SIGINT: end at once, without the application's shutdown."""
        if self.server is None:
            super().handle_quit(sig, frame)
            return
        if self.server.force_exit:
            return
        self.alive = False
        self.cfg.worker_int(self)
        self.server.force_exit = True
        self.server.signalled(sig, frame)

    def handle_abort(self, sig: int, frame: FrameType | None) -> None:
        """SIGABRT: gunicorn has missed the heartbeats. Say where the main thread is, and end."""
        where = "".join(traceback.format_stack(frame)) if frame is not None else ""
        self.log.critical("Worker (pid:%s) is stuck here:\n%s", self.pid, where)
        super().handle_abort(sig, frame)


class PicocornPureWorker(PicocornWorker):
    """The same with the pure-Python protocol, on asyncio's own event loop."""

    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"loop": "asyncio", "http": "pure"}


def options_of(cfg: Any) -> dict[str, Any]:
    """The options of `Config` that the settings of gunicorn lead to. Raises ConfigError for what it has none for."""
    options: dict[str, Any] = {
        "app": None,
        "log_config": None,
        "workers": 1,
        "backlog": cfg.backlog,
        "timeout_keep_alive": cfg.keepalive,
        "timeout_graceful_shutdown": _graceful_seconds(cfg.graceful_timeout),
        "forwarded_allow_ips": cfg.forwarded_allow_ips,
    }
    options.update({ours: cfg.settings[name].get() for name, ours in _SETTINGS.items() if _is_changed(cfg, name)})
    if _is_changed(cfg, "http_protocols"):
        options["http2"] = "h2" in cfg.http_protocols
    if _is_changed(cfg, "proxy_protocol"):
        # Both versions; and gunicorn trusts whoever may connect to a Unix socket.
        options.update(proxy_protocol=True, proxy_protocol_allow_ips=[*cfg.proxy_allow_ips, "unix:"])
    if cfg.is_ssl:
        options.update(ssl_certfile=cfg.certfile, ssl_keyfile=cfg.keyfile)
        for name, ours in _TLS_SETTINGS.items():
            if _is_changed(cfg, name):
                value = cfg.settings[name].get()
                # Members of enumerations of `ssl`, as a configuration file may have them, are numbers there.
                options[ours] = int(value) if isinstance(value, int) else value
        if _is_changed(cfg, "ssl_context"):
            options["ssl_context_factory"] = lambda _config, default: cfg.ssl_context(cfg, default)
    known = inspect.signature(Config).parameters
    for name in options:
        if name not in known:
            raise ConfigError(f"picocorn has no option {name}, which gunicorn's settings ask for.")
    return options


def _graceful_seconds(seconds: float) -> float:
    """What requests get of gunicorn's graceful timeout: at its end gunicorn kills, and the application's shutdown comes last."""
    return float(max(0.1, seconds - min(LAST_STEPS_SECONDS, seconds / 4)))


def _is_changed(cfg: Any, name: str) -> bool:
    """Whether a setting, if this gunicorn has it, is another than by default."""
    setting = cfg.settings.get(name)
    if setting is None:
        return False
    # A default goes the way that values go: texts become numbers or lists, functions lose their wrapping.
    plain = type(setting)().get() if not callable(setting.get()) else setting.default
    return bool(setting.get() != plain)


def _give_back(table: ShareTable, number: int, process_id: int) -> None:
    if os.getpid() == process_id:
        table.give_back(number)


def _page(text: str) -> Any:
    """An application that answers everything with `text`, status 500."""
    body = text.encode()

    async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(f"{scope['type']} is not served here")
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 500, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app
