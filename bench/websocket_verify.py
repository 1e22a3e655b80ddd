"""Are the messages right? A plain WebSocket client over a blocking socket, which shakes hands, echoes and closes by the book.

Knows nothing of servers and processes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import zlib
from collections.abc import Sequence

from failure import BenchFailure, Unsupported
from verify import TIMEOUT_SECONDS, read_answer_head
from workloads import BROADCAST, WebSocketWorkload

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
NORMAL = (1000).to_bytes(2)
OFFER = "permessage-deflate; client_max_window_bits"
#: RFC 7692, 7.2.1: what each compressed message leaves out at its end
TAIL = b"\x00\x00\xff\xff"


def accept_value(key: str) -> str:
    """RFC 6455, 4.2.2: what proves that the server has read `key`."""
    return base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()


def frame(opcode: int, payload: bytes, *, compressed: bool = False) -> bytes:
    """One whole masked frame."""
    first, length = 0x80 | (0x40 if compressed else 0) | opcode, len(payload)
    if length < 126:
        head = bytes([first, 0x80 | length])
    elif length < 1 << 16:
        head = bytes([first, 0x80 | 126]) + length.to_bytes(2)
    else:
        head = bytes([first, 0x80 | 127]) + length.to_bytes(8)
    mask = os.urandom(4)
    masked = int.from_bytes(payload) ^ int.from_bytes((mask * (length // 4 + 1))[:length])
    return head + mask + masked.to_bytes(length)


class Client:
    """One open WebSocket. Everything raises BenchFailure when the server does what it should not."""

    def __init__(self, port: int, *, deflate: bool) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self._stream = self._socket.makefile("rb")
        self._inflater = zlib.decompressobj(-15)
        try:
            #: as the server has answered the offer
            self.extensions = self._shake_hands(deflate)
        except BaseException:
            self.drop()
            raise

    def _shake_hands(self, deflate: bool) -> str:
        key = base64.b64encode(os.urandom(16)).decode()
        fields = ["GET / HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
        fields += ["Sec-WebSocket-Version: 13", *[f"Sec-WebSocket-Extensions: {OFFER}"] * deflate]
        self._socket.sendall("\r\n".join([*fields, "", ""]).encode())
        status, headers = read_answer_head(self._stream)
        if status != 101:
            raise BenchFailure(f"refuses the handshake with {status}")
        if (headers.get("upgrade", "").lower(), headers.get("connection", "").lower()) != ("websocket", "upgrade"):
            raise BenchFailure("answers 101 without Upgrade and Connection")
        if headers.get("sec-websocket-accept") != accept_value(key):
            raise BenchFailure("Sec-WebSocket-Accept is not that of the key")
        extensions = headers.get("sec-websocket-extensions", "")
        if extensions and not deflate:
            raise BenchFailure(f"takes extensions that were not offered: {extensions}")
        if deflate and not extensions.startswith("permessage-deflate"):
            raise Unsupported("declines permessage-deflate")
        return extensions

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one message or control frame."""
        self._socket.sendall(frame(opcode, payload))

    def send_compressed(self, opcode: int, payload: bytes) -> None:
        """Send one message as permessage-deflate has it, in a window that every server grants."""
        packer = zlib.compressobj(wbits=-9)
        packed = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
        self._socket.sendall(frame(opcode, packed.removesuffix(TAIL), compressed=True))

    def _read(self, length: int) -> bytes:
        data = self._stream.read(length)
        if len(data) != length:
            raise BenchFailure("ends the connection without a close frame")
        return data

    def _read_frame(self) -> tuple[int, bytes]:
        first, length = self._read(2)
        if length & 0x80:
            raise BenchFailure("sends a masked frame")
        if length > 125:
            length = int.from_bytes(self._read(2 if length == 126 else 8))
        return first, self._read(length)

    def receive(self) -> tuple[int, bytes]:
        """The next message, put together and inflated, or the close frame."""
        opcode, compressed = 0, False
        pieces: list[bytes] = []
        while True:
            first, payload = self._read_frame()
            kind = first & 0x0F
            if kind & 8 and (first != 0x80 | kind or kind > PONG or len(payload) > 125):
                raise BenchFailure(f"sends a frame that begins with {first:02x}")
            if kind == PING:
                self.send(PONG, payload)
                continue
            if kind == CLOSE:
                return CLOSE, payload
            if kind == PONG:
                continue
            if bool(kind) == bool(pieces) or kind > BINARY or first & 0x30 or (first & 0x40 and not self.extensions):
                raise BenchFailure(f"sends a frame that begins with {first:02x}")
            opcode, compressed = opcode or kind, compressed or bool(first & 0x40)
            pieces.append(payload)
            if first & 0x80:
                message = b"".join(pieces)
                return opcode, self._inflater.decompress(message + TAIL) if compressed else message

    def expect(self, opcode: int, payload: bytes) -> None:
        """Receive a message and compare."""
        received, message = self.receive()
        if received == CLOSE:
            raise BenchFailure(f"closes with {int.from_bytes(message[:2])}")
        if (received, message) != (opcode, payload):
            raise BenchFailure(f"{len(message)} bytes with opcode {received} ({message[:40]!r}...), not the {len(payload)} sent")

    def finish(self) -> None:
        """Close, and see the server answer and end the connection."""
        self.send(CLOSE, NORMAL)
        received, payload = self.receive()
        if received != CLOSE or payload not in {NORMAL, b""}:
            raise BenchFailure(f"answers a close frame with opcode {received}, {payload[:40]!r}")
        try:
            if self._stream.read(1):
                raise BenchFailure("sends bytes after its close frame")
        except TimeoutError:
            raise BenchFailure("does not end the connection after the close handshake") from None
        finally:
            self.drop()

    def drop(self) -> None:
        """End the connection without a word."""
        self._stream.close()
        self._socket.close()


def _messages(workload: WebSocketWorkload) -> Sequence[tuple[int, bytes]]:
    """What is tried: the message of the workload, none at all, letters of several bytes, all bytes."""
    kind = TEXT if workload.is_text else BINARY
    return (
        (kind, workload.first_message),
        (kind, b""),
        (TEXT, "Grüße, 世界 🎉".encode()),
        (BINARY, bytes(range(256))),
        (kind, workload.first_message),
    )


def _converse(clients: list[Client], workload: WebSocketWorkload) -> None:
    for opcode, payload in _messages(workload):
        (clients[0].send_compressed if workload.deflate else clients[0].send)(opcode, payload)
        for receiver in clients[1:] or clients:
            receiver.expect(opcode, payload)


def check(port: int, workload: WebSocketWorkload) -> str:
    """Say and hear what the load generator will, and look at all of it; return the extensions that the server has taken."""
    clients: list[Client] = []
    try:
        # One by one, so that those that are open are dropped when one is refused.
        clients.extend(Client(port, deflate=workload.deflate) for _ in range(3 if workload.mode == BROADCAST else 1))
        _converse(clients, workload)
        for client in clients:
            client.finish()
    except TimeoutError:
        raise BenchFailure(f"no whole message within {TIMEOUT_SECONDS} s") from None
    except (OSError, zlib.error) as error:
        raise BenchFailure(str(error)) from None
    finally:
        for client in clients:
            client.drop()
    return clients[0].extensions
