"""The `tls` extension (ASGI X8): its six keys, as the handshake was."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from certificates import authority, child_authority, client_context, write_pair
from harness import RunningServer
from picocorn.transport.tls_facts import read_facts

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
#: Of IANA's registry.
SUITES = {"ECDHE-ECDSA-AES256-GCM-SHA384": 0xC02C, "TLS_AES_256_GCM_SHA384": 0x1302, "ECDHE-ECDSA-CHACHA20-POLY1305": 0xCCA9}


class Scopes:
    """An application that keeps the scopes it was called with, and spoils what it was given."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        tls = scope["extensions"].get("tls")
        self.seen.append({"scheme": scope["scheme"], "tls": None if tls is None else dict(tls)})
        if tls is not None:
            tls["client_cert_chain"] = list(tls["client_cert_chain"]).clear()
            tls.clear()
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close"})
            return
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})


Serve = Callable[..., AbstractContextManager[RunningServer]]


def pem_of(blob: Any) -> str:
    return blob.bytes().decode("ascii")


@pytest.mark.parametrize(("version", "number"), [(TLS12, 0x0303), (TLS13, 0x0304)], ids=["1.2", "1.3"])
def test_x8_without_a_client_certificate(serve: Serve, tmp_path: Path, version: ssl.TLSVersion, number: int) -> None:
    app = Scopes()
    pair = write_pair(tmp_path, "localhost")
    with serve(app, ssl_certfile=pair[0], ssl_keyfile=pair[1]) as server:
        client = server.connect(tls=client_context(version))
        for _ in range(2):
            assert client.request().status == 204
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", key)
        assert client.request(b"/", *upgrade).status == 403
        name = client.sock.cipher()[0]  # type: ignore[attr-defined]
    expected = {
        "server_cert": Path(pair[0]).read_text(),
        "client_cert_chain": [],
        "client_cert_name": None,
        "client_cert_error": None,
        "tls_version": number,
        "cipher_suite": SUITES[name],
    }
    assert app.seen == [
        {"scheme": "https", "tls": expected},
        {"scheme": "https", "tls": expected},
        {"scheme": "wss", "tls": expected},
    ]


@pytest.mark.parametrize("version", [TLS12, TLS13], ids=["1.2", "1.3"])
def test_x8_with_client_certificates(serve: Serve, tmp_path: Path, version: ssl.TLSVersion) -> None:
    app = Scopes()
    pair = write_pair(tmp_path, "localhost")
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(pem_of(authority().cert_pem))
    chained = child_authority().issue_cert("me@example.org", common_name="me, myself")
    alone = authority().issue_cert("you@example.org", common_name="you")
    options = {"ssl_certfile": pair[0], "ssl_keyfile": pair[1], "ssl_ca_certs": authorities}
    with serve(app, **options, ssl_cert_reqs=ssl.CERT_OPTIONAL) as server:
        resuming = client_context(version, chained)
        for context in (resuming, client_context(version, alone), client_context(version)):
            assert server.connect(tls=context).request().status == 204
    chain, one, none = [seen["tls"] for seen in app.seen]
    assert chain["client_cert_chain"] == [pem_of(chained.cert_chain_pems[0]), pem_of(child_authority().cert_pem)]
    assert chain["client_cert_name"].startswith("CN=me\\, myself,OU=")
    # OpenSSL's client adds what it knows by itself.
    assert one["client_cert_chain"] == [pem_of(alone.cert_chain_pems[0]), pem_of(authority().cert_pem)]
    assert one["client_cert_name"].startswith("CN=you,OU=")
    assert none["client_cert_chain"] == []
    assert none["client_cert_name"] is None
    assert {seen["tls"]["client_cert_error"] for seen in app.seen} == {None}


def test_x8_clients_that_are_not_let_in(serve: Serve, tmp_path: Path) -> None:
    app = Scopes()
    pair = write_pair(tmp_path, "localhost")
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(pem_of(authority().cert_pem))
    import trustme

    strange = trustme.CA().issue_cert("me@example.org")
    options = {"ssl_certfile": pair[0], "ssl_keyfile": pair[1], "ssl_ca_certs": authorities}
    with serve(app, **options, ssl_cert_reqs=ssl.CERT_REQUIRED) as server:
        for context in (
            client_context(TLS12),
            client_context(TLS12, strange),
            client_context(TLS13),
            client_context(TLS13, strange),
        ):
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                # In TLS 1.3 the client is done before the server has seen its certificate.
                server.connect(tls=context).request()
    assert app.seen == []


def test_x8_a_session_that_is_resumed(serve: Serve, tmp_path: Path) -> None:
    app = Scopes()
    pair = write_pair(tmp_path, "localhost")
    authorities = tmp_path / "authorities.pem"
    authorities.write_text(pem_of(authority().cert_pem))
    context = client_context(TLS12, child_authority().issue_cert("me@example.org", common_name="me"))
    options = {"ssl_certfile": pair[0], "ssl_keyfile": pair[1], "ssl_ca_certs": authorities}
    with serve(app, **options, ssl_cert_reqs=ssl.CERT_REQUIRED) as server:
        first = server.connect(tls=context)
        assert first.request().status == 204
        again = server.connect()
        again.sock = context.wrap_socket(again.sock, server_hostname="localhost", session=first.sock.session)  # type: ignore[attr-defined]
        assert again.request().status == 204
        assert again.sock.session_reused  # type: ignore[attr-defined]
    full, resumed = [seen["tls"] for seen in app.seen]
    assert resumed["client_cert_chain"] == full["client_cert_chain"][: len(resumed["client_cert_chain"])] != []
    assert resumed["client_cert_name"] == full["client_cert_name"]


def test_x8_is_absent_without_tls(serve: Serve) -> None:
    app = Scopes()
    with serve(app) as server:
        assert server.get().status == 204
    assert app.seen == [{"scheme": "http", "tls": None}]


def test_every_suite_has_its_number() -> None:
    class Handshake:
        def __init__(self, name: str) -> None:
            self.name = name

        def cipher(self) -> tuple[str, str, int]:
            return self.name, "", 0

        def version(self) -> str:
            return "TLSv1.3"

        def getpeercert(self, binary_form: bool) -> None:
            return None

    for name, number in SUITES.items():
        assert read_facts(Handshake(name)).cipher_suite == number
    for offered in ssl.create_default_context().get_ciphers():
        assert read_facts(Handshake(offered["name"])).cipher_suite == offered["id"] & 0xFFFF
