"""Which certificate a client is shown, and which when its files change; what options about TLS have to go together."""

from __future__ import annotations

import logging
import os
import pickle
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import picocorn
from certificates import Pair, authority, issued, server_context, write_pair
from picocorn.base.errors import ConfigError
from picocorn.server import tls_certificates
from picocorn.server.tls_certificates import Certificates


async def app(scope: Any, receive: Any, send: Any) -> None: ...


def config(*pairs: Pair, **options: Any) -> picocorn.Config:
    files = {"ssl_certfile": [pair[0] for pair in pairs], "ssl_keyfile": [pair[1] for pair in pairs]} if pairs else {}
    return picocorn.Config(app, log_config=None, **{**files, **options})


def shown(certificates: Certificates, name: str | None) -> str:
    """The certificate (PEM) that a client is shown who asks for `name`."""
    incoming, outgoing, back = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    client = context.wrap_bio(back, incoming, server_hostname=name)
    server = certificates.context().wrap_bio(incoming, outgoing, server_side=True)
    for _ in range(4):
        for end in (client, server):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
            back.write(outgoing.read())
    der = client.getpeercert(binary_form=True)
    assert der is not None
    text = ssl.DER_cert_to_PEM_cert(der)
    assert certificates.certificate_of(server.context) == text
    return text


def pem(pair: Pair) -> str:
    text = Path(pair[0]).read_text()
    return text[: text.index("-----END CERTIFICATE-----") + 26]


def renew(pair: Pair, *names: str) -> None:
    """Other files in the place of `pair`, as tools for it do: whole, one after the other."""
    new = write_pair(Path(pair[0]).parent, stem="renewed", certificate=authority().issue_cert(*names))
    for old, fresh in zip(pair, new, strict=True):
        os.replace(fresh, old)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the files each time."""
    monkeypatch.setattr(tls_certificates, "LOOK_SECONDS", -1.0)


def test_the_name_decides(tmp_path: Path) -> None:
    first = write_pair(tmp_path, "first.example", "*.wild.example", stem="first")
    second = write_pair(tmp_path, "second.example", "first.example", "deep.wild.example", stem="second")
    certificates = Certificates(config(first, second))
    for name, pair in {
        "first.example": first,
        "FIRST.example": first,
        "second.example": second,
        "a.wild.example": first,
        "deep.wild.example": second,
        "a.b.wild.example": first,
        "unknown.example": first,
        None: first,
    }.items():
        assert shown(certificates, name) == pem(pair), name
    assert certificates.has_name("a.wild.example")
    assert not certificates.has_name("wild.example")
    assert not certificates.has_name("a.b.wild.example")
    assert not certificates.has_name("unknown.example")


def test_changed_files_are_read_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    pair, other = write_pair(tmp_path, "a.example"), write_pair(tmp_path, "b.example", stem="other")
    certificates = Certificates(config(pair, other))
    before = shown(certificates, None)
    assert not caplog.messages
    renew(pair, "c.example")
    after = shown(certificates, None)
    assert after == pem(pair) != before
    assert shown(certificates, "b.example") == pem(other)
    assert shown(certificates, "c.example") == after
    assert caplog.messages == ["Read the certificates again."]


def test_a_broken_pair_changes_nothing_and_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pair = write_pair(tmp_path, "a.example")
    certificates = Certificates(config(pair))
    before = shown(certificates, None)
    key = Path(pair[1]).read_bytes()
    Path(pair[1]).write_bytes(issued("b.example").private_key_pem.bytes())
    for _ in range(3):
        assert shown(certificates, None) == before
    assert caplog.messages == [
        f"Cannot serve with the certificate {pair[0]} and {pair[1]}: key values mismatch. "
        "Serving with the certificates from before."
    ]
    caplog.clear()
    Path(pair[0]).unlink()
    assert shown(certificates, None) == before
    assert "No such file or directory" in caplog.text
    assert certificates.reload() is False
    write_pair(tmp_path, "a.example")
    Path(pair[1]).write_bytes(key)
    assert certificates.reload() is True
    assert shown(certificates, None) == before


def test_files_are_looked_at_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(tls_certificates.time, "monotonic", lambda: now)
    monkeypatch.setattr(tls_certificates, "LOOK_SECONDS", 2.0)
    pair = write_pair(tmp_path, "a.example")
    certificates = Certificates(config(pair))
    first = certificates.context()
    renew(pair, "a.example")
    assert certificates.context() is first
    now += 2.5
    assert certificates.context() is not first


def test_what_files_may_be_like(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, "a.example")
    both = tmp_path / "both.pem"
    both.write_bytes(Path(key).read_bytes() + Path(certificate).read_bytes())
    assert shown(Certificates(config(ssl_certfile=both)), None) == pem((certificate, key))
    for path, file in ((tmp_path / "no", ""), (tmp_path / "empty", "empty"), (tmp_path / "text", "text")):
        if file:
            path.write_text("" if file == "empty" else "hello")
        with pytest.raises(ConfigError, match=f"Cannot serve with the certificate {path}"):
            Certificates(config(ssl_certfile=str(path)))
    with pytest.raises(ConfigError, match="there is no certificate or no key in it, or not as PEM"):
        Certificates(config(ssl_certfile=certificate))
    with pytest.raises(ConfigError, match="Cannot verify clients with"):
        Certificates(config(ssl_certfile=both, ssl_ca_certs=key, ssl_cert_reqs=2))
    with pytest.raises(ConfigError, match="Invalid value for '--ssl-ciphers'"):
        Certificates(config(ssl_certfile=both, ssl_ciphers="NONE-OF-THEM"))
    with pytest.raises(ConfigError, match="Invalid value for '--ssl-version'"):
        Certificates(config(ssl_certfile=both, ssl_version=99))


def test_encrypted_keys(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as s

    certificate, key = write_pair(tmp_path, "a.example")
    loaded = s.load_pem_private_key(Path(key).read_bytes(), None)
    Path(key).write_bytes(
        loaded.private_bytes(s.Encoding.PEM, s.PrivateFormat.TraditionalOpenSSL, s.BestAvailableEncryption(b"secret"))
    )
    pair = (certificate, key)
    assert shown(Certificates(config(pair, ssl_keyfile_password="secret")), None) == pem(pair)
    with pytest.raises(ConfigError, match="Cannot serve with"):
        Certificates(config(pair, ssl_keyfile_password="wrong"))
    # And never a question on a terminal that nobody sits at.
    with pytest.raises(ConfigError, match="the key is encrypted, and there is no --ssl-keyfile-password"):
        Certificates(config(pair))


def test_the_contexts_are_safe(tmp_path: Path) -> None:
    context = Certificates(config(write_pair(tmp_path, "a.example"))).context()
    assert context.minimum_version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.MINIMUM_SUPPORTED)
    assert context.options & ssl.OP_NO_RENEGOTIATION
    assert context.options & ssl.OP_NO_COMPRESSION
    assert context.verify_mode is ssl.CERT_NONE


# -- the application's own contexts


def test_a_factory_makes_the_context(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "localhost")
    made: list[ssl.SSLContext] = []

    def factory(given: picocorn.Config, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        context = default()
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        made.append(context)
        return context

    certificates = Certificates(config(pair, ssl_context_factory=factory), ("http/1.1",))
    assert certificates.context() is made[0]
    assert shown(certificates, None) == pem(pair)
    assert certificates.reload()
    assert certificates.context() is made[1]


def test_a_factory_without_files() -> None:
    context = server_context("localhost")
    settings = config(ssl_context_factory=lambda config, default: context)
    assert settings.is_ssl
    certificates = Certificates(settings)
    assert certificates.context() is context
    assert certificates.certificate_of(context) is None
    assert certificates.has_name("whatever.example")
    settings.load()
    assert settings.ssl is context


def test_factories_that_fail(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigError, match=r"has to return an ssl\.SSLContext, not NoneType"):
        Certificates(config(ssl_context_factory=lambda config, default: None))
    with pytest.raises(ConfigError, match="needs '--ssl-certfile'"):
        Certificates(config(ssl_context_factory=lambda config, default: default()))
    contexts = iter([server_context()])
    certificates = Certificates(config(ssl_context_factory=lambda config, default: next(contexts)))
    assert certificates.reload() is False
    assert "Error in ssl_context_factory. Serving with the certificates from before." in caplog.text
    assert isinstance(certificates.context(), ssl.SSLContext)


# -- options that have to go together


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ssl_keyfile": "k"}, "Invalid value for '--ssl-keyfile': it needs --ssl-certfile."),
        ({"ssl_certfile": ["a", "b"], "ssl_keyfile": "k"}, "there are 1 for 2 of --ssl-certfile"),
        ({"hsts": 1}, "Invalid value for '--hsts': it needs --ssl-certfile."),
        ({"redirect_http": 80}, "Invalid value for '--redirect-http': it needs --ssl-certfile."),
        ({"redirect_http": 8000, "ssl_certfile": "a"}, "Invalid value for '--redirect-http': 8000 is the port of https."),
        (
            {"redirect_http": 9, "ssl_certfile": "a", "bind": ["a:8", "b:9"]},
            "--redirect-http': 9 is the port of",
        ),
        ({"ssl_certfile": "a", "ssl_cert_reqs": 2}, "Invalid value for '--ssl-cert-reqs': it needs --ssl-ca-certs"),
        ({"ssl_certfile": "a", "ssl_cert_reqs": 3}, "Invalid value for '--ssl-cert-reqs': 3 is none of 0, 1 and 2."),
    ],
)
def test_options_that_do_not_go_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        config(**options)


def test_a_configuration_with_certificates_goes_to_workers(tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "localhost")
    settings = picocorn.Config("module:app", log_config=None, ssl_certfile=pair[0], ssl_keyfile=Path(pair[1]))
    assert pickle.loads(pickle.dumps(settings)).ssl_pairs == [pair]


def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        config(ssl_certfile=str(tmp_path / "no.pem")).load()
    assert ended.value.code == 3
    assert caplog.messages == [f"Cannot serve with the certificate {tmp_path}/no.pem: No such file or directory."]
