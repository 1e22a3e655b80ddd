"""HTTPS on real sockets: both bodies on both loops, with clients that are slow, rude, or gone."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect as connect_websocket

from bodies import TWINS
from certificates import Pair, authority, client_context, issued, write_pair
from harness import DEADLINE_SECONDS, Gate, RunningServer, running, wait_until
from picocorn.server import tls_certificates
from raw_client import Client, get

try:
    import uvloop  # noqa: F401

    LOOPS = ("uvloop", "asyncio")
except ImportError:
    LOOPS = ("asyncio",)

PIECE = os.urandom(65536)
V2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack("!HH", 56324, 443)


class App:
    """Answers by path; `sent_bytes` is what `/endless` was let send, `gate` what `/wait` waits for."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.sent_bytes = 0
        self.received_bytes = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self.echo(receive, send)
            return
        answer = getattr(self, scope["path"][1:] or "scope")
        await answer(scope, receive, send)

    async def respond(self, send: Any, body: bytes, **fields: str) -> None:
        headers = [(name.replace("_", "-").encode(), value.encode()) for name, value in fields.items()]
        await send({"type": "http.response.start", "status": 200, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def scope(self, scope: Any, receive: Any, send: Any) -> None:
        told = {name: scope[name] for name in ("client", "server", "scheme", "http_version")}
        await self.respond(send, json.dumps({**told, "tls": "tls" in scope["extensions"]}).encode())

    async def digest(self, scope: Any, receive: Any, send: Any) -> None:
        digest = hashlib.sha256()
        while True:
            event = await receive()
            digest.update(event.get("body", b""))
            if not event.get("more_body"):
                break
        await self.respond(send, digest.hexdigest().encode())

    async def large(self, scope: Any, receive: Any, send: Any) -> None:
        await self.respond(send, PIECE * 128)

    async def wait(self, scope: Any, receive: Any, send: Any) -> None:
        await self.gate.passed()
        await self.respond(send, b"waited")

    async def endless(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        with contextlib.suppress(OSError):
            while True:
                await send({"type": "http.response.body", "body": PIECE, "more_body": True})
                self.sent_bytes += len(PIECE)

    async def unread(self, scope: Any, receive: Any, send: Any) -> None:
        self.received_bytes += len((await receive())["body"])
        await self.gate.passed()

    async def echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return write_pair(tmp_path_factory.mktemp("certificates"), "localhost", "*.local.example")


Serve = Callable[..., AbstractContextManager[RunningServer]]


@pytest.fixture(params=[(http, loop) for http in TWINS for loop in LOOPS], ids="-".join)
def serve(request: pytest.FixtureRequest, pair: Pair) -> Serve:
    """A TLS server: over the poller's transport and those of the loops, on both loops."""
    http, loop = request.param
    options = {"http": http, "loop": loop, "ssl_certfile": pair[0], "ssl_keyfile": pair[1]}
    return lambda app, **config: running(app, **{**options, **config})


@pytest.fixture(params=TWINS)
def serve_quickly(request: pytest.FixtureRequest, pair: Pair) -> Serve:
    """The same where the loop makes no difference."""
    options = {"http": request.param, "ssl_certfile": pair[0], "ssl_keyfile": pair[1]}
    return lambda app, **config: running(app, **{**options, **config})


def versions() -> Iterator[ssl.SSLContext]:
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        yield client_context(version)


def ended(client: Client) -> bytes:
    """What comes until the end; the end has to be told by a close_notify, or is an SSLEOFError."""
    return client.read_to_end()


def plain_client(server: RunningServer) -> Client:
    return server.connect()


# -- requests


def test_requests(serve: Serve) -> None:
    with serve(App(), hsts=86400) as server:
        for context in versions():
            client = server.connect(tls=context)
            for _ in range(2):
                response = client.request()
                told = json.loads(response.body)
                assert told == {
                    "client": list(client.sock.getsockname()),
                    "server": list(server.address),
                    "scheme": "https",
                    "http_version": "1.1",
                    "tls": True,
                }
                assert response.get(b"strict-transport-security") == b"max-age=86400"
            client.send(get(), get(b"/large"), get())
            assert json.loads(client.response().body) == told
            assert client.response().body == PIECE * 128
            assert json.loads(client.response().body) == told
            assert client.request(b"/", b"Connection: close").status == 200
            assert ended(client) == b""
        assert server.state.total_requests == 12


def test_uploads(serve: Serve) -> None:
    body = PIECE * 130
    with serve(App()) as server:
        for context in versions():
            client = server.connect(tls=context)
            assert client.request(b"/digest", method=b"POST", body=body).body == hashlib.sha256(body).hexdigest().encode()


def test_websockets(serve: Serve) -> None:
    with serve(App()) as server:
        url = f"wss://localhost:{server.port}/"
        with connect_websocket(url, ssl=client_context(), sock=socket.create_connection(server.address)) as websocket:
            for message in ("hello", b"bytes", "x" * 200_000, os.urandom(200_000)):
                websocket.send(message)
                assert websocket.recv(DEADLINE_SECONDS) == message


def test_plain_http_on_the_port_is_told_so(serve: Serve) -> None:
    with serve(App()) as server:
        client = server.connect()
        # In the middle of an upload, too: the answer is not lost to a reset.
        client.send(get(b"/", method=b"POST", body=bytes(100_000)))
        response = client.response()
        assert response.status == 400
        assert response.get(b"connection") == b"close"
        assert b"use https:// instead of http://" in response.body
        assert client.closed()
        assert server.state.total_requests == 0


def test_behind_the_proxy_protocol(serve: Serve) -> None:
    with serve(App(), proxy_protocol=True) as server:
        client = server.connect()
        client.send(V2)
        client.sock = client_context().wrap_socket(client.sock, server_hostname="localhost")
        told = json.loads(client.request().body)
        assert (told["client"], told["server"]) == (["192.0.2.1", 56324], ["198.51.100.7", 443])
        assert (told["scheme"], told["tls"]) == ("https", True)
        without = server.connect()
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            client_context().wrap_socket(without.sock, server_hostname="localhost")
        plain = server.connect()
        plain.send(V2 + get())
        assert plain.response().status == 400


def test_a_unix_socket(serve_quickly: Serve, tmp_path: Path) -> None:
    with serve_quickly(App(), uds=str(tmp_path / "s")) as server:
        told = json.loads(server.connect(tls=client_context()).request().body)
        assert (told["client"], told["server"], told["scheme"]) == (None, [str(tmp_path / "s"), None], "https")


# -- back-pressure


def test_a_client_that_reads_nothing_holds_the_application_back(serve: Serve) -> None:
    app = App()
    with serve(app) as server:
        client = server.connect(tls=client_context(), receive_buffer_bytes=4096)
        client.send(get(b"/endless"))
        # It stops somewhere: what the kernel takes, and no more than our own marks.
        settled = -1

        def is_blocked() -> bool:
            nonlocal settled
            before, settled = settled, app.sent_bytes
            connection = next(iter(server.state.connections), None)
            return bool(app.sent_bytes) and connection is not None and connection.is_blocked() and before == settled

        wait_until(is_blocked, "blocked")
        assert app.sent_bytes < 16 * 1024 * 1024
        (connection,) = server.state.connections
        assert server.call(connection.transport.get_write_buffer_size) < 1024 * 1024
        # And goes on where it stopped.
        client.read_exactly(app.sent_bytes + 10 * len(PIECE))
        client.reset()
        server.wait_for_connections(0)


def test_an_application_that_reads_nothing_holds_the_client_back(serve: Serve) -> None:
    app = App()
    size = 64 * 1024 * 1024
    with serve(app) as server:
        client = server.connect(tls=client_context())
        client.sock.settimeout(0.5)
        client.send(b"POST /unread HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        sent = 0
        with contextlib.suppress(TimeoutError, ssl.SSLWantWriteError):
            while sent < size:
                sent += client.sock.send(PIECE)
        assert sent < 32 * 1024 * 1024
        client.reset()
        app.gate.open()
        server.wait_for_connections(0)
        server.wait_for_tasks(0)
        server.errors()


# -- rude clients


def test_handshakes_that_do_not_come_about(serve_quickly: Serve) -> None:
    with serve_quickly(App(), ssl_handshake_timeout=0.05) as server:
        silent, begun = server.connect(), server.connect()
        begun.send(b"\x16\x03\x01\x02\x00\x01\x00")
        for client in (silent, begun):
            with contextlib.suppress(ConnectionResetError):
                assert client.read_to_end() == b""
        server.wait_for_connections(0)
    with serve_quickly(App()) as server:
        garbage = server.connect()
        garbage.send(b"\x16\x03\x01\x00\x05hello")
        # An alert: fatal.
        assert garbage.read_to_end()[:1] == b"\x15"
        server.wait_for_connections(1)  # it lingers until the client goes
        garbage.close()
        server.wait_for_connections(0)
        assert server.connect(tls=client_context()).request().status == 200


def test_a_handshake_byte_by_byte(serve_quickly: Serve) -> None:
    with serve_quickly(App()) as server:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        client = server.connect()
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    client.send(bytes([byte]))
                incoming.write(client.sock.recv(65536))
        tls.write(get())
        for byte in outgoing.read():
            client.send(bytes([byte]))
        head = b""
        while b"\r\n\r\n" not in head:
            incoming.write(client.sock.recv(65536))
            with contextlib.suppress(ssl.SSLWantReadError):
                head += tls.read(65536)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")


def test_clients_that_go_in_the_middle(serve_quickly: Serve) -> None:
    app = App()
    with serve_quickly(app) as server:
        # A reset in the handshake, and one while the application works.
        rude = server.connect()
        rude.send(b"\x16\x03\x01")
        rude.reset()
        working = server.connect(tls=client_context())
        working.send(get(b"/wait"))
        server.wait_for_tasks(1)
        working.reset()
        # One that closes its side without a close_notify, and one with; both hear the answer.
        cut, ended_client = server.connect(tls=client_context()), server.connect(tls=client_context())
        for client in (cut, ended_client):
            client.send(get(b"/wait"))
        server.wait_for_tasks(3)
        raw = socket.socket(fileno=os.dup(cut.sock.fileno()))
        with raw:
            raw.shutdown(socket.SHUT_WR)
        app.gate.open()
        assert cut.response().body == b"waited"
        assert ended_client.response().body == b"waited"
        server.wait_for_tasks(0)
        rubbish = server.connect(tls=client_context())
        assert rubbish.request().status == 200
        with socket.socket(fileno=os.dup(rubbish.sock.fileno())) as raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            with pytest.raises(ssl.SSLError, match=r"(?i)alert bad record mac"):
                rubbish.read_to_end()


# -- the end of the server


def test_the_end_of_the_server(serve: Serve) -> None:
    app = App()
    with serve(app) as server:
        idle, busy, shaking = server.connect(tls=client_context()), server.connect(tls=client_context()), server.connect()
        assert idle.request().status == 200
        busy.send(get(b"/wait"))
        server.wait_for_tasks(1)
        # A client in the middle of its handshake has come for an answer.
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        shaking.send(outgoing.read())
        incoming.write(shaking.sock.recv(65536))
        server.stop()
        assert ended(idle) == b""
        tls.do_handshake()
        tls.write(get())
        shaking.send(outgoing.read())
        answer = b""
        with contextlib.suppress(ssl.SSLZeroReturnError):
            while True:
                incoming.write(data := shaking.sock.recv(65536))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while piece := tls.read(65536):
                        answer += piece
                if not data or b"\r\n\r\n" in answer:
                    break
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" in answer
        app.gate.open()
        response = busy.response()
        assert (response.body, response.get(b"connection")) == (b"waited", b"close")
        assert ended(busy) == b""
        shaking.close()
        server.join()


def test_a_client_that_never_reads_does_not_keep_the_server(serve_quickly: Serve) -> None:
    app = App()
    with serve_quickly(app, ssl_shutdown_timeout=0.2) as server:
        client = server.connect(tls=client_context(), receive_buffer_bytes=4096)
        client.send(get(b"/large", b"Connection: close"))
        server.wait_for_connections(1)
        server.wait_for_connections(0)


# -- certificates


def subject_key(client: Client) -> bytes:
    der = client.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
    assert der
    return bytes(der)


def test_certificates_change_under_open_connections(
    serve_quickly: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_certificates, "LOOK_SECONDS", -1.0)
    pair = write_pair(tmp_path, "localhost")
    other = write_pair(tmp_path, "other.example", stem="other")
    with serve_quickly(App(), ssl_certfile=[pair[0], other[0]], ssl_keyfile=[pair[1], other[1]]) as server:
        old = server.connect(tls=client_context())
        assert old.request().status == 200
        before = subject_key(old)
        named = server.connect()
        named.sock = client_context().wrap_socket(named.sock, server_hostname="other.example")
        assert named.request().status == 200
        for stem, names in (("server", ("localhost",)), ("server", ())):
            if names:
                write_pair(tmp_path, stem="new", certificate=authority().issue_cert(*names))
                os.replace(tmp_path / "new.key", pair[1])
                os.replace(tmp_path / "new.pem", pair[0])
            else:
                Path(pair[0]).write_text(f"{stem} is broken")
            new = server.connect(tls=client_context())
            assert new.request().status == 200
            if names:
                after = subject_key(new)
                assert after != before
            else:
                assert subject_key(new) == after
                assert len(server.errors()) == 1
            assert old.request().status == 200


# -- the plain listener


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def test_redirects(serve_quickly: Serve) -> None:
    port = free_port()
    with serve_quickly(App(), redirect_http=port, hsts=5) as server:
        plain, https = ("127.0.0.1", port), server.port
        for target, host, location in (
            (b"/a%20b?c=%2F", b"localhost", b"https://localhost:%d/a%%20b?c=%%2F" % https),
            (b"//evil.example/x", b"a.local.example:80", b"https://a.local.example:%d//evil.example/x" % https),
            (b"http://localhost/abs", b"ignored", b"https://localhost:%d/abs" % https),
            (b"/", b"evil.example", None),
            (b"/", b"local.example", None),
            (b"/", b"a.b.local.example", None),
            (b"/", b"127.0.0.1", None),
            (b"/", b"<script>.local.example", None),
            (b"*", b"localhost", None),
        ):
            with Client(plain) as client:
                method = b"OPTIONS" if target == b"*" else b"GET"
                client.send(b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (method, target, host))
                response = client.response()
                if location is None:
                    assert response.status in (400, 421), host
                    assert response.get(b"location") is None
                else:
                    assert response.status == 308
                    assert response.get(b"location") == location
                assert response.get(b"strict-transport-security") is None
                assert response.get(b"connection") == b"close"
                assert client.closed()


def test_a_protocol_class_for_uvicorn(pair: Pair) -> None:
    class Foreign(asyncio.Protocol):
        def __init__(self, config: Any, server_state: Any, app_state: Any, _loop: Any) -> None:
            self.connections = server_state.connections

        def connection_made(self, transport: Any) -> None:
            self.transport = transport
            self.connections.add(self)
            assert transport.get_extra_info("sslcontext") is not None

        def connection_lost(self, error: Exception | None) -> None:
            self.connections.discard(self)

        def data_received(self, data: bytes) -> None:
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

        def shutdown(self) -> None:
            self.transport.close()

    with running(App(), http=Foreign, ssl_certfile=pair[0], ssl_keyfile=pair[1]) as server:
        assert server.connect(tls=client_context()).request().body == b"ok"


def test_a_context_of_the_applications_own() -> None:
    def factory(config: Any, default: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued("localhost").configure_cert(context)
        return context

    with running(App(), ssl_context_factory=factory) as server:
        assert server.connect(tls=client_context()).request().status == 200
