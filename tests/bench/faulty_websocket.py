"""An echo server for WebSockets that makes one mistake, by name, or answers right in an unusual way. One thread a connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import BinaryIO

from websocket_verify import BINARY, CLOSE, PING, PONG, TEXT, accept_value

#: mistake -> what is said about it by the load generator, its kind of error first, and by the check
MISTAKES = {
    "refuses": ("handshake", "refuses the handshake: HTTP/1.1 403 Forbidden", "refuses the handshake with 403"),
    "wrong accept": ("handshake", "Sec-WebSocket-Accept is not that of the key", "Sec-WebSocket-Accept is not that of the key"),
    "unasked extension": ("handshake", "extensions that were not offered: x-fast", "extensions that were not offered: x-fast"),
    "no upgrade": ("handshake", "Upgrade or Connection is not", "without Upgrade and Connection"),
    "ends before the handshake": ("handshake", "ends the connection in the handshake", "closed without an answer"),
    "changes a byte": ("content", "message 0 is not what was sent", "not the 64 sent"),
    "leaves out a byte": ("content", "63 bytes in message 0, not 64", "63 bytes with opcode 1"),
    "adds a byte": ("content", "message 0 is not what was sent", "65 bytes with opcode 1"),
    "answers in another kind": ("protocol", "a frame with opcode 2", "64 bytes with opcode 2"),
    "masks": ("protocol", "a masked frame", "sends a masked frame"),
    "sets a reserved bit": ("protocol", "a frame that begins a1", "a frame that begins with a1"),
    "compresses unasked": ("protocol", "a frame that begins c1", "a frame that begins with c1"),
    "begins with a continuation": ("protocol", "a frame with opcode 0", "a frame that begins with 80"),
    "sends twice": ("content", "message 1 is not what was sent", "64 bytes with opcode 1"),
    "fragments a ping": ("protocol", "a control frame that begins 09", "a frame that begins with 09"),
    "closes instead": ("close", "closes with 1011", "closes with 1011"),
    "ends instead": ("close", "ends the connection without a close frame", "ends the connection without a close frame"),
    "keeps silent": ("timeout", "no answer within 0.2 s", "no whole message within 0.2 s"),
    "ends without a close frame": ("close", "ends the connection without a close frame", "without a close frame"),
    "answers the close with 1001": ("close", "answers 1000 with 1001", "answers a close frame with opcode 8"),
    "goes on after the close": ("close", "2 bytes after the close frame", "bytes after its close frame"),
    "does not end": ("timeout", "the connection is not ended within 0.2 s", "does not end the connection after"),
    "does not close": ("timeout", "no close frame within 0.2 s", "no whole message within 0.2 s"),
}
#: only the load generator, whose messages differ, can tell
STALE = "repeats the first message"
UNUSUAL = ("fragments, with pings between", "byte by byte", "an empty close frame")


def frame(first: int, payload: bytes) -> bytes:
    """A frame as servers send it."""
    length = len(payload)
    head = bytes([first, length]) if length < 126 else bytes([first, 126]) + length.to_bytes(2)
    return head + payload


class Connection:
    """One client and the mistake that it is treated with."""

    def __init__(self, sock: socket.socket, stream: BinaryIO, manner: str) -> None:
        self.sock, self.stream, self.manner = sock, stream, manner
        self.first_message = b""

    def send(self, data: bytes) -> None:
        for piece in [data[at : at + 1] for at in range(len(data))] if self.manner == "byte by byte" else [data]:
            self.sock.sendall(piece)

    def read_frame(self) -> tuple[int, bytes]:
        first, length = self.stream.read(2)
        assert length & 0x80
        length &= 0x7F
        if length > 125:
            length = int.from_bytes(self.stream.read(2 if length == 126 else 8))
        mask = self.stream.read(4)
        return first & 0x0F, bytes(byte ^ mask[at % 4] for at, byte in enumerate(self.stream.read(length)))

    def shake_hands(self) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.stream.readline()
            if not line:
                return False
            head += line
        if self.manner == "ends before the handshake":
            return False
        if self.manner == "refuses":
            self.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return False
        key = next(line for line in head.decode().splitlines() if line.startswith("Sec-WebSocket-Key: ")).partition(": ")[2]
        accept = accept_value(key if self.manner != "wrong accept" else key[::-1])
        fields = ["HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", f"Sec-WebSocket-Accept: {accept}"]
        fields += [] if self.manner == "no upgrade" else ["Upgrade: websocket"]
        fields += ["Sec-WebSocket-Extensions: x-fast"] if self.manner == "unasked extension" else []
        self.send("\r\n".join([*fields, "", ""]).encode())
        return True

    def answer(self, opcode: int, message: bytes) -> bytes:
        """What is sent for a message."""
        self.first_message = self.first_message or message
        right = frame(0x80 | opcode, message)
        return {
            "changes a byte": frame(0x80 | opcode, message[:-1] + b"?"),
            "leaves out a byte": frame(0x80 | opcode, message[:-1]),
            "adds a byte": frame(0x80 | opcode, message + b"}"),
            "answers in another kind": frame(0x80 | (TEXT + BINARY - opcode), message),
            "masks": bytes([0x80 | opcode, 0x80 | len(message) & 0x7F]) + bytes(4) + message,
            "sets a reserved bit": frame(0xA0 | opcode, message),
            "compresses unasked": frame(0xC0 | opcode, message),
            "begins with a continuation": frame(0x80, message),
            "sends twice": right * 2,
            "fragments a ping": frame(PING, b"") + right,
            "closes instead": frame(0x80 | CLOSE, (1011).to_bytes(2)),
            "ends instead": b"",
            "keeps silent": b"",
            STALE: frame(0x80 | opcode, self.first_message),
        }.get(self.manner, right)

    def send_fragments(self, opcode: int, message: bytes) -> None:
        for at, first in ((0, opcode), (1, 0), (2, 0x80)):
            self.send(frame(0x80 | PING, b"%d" % at))
            self.send(frame(first, message[len(message) * at // 3 : len(message) * (at + 1) // 3]))
            assert self.read_frame() == (PONG, b"%d" % at)

    def converse(self) -> None:
        while True:
            opcode, payload = self.read_frame()
            if opcode == CLOSE:
                self.end(payload)
                return
            if self.manner == UNUSUAL[0]:
                self.send_fragments(opcode, payload)
            else:
                self.send(self.answer(opcode, payload))
            if self.manner == "ends instead":
                return

    def end(self, payload: bytes) -> None:
        """Answer a close frame."""
        answers = {
            "ends without a close frame": b"",
            "answers the close with 1001": frame(0x80 | CLOSE, (1001).to_bytes(2)),
            "goes on after the close": frame(0x80 | CLOSE, payload) + frame(0x80 | TEXT, b""),
            "does not close": b"",
            "an empty close frame": frame(0x80 | CLOSE, b""),
        }
        self.send(answers.get(self.manner, frame(0x80 | CLOSE, payload)))
        if self.manner in {"does not end", "does not close"}:
            self.stream.read(1)


def _serve(sock: socket.socket, manner: str) -> None:
    # The client may be gone at any moment: it has seen enough.
    with sock, sock.makefile("rb") as stream, contextlib.suppress(OSError, ValueError):
        connection = Connection(sock, stream, manner)
        if connection.shake_hands():
            connection.converse()


@contextlib.contextmanager
def serving(manner: str) -> Iterator[int]:
    """A server until the block ends; gives its port."""
    threads = []

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threads.append(threading.Thread(target=_serve, args=(sock, manner)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            # Wakes accept(), which a close would not.
            listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join()
