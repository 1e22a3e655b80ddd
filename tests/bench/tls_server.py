"""A TLS server of HTTP/1.1 in threads, for what measures handshakes: one answer for every request, as told.

A thread for each connection, and each is joined: on Python 3.11 an asyncio server forgets the connections that are
still shaking hands when it closes, and their transports are reported to whatever test happens to run next.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator

from tls_certificate import Pair

# A client that neither goes on nor goes away ends the test instead of holding it.
STILL_SECONDS = 10.0


def _answer(content: bytes, connection: ssl.SSLSocket) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(content)
    with connection.makefile("rb") as stream:
        request = b""
        while line := stream.readline():
            request += line
            if line != b"\r\n":
                continue
            is_last = b"connection: close" in request.lower()
            connection.sendall(head + (b"Connection: close\r\n\r\n" if is_last else b"\r\n") + content)
            if is_last:
                # The client hears close_notify, and says its own.
                connection.unwrap().close()
                return
            request = b""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    allow_reuse_address = True
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, context: ssl.SSLContext, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._context = context
        self._content = content

    def finish_request(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        assert isinstance(request, socket.socket)
        request.settimeout(STILL_SECONDS)
        # Clients break handshakes off and go without a word: they tell about it themselves.
        with contextlib.suppress(OSError), self._context.wrap_socket(request, server_side=True) as connection:
            _answer(self._content, connection)


@contextlib.contextmanager
def serving(pair: Pair, content: bytes) -> Iterator[int]:
    """The port of a server that answers every request with `content`."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.certificate, pair.key)
    context.set_alpn_protocols(["http/1.1"])
    with _Server(context, content) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
