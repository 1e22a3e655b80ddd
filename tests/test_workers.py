"""What gunicorn's settings come to in `picocorn.workers`; the worker itself is seen in `e2e/test_gunicorn.py`."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from certificates import authority, write_pair
from picocorn.base.errors import ConfigError
from picocorn.base.native import NATIVE
from picocorn.server.config import Config
from picocorn.workers import PicocornWorker, options_of

gunicorn_log = pytest.importorskip("gunicorn.glogging", exc_type=ImportError)
gunicorn_config = pytest.importorskip("gunicorn.config", exc_type=ImportError)


def settings(**changed: Any) -> Any:
    cfg = gunicorn_config.Config()
    for name, value in changed.items():
        cfg.set(name, value)
    return cfg


def test_settings_that_were_left_alone() -> None:
    options = options_of(settings(forwarded_allow_ips="10.0.0.1"))
    assert options == {
        "app": None,
        "log_config": None,
        "workers": 1,
        "backlog": 2048,
        "timeout_keep_alive": 2,
        # Of 30, so that the application's shutdown has some of it.
        "timeout_graceful_shutdown": 26.0,
        "forwarded_allow_ips": ["10.0.0.1"],
    }


def test_settings_that_were_changed() -> None:
    changed = {
        "keepalive": 7,
        "graceful_timeout": 0,
        "limit_request_line": 8000,
        "limit_request_fields": 50,
        "root_path": "/api",
        "asgi_loop": "asyncio",
        "asgi_lifespan": "on",
        "websocket_max_message_size": 1000,
        "proxy_protocol": "v2",
        "proxy_allow_ips": "10.0.0.0/8",
        "http_protocols": "h2,h1",
        "http2_max_concurrent_streams": 10,
    }
    config = Config(**options_of(settings(**changed)))
    assert (config.timeout_keep_alive, config.timeout_graceful_shutdown) == (7, 0.1)
    assert (config.limits.request_line_bytes, config.limits.request_fields) == (8000, 50)
    assert (config.root_path, config.loop, config.lifespan, config.ws_max_size) == ("/api", "asyncio", "on", 1000)
    assert (config.http2, config.http2_max_concurrent_streams) == (True, 10)
    assert (config.proxy_protocol, config.proxy_protocol_allow_ips) == (True, ["10.0.0.0/8", "unix:"])


def test_tls(tmp_path: Path) -> None:
    authority().cert_pem.write_to_path(tmp_path / "ca.pem")
    certificate, key = write_pair(tmp_path, "localhost")

    def context(cfg: Any, default: Any) -> ssl.SSLContext:
        made: ssl.SSLContext = default()
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        return made

    verified = {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": str(tmp_path / "ca.pem"), "ciphers": "ECDHE+AESGCM"}
    config = Config(**options_of(settings(certfile=certificate, keyfile=key, **verified, ssl_context=context)))
    assert config.is_ssl
    assert (config.ssl_cert_reqs, config.ssl_ca_certs, config.ssl_ciphers) == (2, verified["ca_certs"], "ECDHE+AESGCM")
    assert config.ssl_context_factory is not None
    assert config.ssl_context_factory(config, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).minimum_version == 772


def test_settings_without_effect_are_told(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("test.gunicorn")
    PicocornWorker.check_config(settings(threads=4, pre_request=lambda worker, request: None), log)
    assert caplog.messages == [f"The setting {name} has no effect on PicocornWorker." for name in ("pre_request", "threads")]


def test_a_setting_that_needs_an_option_which_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("picocorn.workers._SETTINGS", {"threads": "number_of_threads"})
    with pytest.raises(ConfigError, match="no option number_of_threads"):
        options_of(settings(threads=4))


@pytest.mark.skipif(not NATIVE, reason="the loop's own transports accept as it happens")
def test_workers_have_places_among_those_who_accept_on_the_same_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    # It would have our loggers share the lists of gunicorn's for all tests to come.
    monkeypatch.setattr(PicocornWorker, "_use_log", lambda self: None)
    cfg = settings()
    log = gunicorn_log.Logger(cfg)

    def worker() -> PicocornWorker:
        return PicocornWorker(1, 0, [], None, 15.0, cfg, log)

    first, second = worker(), worker()
    assert first.share.table is second.share.table
    numbers = {first.share.number, second.share.number}
    assert len(numbers) == 2
    # gunicorn lets go of one that has ended: its place is for the next.
    for ended in (first, second):
        ended.tmp.close()
    del first, second, ended
    third = worker()
    assert third.share.number in numbers
    alone = PicocornWorker(1, 0, [], None, 15.0, settings(reuse_port=True), log)
    assert alone.share is None
    for left in (third, alone):
        left.tmp.close()
