"""`Config`: what options lead to, and what is said when they cannot."""

from __future__ import annotations

import asyncio
import copy
import inspect
import logging
import os
import pickle
import socket
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

import picocorn
from picocorn.asgi.adapters import ASGI2Middleware, WSGIMiddleware
from picocorn.asgi.lifespan import LifespanOff, LifespanOn
from picocorn.asgi.proxy_headers import ProxyHeadersMiddleware
from picocorn.base.errors import ConfigError
from picocorn.base.limits import WebSocketLimits
from picocorn.base.native import NATIVE
from picocorn.connection.http1 import HTTP1Protocol
from picocorn.connection.http1_py import HTTP1Protocol as PureHTTP1Protocol
from picocorn.connection.websocket_http1 import WebSocketProtocol
from picocorn.connection.websocket_http1_py import WebSocketProtocol as PureWebSocketProtocol
from picocorn.server.config import STARTUP_FAILURE, Config
from picocorn.server.log_config import LOGGING_CONFIG
from picocorn.server.message_logger import MessageLoggerMiddleware


async def app(scope: Any, receive: Any, send: Any) -> None: ...


class ASGI2:
    def __init__(self, scope: Any) -> None: ...


def wsgi(environ: Any, start_response: Any) -> list[bytes]:
    return []


def factory() -> Any:
    return app


def failing_factory() -> Any:
    raise TypeError("inside")


async def coroutine_factory() -> Any:
    return app


def takes_much(a: Any, b: Any, c: Any, d: Any) -> None: ...


def wrapper(*args: Any, **kwargs: Any) -> Any:
    raise TypeError("this was no call of a factory")


def loaded(application: Any, **options: Any) -> Config:
    config = Config(application, **{"log_config": None, **options})
    config.load()
    return config


def failure(call: Any, caplog: pytest.LogCaptureFixture) -> str:
    """The one line that is logged before the exit."""
    caplog.clear()
    with pytest.raises(SystemExit) as caught:
        call()
    assert caught.value.code == STARTUP_FAILURE
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    return record.getMessage()


def test_run_takes_what_config_takes() -> None:
    ours = {name: repr(p) for name, p in inspect.signature(Config).parameters.items()}
    runs = {name: repr(p) for name, p in inspect.signature(picocorn.run).parameters.items()}
    assert runs.pop("app_dir")
    assert {name: p for name, p in ours.items() if name not in ("timeout_notify", "callback_notify")} == runs


#: The parameters of uvicorn's `Config`, in their order.
UVICORNS = """
    app host port uds fd loop http http2 ws ws_max_size ws_max_queue ws_ping_interval ws_ping_timeout ws_per_message_deflate
    lifespan env_file log_config log_level access_log use_colors interface reload reload_dirs reload_delay reload_includes
    reload_excludes workers proxy_headers server_header date_header forwarded_allow_ips root_path limit_concurrency
    limit_max_requests limit_max_requests_jitter backlog timeout_keep_alive timeout_notify timeout_graceful_shutdown
    timeout_worker_healthcheck callback_notify ssl_keyfile ssl_certfile ssl_keyfile_password ssl_version ssl_cert_reqs
    ssl_ca_certs ssl_ciphers ssl_context_factory headers factory h11_max_incomplete_event_size reset_contextvars
"""


def test_positional_arguments_are_uvicorns() -> None:
    config = Config("module:app", "0.0.0.0", 80, log_config=None)
    assert (config.host, config.port) == ("0.0.0.0", 80)
    parameters = inspect.signature(Config).parameters
    positional = [name for name, one in parameters.items() if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional == [name for name in UVICORNS.split() if name in parameters]


def test_the_defaults_are_uvicorns() -> None:
    config = Config("module:app", log_config=None)
    assert (config.host, config.port, config.uds, config.fd) == ("127.0.0.1", 8000, None, None)
    assert (config.backlog, config.timeout_keep_alive, config.root_path) == (2048, 5, "")
    assert (config.loaded, config.should_reload, config.is_ssl, config.use_subprocess) == (False, False, False, False)
    assert config.headers == []
    assert inspect.signature(Config).parameters["log_config"].default is not LOGGING_CONFIG
    assert Config("module:app").log_config is LOGGING_CONFIG


def test_it_can_be_pickled() -> None:
    config = Config("module:app", port=81, headers=[("x-a", "1")])
    copied = pickle.loads(pickle.dumps(config))
    assert (copied.app, copied.port, copied.headers) == ("module:app", 81, [("x-a", "1")])
    copied.configure_logging()


# -- headers


@pytest.mark.parametrize(
    ("headers", "options", "encoded"),
    [
        (None, {}, [(b"server", b"picocorn")]),
        ([("X-A", "1")], {}, [(b"server", b"picocorn"), (b"x-a", b"1")]),
        (["X-A: 1", "x-a:2"], {}, [(b"server", b"picocorn"), (b"x-a", b"1"), (b"x-a", b"2")]),
        ([("Server", "mine")], {}, [(b"server", b"mine")]),
        ([], {"server_header": False}, []),
        ([("x-a", "ü")], {"server_header": False}, [(b"x-a", "ü".encode("latin-1"))]),
    ],
)
def test_headers(headers: Any, options: Any, encoded: Any) -> None:
    assert loaded(app, headers=headers, **options).encoded_headers == encoded


@pytest.mark.parametrize("header", ["no colon", ":", " : x", ("a",), ("a", "b", "c"), (b"a", b"b")])
def test_wrong_headers(header: Any) -> None:
    with pytest.raises(ConfigError, match=r"Invalid value for '--header'"):
        Config(app, headers=[header], log_config=None)


@pytest.mark.parametrize("header", [("x-a", "€"), ("x a", "1"), ("x-a", "1\r\nx-b: 2"), ("content-length", "x")])
def test_headers_that_cannot_be_sent(header: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=r"Invalid value for '--header'.* cannot be sent: ") as caught:
        Config(app, headers=[header], log_config=None)
    assert "\n" not in str(caught.value)


# -- names that uvicorn uses


def test_uvicorns_parsers(caplog: pytest.LogCaptureFixture) -> None:
    assert Config(app, http="h11", log_config=None).http_protocol_class is PureHTTP1Protocol
    assert caplog.messages == ["--http h11 is called --http pure here."]
    caplog.clear()
    assert Config(app, http="httptools", log_config=None).http_protocol_class is HTTP1Protocol
    assert caplog.messages == [f"--http httptools is called --http {'native' if NATIVE else 'auto'} here."]
    assert Config(app, http="zttp", http2=True, log_config=None).http_protocol_class is HTTP1Protocol


def test_native_where_it_was_not_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picocorn.server.config.NATIVE", False)
    with pytest.raises(ConfigError, match=r"--http.*compiled extensions"):
        Config(app, http="native", log_config=None)


def test_h11_max_incomplete_event_size(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(app, h11_max_incomplete_event_size=1000, log_config=None)
    assert config.limits.request_head_bytes == 1000
    assert caplog.messages == ["--h11-max-incomplete-event-size is called --limit-request-head here."]


def test_limits() -> None:
    limits = Config(
        app,
        limit_request_line=100,
        limit_request_fields=5,
        limit_request_head="2k",
        limit_request_body="1m",
        log_config=None,
    ).limits
    assert (limits.request_line_bytes, limits.request_fields) == (100, 5)
    assert (limits.request_head_bytes, limits.request_body_bytes) == (2048, 1 << 20)


# -- protocol, lifespan, loop


class CustomProtocol(asyncio.Protocol): ...


def test_protocol_classes(caplog: pytest.LogCaptureFixture) -> None:
    assert Config(app, log_config=None).http_protocol_class is HTTP1Protocol
    assert Config(app, http="pure", log_config=None).http_protocol_class is PureHTTP1Protocol
    assert Config(app, http=CustomProtocol, log_config=None).http_protocol_class is CustomProtocol
    assert Config(app, http="asyncio:Protocol", log_config=None).http_protocol_class is asyncio.Protocol
    config = Config(app, http="asyncio:Nothing", log_config=None)
    said = failure(config.load, caplog)
    assert said == 'Error loading HTTP protocol class. Attribute "Nothing" not found in module "asyncio".'


class CustomWebSocket: ...


class OurHTTP(HTTP1Protocol): ...


def test_websocket_classes(caplog: pytest.LogCaptureFixture) -> None:
    for options, expected in (
        ({}, WebSocketProtocol),
        ({"ws": "pure"}, PureWebSocketProtocol),
        ({"http": "pure"}, PureWebSocketProtocol),
        ({"http": "pure", "ws": CustomWebSocket}, CustomWebSocket),
        ({"ws": "none"}, None),
        ({"ws": None}, None),
        ({"interface": "wsgi"}, None),
        ({"ws": "asyncio:Protocol"}, asyncio.Protocol),
        ({"http": OurHTTP}, WebSocketProtocol),
        # A protocol class written for uvicorn could not hand a connection on to ours.
        ({"http": CustomProtocol}, None),
        ({"http": CustomProtocol, "ws": "pure"}, None),
        ({"http": CustomProtocol, "ws": CustomWebSocket}, CustomWebSocket),
    ):
        assert Config(app, log_config=None, **options).ws_protocol_class is expected, options
    config = Config(app, ws="asyncio:Nothing", log_config=None)
    said = failure(config.load, caplog)
    assert said == 'Error loading WebSocket protocol class. Attribute "Nothing" not found in module "asyncio".'


def test_uvicorns_websocket_names(caplog: pytest.LogCaptureFixture) -> None:
    assert Config(app, ws="wsproto", log_config=None).ws_protocol_class is PureWebSocketProtocol
    assert Config(app, ws="websockets-sansio", log_config=None).ws_protocol_class is WebSocketProtocol
    native = "native" if NATIVE else "auto"
    assert caplog.messages == [
        "--ws wsproto is called --ws pure here.",
        f"--ws websockets-sansio is called --ws {native} here.",
    ]


def test_limits_of_websockets() -> None:
    options: dict[str, Any] = {"ws_max_size": 1000, "ws_max_queue": 5, "ws_ping_interval": None, "ws_ping_timeout": 3}
    assert Config(app, log_config=None, **options).websocket_limits == WebSocketLimits(
        max_size_bytes=1000, max_queue=5, ping_interval_seconds=0.0, ping_timeout_seconds=3
    )
    assert not Config(app, log_config=None, ws_per_message_deflate=False).websocket_limits.deflate


@pytest.mark.parametrize(("lifespan", "expected"), [("auto", LifespanOn), ("on", LifespanOn), ("off", LifespanOff)])
def test_lifespan_classes(lifespan: str, expected: Any) -> None:
    assert Config(app, lifespan=lifespan, log_config=None).lifespan_class is expected


def make_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop()


def test_loops(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Config(app, loop="none", log_config=None).get_loop_factory() is None
    assert Config(app, loop="asyncio", log_config=None).get_loop_factory() is asyncio.SelectorEventLoop
    monkeypatch.setitem(sys.modules, "loops_of_a_test", sys.modules[__name__])
    assert Config(app, loop="loops_of_a_test:make_loop", log_config=None).get_loop_factory() is make_loop
    wrong = Config(app, loop="loops_of_a_test:nothing", log_config=None)
    assert failure(wrong.get_loop_factory, caplog) == (
        'Error loading custom loop setup function. Attribute "nothing" not found in module "loops_of_a_test".'
    )
    assert "not callable" in failure(Config(app, loop="os:name", log_config=None).get_loop_factory, caplog)


def test_uvloop(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    uvloop = pytest.importorskip("uvloop")
    for loop in ("auto", "uvloop"):
        assert Config(app, loop=loop, log_config=None).get_loop_factory() is uvloop.new_event_loop
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert Config(app, loop="auto", log_config=None).get_loop_factory() is asyncio.SelectorEventLoop
    assert failure(Config(app, loop="uvloop", log_config=None).get_loop_factory, caplog) == (
        "--loop uvloop needs the package uvloop: pip install uvloop"
    )


# -- the application


def test_what_is_put_around_the_application() -> None:
    config = loaded(app)
    assert config.loaded
    assert isinstance(config.loaded_app, ProxyHeadersMiddleware)
    assert config.loaded_app.app is app
    assert (config.interface, config.asgi_version) == ("asgi3", "3.0")
    assert loaded(app, proxy_headers=False).loaded_app is app
    traced = loaded(app, log_level="trace").loaded_app
    assert isinstance(traced, ProxyHeadersMiddleware)
    assert isinstance(traced.app, MessageLoggerMiddleware)


def test_interfaces() -> None:
    config = loaded(ASGI2, proxy_headers=False)
    assert isinstance(config.loaded_app, ASGI2Middleware)
    assert (config.interface, config.asgi_version) == ("asgi2", "2.0")
    config = loaded(wsgi, interface="wsgi", proxy_headers=False)
    assert isinstance(config.loaded_app, WSGIMiddleware)
    assert config.asgi_version == "3.0"


def test_factories(caplog: pytest.LogCaptureFixture) -> None:
    assert loaded(factory, factory=True, proxy_headers=False).loaded_app is app
    assert caplog.messages == []
    assert loaded(factory, proxy_headers=False).loaded_app is app
    assert caplog.messages == ["ASGI app factory detected. Using it, but please consider setting the --factory flag explicitly."]
    with pytest.raises(TypeError, match="inside"):
        loaded(failing_factory, factory=True)
    with pytest.raises(TypeError, match="inside"):
        loaded(failing_factory)
    # What takes anything may be an application.
    assert isinstance(loaded(wrapper, proxy_headers=False).loaded_app, ASGI2Middleware)
    assert "missing 4 required positional" in failure(lambda: loaded(takes_much, factory=True), caplog)
    assert "coroutine function" in failure(lambda: loaded(coroutine_factory, factory=True), caplog)


@pytest.mark.parametrize(
    ("application", "said"),
    [
        ("os:name", "is not callable, so it is no ASGI application: it is of type str."),
        (takes_much, "takes neither (scope, receive, send) nor (scope)"),
        (wsgi, "use --interface wsgi"),
        ("not_there:app", 'Error loading ASGI app. Could not import module "not_there".'),
        ("os:not_there", 'Error loading ASGI app. Attribute "not_there" not found in module "os".'),
        ("os", 'Error loading ASGI app. Import string "os" must be in format "<module>:<attribute>".'),
    ],
)
def test_what_is_no_application(application: Any, said: str, caplog: pytest.LogCaptureFixture) -> None:
    line = failure(lambda: loaded(application), caplog)
    assert line.startswith("Error loading ASGI app. ")
    assert said in line
    assert "\n" not in line


# -- environment


def test_trusted_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    assert Config(app, log_config=None).forwarded_allow_ips == "127.0.0.1,::1"
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    assert Config(app, log_config=None).forwarded_allow_ips == "10.0.0.1"
    assert Config(app, forwarded_allow_ips="*", log_config=None).forwarded_allow_ips == "*"


@pytest.mark.parametrize("value", ["10.0.0.5/24", ["10.0.0.0/8", "localhost"], "10.0.0.0/33"])
def test_proxies_that_are_no_addresses(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"'--proxy-protocol-allow-ips': '.*' is neither an address nor a network"):
        Config(app, proxy_protocol_allow_ips=value, log_config=None)
    for right in ("*", "unix:,127.0.0.1", ["::1", "10.0.0.0/8"], ""):
        Config(app, proxy_protocol_allow_ips=right, log_config=None)


def test_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("PICOCORN_TEST_OLD", "kept")
    monkeypatch.setenv("PICOCORN_TEST_NEW", "for monkeypatch to undo")
    monkeypatch.delenv("PICOCORN_TEST_NEW")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    path = tmp_path / ".env"
    path.write_text("PICOCORN_TEST_NEW=1\nPICOCORN_TEST_OLD=2\nFORWARDED_ALLOW_IPS=10.0.0.9\n")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "for monkeypatch to undo")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS")
    caplog.set_level(logging.INFO, "picocorn.error")
    config = Config(app, env_file=path, log_config=None)
    assert (os.environ["PICOCORN_TEST_NEW"], os.environ["PICOCORN_TEST_OLD"]) == ("1", "kept")
    assert config.forwarded_allow_ips == "10.0.0.9"
    assert caplog.messages == [f"Loading environment from '{path}'"]


def test_env_file_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"Invalid value for '--env-file': File .* does not exist"):
        Config(app, env_file=tmp_path / "none", log_config=None)
    (tmp_path / ".env").write_text("")
    monkeypatch.setitem(sys.modules, "dotenv", None)
    with pytest.raises(ConfigError, match=r"Invalid value for '--env-file': needs .* pip install python-dotenv"):
        Config(app, env_file=str(tmp_path / ".env"), log_config=None)


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"A=\xff\n", "can't decode byte 0xff"), (b"PICOCORN_TEST_NUL=a\0b\n", "embedded null byte"), (None, "Is a directory")],
)
def test_env_file_that_is_none(content: bytes | None, why: str, tmp_path: Path) -> None:
    path = tmp_path / ".env"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"Invalid value for '--env-file': .*{why}"):
        Config(app, env_file=path, log_config=None)


# -- logging


def test_access_log_off() -> None:
    Config(app, access_log=False)
    assert not logging.getLogger("uvicorn.access").hasHandlers()


def test_a_changed_copy_of_the_default() -> None:
    changed = copy.deepcopy(LOGGING_CONFIG)
    changed["formatters"]["default"]["fmt"] = "%(message)s"
    Config(app, log_config=changed, log_level="WARNING", use_colors=False)
    logger = logging.getLogger("uvicorn.error")
    assert logger.level == logging.WARNING
    assert logging.getLogger("uvicorn").handlers[0].formatter.use_colors is False  # type: ignore[union-attr]


# -- what others are told


@pytest.mark.parametrize("path", ["healthz", "", "/a b", "/a?b", "/a#b", "/\u00e4", "/a\n"])
def test_health_check_paths_that_no_request_has(path: str) -> None:
    with pytest.raises(ConfigError, match=r"'--health-check-path': .* is no path as it stands in a request"):
        Config(app, health_check_path=path, log_config=None)


@pytest.mark.parametrize("path", ["/", "/healthz", "/a%20b;c=d"])
def test_health_check_paths(path: str) -> None:
    config = Config(app, health_check_path=path, log_config=None)
    config.load()
    assert config.health_check_path == path


def test_somebody_elses_protocol_class_answers_no_health_checks(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(app, http="asyncio:Protocol", health_check_path="/healthz", log_config=None)
    assert "--health-check-path needs one of picocorn's own protocol classes" in failure(config.load, caplog)


# -- sockets


def test_bind_socket(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    with Config(app, port=0, log_config=None).bind_socket() as sock:
        host, port = sock.getsockname()
        assert (host, sock.get_inheritable()) == ("127.0.0.1", True)
        assert caplog.messages == [f"Picocorn running on http://127.0.0.1:{port} (Press CTRL+C to quit)"]
        # Linux lets two sockets have an address until one of them listens.
        sock.listen()
        said = failure(Config(app, port=port, log_config=None).bind_socket, caplog)
        assert said.endswith("address already in use")
        caplog.clear()
        with Config(app, fd=sock.fileno(), log_config=None).bind_socket():
            assert caplog.messages == [f"Picocorn running on socket ('127.0.0.1', {port}) (Press CTRL+C to quit)"]
    caplog.clear()
    path = tmp_path / "s"
    with Config(app, uds=str(path), log_config=None).bind_socket() as sock:
        assert sock.family == socket.AF_UNIX
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert caplog.messages == [f"Picocorn running on unix socket {path} (Press CTRL+C to quit)"]


# -- processes


@pytest.fixture
def no_concurrency(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without WEB_CONCURRENCY, whoever has set it."""
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    return monkeypatch


def test_number_of_workers(no_concurrency: pytest.MonkeyPatch) -> None:
    assert (Config(app, log_config=None).workers, Config(app, workers=3, log_config=None).workers) == (1, 3)
    no_concurrency.setenv("WEB_CONCURRENCY", "2")
    assert (Config(app, log_config=None).workers, Config(app, workers=3, log_config=None).workers) == (2, 3)
    no_concurrency.setenv("WEB_CONCURRENCY", "")
    assert Config(app, log_config=None).workers == 1


@pytest.mark.parametrize("value", ["x", "0", "-1", "1.5"])
def test_a_wrong_number_of_workers_in_the_environment(value: str, no_concurrency: pytest.MonkeyPatch) -> None:
    no_concurrency.setenv("WEB_CONCURRENCY", value)
    with pytest.raises(ConfigError, match=f"Invalid value for WEB_CONCURRENCY: '{value}' is no number of workers"):
        Config(app, log_config=None)


def test_what_needs_a_supervisor(no_concurrency: pytest.MonkeyPatch) -> None:
    def needed(**options: Any) -> bool:
        return Config("module:app", log_config=None, **options).needs_supervisor

    assert not needed()
    assert not needed(workers=1)
    assert needed(workers=2)
    assert needed(limit_worker_lifetime=60)
    assert not needed(limit_worker_lifetime=0)
    assert needed(limit_worker_rss="1g")
    assert needed(timeout_worker_hung=60)


def test_a_configuration_can_be_handed_to_workers() -> None:
    config = Config("module:app", headers=[("a", "b")], limit_worker_rss="1g", log_config=None)
    copied = pickle.loads(pickle.dumps(config))
    assert vars(copied) == vars(config)


# -- HTTP/2


def test_http2_is_spoken_where_it_can_be(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def speaks(**options: Any) -> bool:
        caplog.clear()
        settings = Config(app, log_config=None, **options)
        assert settings.alpn_protocols == (["h2", "http/1.1"] if settings.speaks_http2 else ["http/1.1"])
        return settings.speaks_http2

    assert speaks()
    assert speaks(http2=True, http="pure")
    assert not speaks(http2=False)
    assert not speaks(http=asyncio.Protocol)
    assert not caplog.messages
    monkeypatch.setattr("picocorn.http2.engine._engine", lambda: "")
    monkeypatch.setattr("picocorn.server.config.find_spec", lambda name: None)
    assert not speaks()
    assert not caplog.messages
    for http in ("auto", "pure"):
        assert not speaks(http2=True, http=http)
        assert "pip install 'picocorn[http2]'" in caplog.text


@pytest.mark.parametrize("engine", ["h2", ""])
def test_a_library_that_cannot_be_loaded_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, engine: str
) -> None:
    monkeypatch.setattr("picocorn.http2.engine._engine", lambda: engine)
    monkeypatch.setattr("picocorn.http2.engine.load_error", lambda: "libnghttp2.so.14: not there")
    for options in ({"http2": False}, {"http": "pure"}, {"http": asyncio.Protocol}):
        Config(app, log_config=None, **options).load()
    assert not caplog.messages
    Config(app, log_config=None).load()
    instead = "over the package h2" if engine else "no HTTP/2"
    assert caplog.messages == [
        f"libnghttp2 was there at the build and cannot be loaded now: serving {instead}. libnghttp2.so.14: not there"
    ]


def test_limits_of_http2() -> None:
    config = Config(
        app,
        log_config=None,
        limit_request_fields=5,
        http2_max_concurrent_streams=7,
        http2_max_headers_size="8k",
        http2_initial_stream_window_size="100k",
        http2_initial_connection_window_size="200k",
        http2_lent_window_size="2m",
    )
    limits = config.http2_limits
    assert (limits.max_concurrent_streams, limits.header_list_bytes, limits.request_fields) == (7, 8192, 5)
    assert (limits.stream_window_bytes, limits.connection_window_bytes) == (102400, 204800)
    assert limits.lent_window_bytes == 2097152
    assert Config(app, log_config=None, http2_lent_window_size=0).http2_limits.lent_window_bytes == 0
    with pytest.raises(ConfigError, match="--http2-initial-connection-window-size"):
        Config(app, log_config=None, http2_initial_connection_window_size=100)
