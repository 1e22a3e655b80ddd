"""The PROXY protocol in front of HTTP: whom the header makes the client, who must send one, and a real HAProxy that does."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from bodies import TWINS
from certificates import client_context, write_pair
from harness import DEADLINE_SECONDS, RunningServer, running, wait_until
from raw_client import Client, get

try:
    import uvloop  # noqa: F401

    LOOPS = ("uvloop", "asyncio")
except ImportError:
    LOOPS = ("asyncio",)

V1 = b"PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n"
V1_UNKNOWN = b"PROXY UNKNOWN\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = bytes([192, 0, 2, 1, 198, 51, 100, 7]) + struct.pack("!HH", 56324, 443)
V2 = SIGNATURE + b"\x21\x11\0\x0c" + ADDRESSES
V2_TLS = SIGNATURE + b"\x21\x11\0\x14" + ADDRESSES + b"\x20\0\x05\x01\0\0\0\0"
V2_LOCAL = SIGNATURE + b"\x20\0\0\0"

CLIENT, SERVER = ["192.0.2.1", 56324], ["198.51.100.7", 443]


async def tells(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what the scope says of the connection."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x-client", repr(scope["client"]).encode())]})
        await send({"type": "websocket.close"})
        return
    told = {name: scope[name] for name in ("client", "server", "scheme", "path")}
    body = json.dumps(told).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(params=[(http, loop) for http in TWINS for loop in (LOOPS if http == "pure" else LOOPS[:1])], ids="-".join)
def serve(request: pytest.FixtureRequest) -> Callable[..., AbstractContextManager[RunningServer]]:
    """A server that expects headers: the poller's transport, and those of both loops."""
    http, loop = request.param
    options = {"http": http, "loop": loop, "proxy_protocol": True, "log_level": "info"}
    return lambda **config: running(tells, **{**options, **config})


def told(client: Client, *fields: bytes) -> dict[str, Any]:
    client.send(get(b"/", *fields))
    return json.loads(client.response().body)


def cut_off(client: Client) -> bool:
    """Whether the server has closed without an answer."""
    with contextlib.suppress(ConnectionResetError):
        return client.read_to_end() == b""
    return True


def test_trusted_peers(serve: Callable[..., AbstractContextManager[RunningServer]]) -> None:
    with serve(forwarded_allow_ips="127.0.0.1,192.0.2.7") as server:
        own = list(server.address)
        for header, client_address, server_address, scheme in (
            (V1, CLIENT, SERVER, "http"),
            (V2, CLIENT, SERVER, "http"),
            (V2_TLS, CLIENT, SERVER, "https"),
            (V1_UNKNOWN, None, own, "http"),
            (V2_LOCAL, None, own, "http"),
        ):
            for pieces in ([header + get()], [header, get()], [header[:13], header[13:] + get()]):
                client = server.connect()
                client.send(*pieces)
                said = json.loads(client.response().body)
                assert said == {
                    "client": client_address or list(client.address),
                    "server": server_address,
                    "scheme": scheme,
                    "path": "/",
                }
                # The connection goes on as any other.
                assert told(client) == said
                client.close()
        log = "".join(server.messages())
        assert "192.0.2.1:56324 - " in log

        # X-Forwarded-For is believed of whom the header names, for that is who has sent the request.
        forwarded = b"X-Forwarded-For: 203.0.113.9"
        client = server.connect()
        client.send(V1)
        assert told(client, forwarded)["client"] == CLIENT
        client = server.connect()
        client.send(V1.replace(b"192.0.2.1", b"192.0.2.7"))
        assert told(client, forwarded)["client"] == ["203.0.113.9", 0]
        client = server.connect()
        client.send(V1_UNKNOWN)
        assert told(client, forwarded)["client"] == ["203.0.113.9", 0]

        # An upgrade in the packet of the header; what the WebSocket sees is the same.
        client = server.connect()
        key = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        client.send(V2 + get(b"/", b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", key))
        assert client.head().get(b"x-client") == b"('192.0.2.1', 56324)"

        # A look whether somebody listens is nothing to write about.
        warnings = server.messages(logging.WARNING)
        server.connect().close()
        with server.connect() as client:
            client.send(V1)
            told(client)
        assert server.messages(logging.WARNING) == warnings


def test_what_a_trusted_peer_must_not_send(serve: Callable[..., AbstractContextManager[RunningServer]]) -> None:
    with serve() as server:
        for sent in (get(), b"PROXY TCP4 192.0.2.1 198.51.100.7 1\r\n" + get(), V2.replace(b"\x21\x11", b"\x21\x12") + get()):
            with server.connect() as client:
                client.send(sent)
                assert cut_off(client)
        with server.connect() as client:
            client.send(V1[:20])
            client.half_close()
            assert cut_off(client)
        warnings = server.messages(logging.WARNING)
        for text, start in zip(warnings, ("no PROXY", "its line", "0x12", "it ended"), strict=True):
            assert text.startswith(f"Invalid PROXY protocol header from 127.0.0.1: {start}")
        assert server.state.total_requests == 0


def test_a_header_that_does_not_come(serve: Callable[..., AbstractContextManager[RunningServer]]) -> None:
    with serve(timeout_request_header=0.05) as server:
        for sent in (V2[:-1], b""):
            with server.connect() as client:
                client.send(sent)
                assert cut_off(client)
        said = "Invalid PROXY protocol header from 127.0.0.1: the header did not arrive in time. Connection closed."
        assert server.messages(logging.WARNING) == [said] * 2


def test_other_peers_are_served_as_who_they_are(serve: Callable[..., AbstractContextManager[RunningServer]]) -> None:
    with serve(proxy_protocol_allow_ips="192.0.2.0/24") as server:
        client = server.connect()
        assert told(client)["client"] == list(client.address)
        for header in (V1, V2):
            client = server.connect()
            client.send(header + get())
            assert client.response().status == 400


def test_unix_sockets(serve: Callable[..., AbstractContextManager[RunningServer]], tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    for trusted, header, client_address in (("unix:", V2, CLIENT), ("*", V1, CLIENT), ("127.0.0.1", b"", None)):
        with serve(uds=path, proxy_protocol_allow_ips=trusted) as server:
            client = server.connect()
            client.send(header)
            said = told(client)
            assert (said["client"], said["server"]) == (client_address, SERVER if header else [path, None])


def test_the_end_of_the_server(serve: Callable[..., AbstractContextManager[RunningServer]]) -> None:
    with serve() as server:
        silent, begun = server.connect(), server.connect()
        begun.send(V1[:20])
        server.wait_for_connections(2)
        wait_until(lambda: any(c._reader.is_begun() for c in list(server.state.connections)))
        server.stop()
        assert cut_off(silent)
        begun.send(V1[20:] + get())
        response = begun.response()
        assert json.loads(response.body)["client"] == CLIENT
        assert response.get(b"connection") == b"close"
        server.join()


# -- HAProxy

HAPROXY = """
defaults
    mode tcp
    timeout connect 10s
    timeout client 10s
    timeout server 10s
"""


@contextlib.contextmanager
def haproxy(folder: Path, bind: str = "", **servers: str) -> Iterator[dict[str, Any]]:
    """A running HAProxy: for each server line a socket that leads there. Gives their addresses. `bind` is for all sockets."""
    program = shutil.which("haproxy")
    if program is None:
        pytest.skip("there is no haproxy here")
    with contextlib.ExitStack() as stack:
        listening = {name: stack.enter_context(socket.create_server(("127.0.0.1", 0))) for name in servers}
        config = HAPROXY + "".join(
            f"listen {name}\n    bind fd@{listening[name].fileno()} {bind}\n    server s {line}\n"
            for name, line in servers.items()
        )
        path = folder / "haproxy.cfg"
        path.write_text(config, encoding="ascii")
        fds = [sock.fileno() for sock in listening.values()]
        process = subprocess.Popen([program, "-db", "-q", "-f", str(path)], pass_fds=fds)
        try:
            yield {name: sock.getsockname() for name, sock in listening.items()}
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)


def test_haproxy(serve: Callable[..., AbstractContextManager[RunningServer]], tmp_path: Path) -> None:
    with serve() as server:
        at = f"127.0.0.1:{server.port}"
        lines = {"v1": f"{at} send-proxy", "v2": f"{at} send-proxy-v2", "crc": f"{at} send-proxy-v2 proxy-v2-options crc32c"}
        with haproxy(tmp_path, **lines) as addresses:
            for address in addresses.values():
                with Client(address) as client:
                    said = told(client)
                    assert said["client"] == list(client.address)
                    assert said["server"] == list(address)
                    assert told(client) == said


def test_haproxy_ends_tls(serve: Callable[..., AbstractContextManager[RunningServer]], tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path, "localhost")
    pem = tmp_path / "both.pem"
    pem.write_bytes(Path(certificate).read_bytes() + Path(key).read_bytes())
    with (
        serve() as server,
        haproxy(tmp_path, f"ssl crt {pem}", tls=f"127.0.0.1:{server.port} send-proxy-v2-ssl") as addresses,
        Client(addresses["tls"], tls=client_context()) as client,
    ):
        said = told(client)
        assert (said["client"], said["scheme"]) == (list(client.address), "https")
