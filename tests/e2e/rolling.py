"""A load of keep-alive, short, streaming and WebSocket clients, in a process of its own, that counts whatever a client can see.

    python tests/e2e/rolling.py HOST:PORT --keep-alive 6 --short 4 --stream 3 --websocket 2

runs until its standard input is closed, answers each line on it with its counts so far as a line of JSON, and ends with the
last one. `Load` is that process as its parent sees it. Knows no server: what the answers look like is in `apps/rolling_app.py`.

Nothing is excused. A client looks whether its idle connection was closed before it uses it again, as all do; a request that is
sent and not answered whole is an error, whoever closed what when, and it is told with the time at which it was begun.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

KINDS = ("keep-alive", "short", "stream", "websocket")
TIMEOUT_SECONDS = 20.0
#: Between two requests of a busy client, at most; and of one keep-alive client that is mostly idle.
THINK_SECONDS = 0.02
IDLE_SECONDS = 3.0
STREAM_BYTES = 20 * 1000


class LostError(Exception):
    """A request that was begun and not answered whole."""


class Connection:
    """One connection of an HTTP/1.1 client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.worker = ""

    @classmethod
    async def open(cls, host: str, port: int) -> Connection:
        try:
            return cls(*await asyncio.open_connection(host, port))
        except OSError as error:
            raise LostError(f"connect: {type(error).__name__}") from error

    def is_closed(self) -> bool:
        """Whether the server has closed it meanwhile."""
        return self.reader.at_eof() or self.reader.exception() is not None

    async def head(self) -> tuple[int, dict[str, str]]:
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            raise LostError("closed within a head" if error.partial else "closed before the answer") from error
        except OSError as error:
            raise LostError(f"{type(error).__name__} before the answer") from error
        status, *fields = head.decode("latin-1").split("\r\n")[:-2]
        pairs = (field.partition(":") for field in fields)
        return int(status.split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def body(self, fields: dict[str, str]) -> bytes:
        try:
            if fields.get("transfer-encoding") != "chunked":
                return await self.reader.readexactly(int(fields["content-length"]))
            body = b""
            while True:
                size = int(await self.reader.readuntil(b"\r\n"), 16)
                body += (await self.reader.readexactly(size + 2))[:-2]
                if not size:
                    return body
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LostError(f"{type(error).__name__} within the answer") from error

    async def send(self, data: bytes) -> None:
        # What fails here shows itself when the answer is read, which may be there all the same.
        with contextlib.suppress(OSError):
            self.writer.write(data)
            await self.writer.drain()

    async def request(self, target: str, *fields: str) -> tuple[bytes, dict[str, str]]:
        await self.send("\r\n".join([f"GET {target} HTTP/1.1", "Host: a", *fields, "", ""]).encode())
        status, answered = await self.head()
        self.worker = answered.get("x-worker", self.worker)
        if status != 200:
            raise LostError(f"status {status}")
        return await self.body(answered), answered

    def close(self) -> None:
        self.writer.close()


def masked_frame(opcode: int, payload: bytes) -> bytes:
    """A short frame as clients send it (RFC 6455 5.3)."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return struct.pack("!BB4s", 0x80 | opcode, 0x80 | len(payload), mask) + masked


class Clients:
    """All clients, and what they have seen."""

    def __init__(self, host: str, port: int) -> None:
        self.host = host
        self.port = port
        self.done: Counter[str] = Counter()
        self.workers: Counter[str] = Counter()
        #: things that are no errors: closes that were announced, or came while the client was idle
        self.seen: Counter[str] = Counter()
        self.lost: list[dict[str, Any]] = []
        self.is_over = False

    def counts(self) -> dict[str, Any]:
        return {"done": self.done, "workers": self.workers, "seen": self.seen, "lost": self.lost}

    async def open(self) -> Connection:
        return await Connection.open(self.host, self.port)

    async def run(self, kind: str, number: int) -> None:
        """One client, until it is over: each round is one request, done or lost."""
        connection: Connection | None = None
        rounds = {"keep-alive": self.keep_alive, "short": self.short, "stream": self.stream, "websocket": self.websocket}
        while not self.is_over:
            began = time.monotonic()
            was_open = connection is not None
            try:
                async with asyncio.timeout(TIMEOUT_SECONDS):
                    connection = await rounds[kind](connection)
                self.done[kind] += 1
            except (LostError, TimeoutError) as error:
                where = connection.worker if connection is not None else ""
                what = str(error) or f"nothing for {TIMEOUT_SECONDS} s"
                self.lost.append({"kind": kind, "what": what, "began": began, "reused": was_open, "worker": where})
                if connection is not None:
                    connection.close()
                connection = None
            think = IDLE_SECONDS if kind == "keep-alive" and number == 0 else THINK_SECONDS
            await asyncio.sleep(random.uniform(0, think))
        if connection is not None:
            connection.close()

    async def usable(self, connection: Connection | None) -> Connection:
        """The connection if it is still open, or another one."""
        if connection is not None and connection.is_closed():
            self.seen["closed while idle"] += 1
            connection.close()
            connection = None
        return connection or await self.open()

    def used(self, connection: Connection, fields: dict[str, str]) -> Connection | None:
        """The connection for the next request, None after an announced close."""
        self.workers[connection.worker] += 1
        if fields.get("connection") != "close":
            return connection
        self.seen["close announced"] += 1
        connection.close()
        return None

    async def keep_alive(self, connection: Connection | None) -> Connection | None:
        connection = await self.usable(connection)
        target, expected = random.choice((("/", b"hello"), ("/", b"hello"), ("/slow", b"slow")))
        body, fields = await connection.request(target)
        if body != expected:
            raise LostError(f"wrong answer {body!r}")
        return self.used(connection, fields)

    async def short(self, connection: Connection | None) -> Connection | None:
        connection = await self.open()
        try:
            body, _fields = await connection.request("/", "Connection: close")
            self.workers[connection.worker] += 1
            rest = await connection.reader.read()
        except OSError as error:
            raise LostError(f"{type(error).__name__} after the answer") from error
        finally:
            connection.close()
        if body != b"hello" or rest:
            raise LostError(f"wrong answer {body + rest!r}")
        return None

    async def stream(self, connection: Connection | None) -> Connection | None:
        connection = await self.usable(connection)
        body, fields = await connection.request("/stream")
        if len(body) != STREAM_BYTES:
            raise LostError(f"{len(body)} bytes of {STREAM_BYTES}")
        return self.used(connection, fields)

    async def websocket(self, connection: Connection | None) -> Connection | None:
        """One message there and back. A server that goes closes with 1012: the client comes again, nothing is lost."""
        if connection is None:
            connection = await self.open()
            key = base64.b64encode(os.urandom(16)).decode()
            upgrade = ("Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
            lines = ["GET /ws HTTP/1.1", *upgrade, f"Sec-WebSocket-Key: {key}", "", ""]
            await connection.send("\r\n".join(lines).encode())
            status, fields = await connection.head()
            if status != 101:
                raise LostError(f"status {status}")
            connection.worker = fields.get("x-worker", "")
        text = b"%d" % random.randrange(10**9)
        await connection.send(masked_frame(1, text))
        while True:
            opcode, payload = await self.frame(connection)
            if opcode == 9:
                continue
            if opcode == 8 and payload[:2] == struct.pack("!H", 1012):
                # It may have closed before it has read the message: WebSockets have no answers to wait for.
                self.seen["1012"] += 1
                await connection.send(masked_frame(8, payload[:2]))
                connection.close()
                return None
            if opcode != 1 or payload != text:
                raise LostError(f"frame {opcode} {payload!r}")
            self.workers[connection.worker] += 1
            return connection

    async def frame(self, connection: Connection) -> tuple[int, bytes]:
        try:
            first, length = await connection.reader.readexactly(2)
            return first & 15, await connection.reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise LostError(f"{type(error).__name__} instead of a frame") from error


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=int, default=0)
    options = vars(parser.parse_args())
    host, _, port = options["address"].rpartition(":")
    clients = Clients(host, int(port))
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()

    def read() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        loop.call_soon_threadsafe(lines.put_nowait, "")

    threading.Thread(target=read, daemon=True).start()
    async with asyncio.TaskGroup() as group:
        # A group, so that a client which fails in a way nobody has thought of ends the program.
        for kind in KINDS:
            for number in range(options[kind.replace("-", "_")]):
                group.create_task(clients.run(kind, number))
        while await lines.get():
            print(json.dumps(clients.counts()), flush=True)
        clients.is_over = True
    print(json.dumps(clients.counts()), flush=True)


class Load:
    """The process, for its parent."""

    def __init__(self, port: int, **clients: int) -> None:
        options = [word for kind, count in clients.items() for word in (f"--{kind.replace('_', '-')}", str(count))]
        self.clients = sum(clients.values())
        #: when the server was told to end: what clients begin later there is nobody to answer
        self.told_at = float("inf")
        self.process = subprocess.Popen(
            [sys.executable, __file__, f"127.0.0.1:{port}", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def counts(self) -> dict[str, Any]:
        """What the clients have seen so far."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("counts\n")
        self.process.stdin.flush()
        counts: dict[str, Any] = json.loads(self.process.stdout.readline())
        return counts

    def wait_for_more(self, requests: int = 20) -> None:
        """Until each kind of client has done so many more requests, or five for streams, which take their time."""
        before = self.counts()["done"]
        deadline = time.monotonic() + 60
        while True:
            now = self.counts()["done"]
            missing = [
                kind for kind in KINDS if kind in now and now[kind] - before.get(kind, 0) < (5 if kind == "stream" else requests)
            ]
            if now and not missing:
                return
            if time.monotonic() > deadline:
                raise AssertionError(f"the clients do not get on: {missing}, {self.counts()}")
            time.sleep(0.02)

    def end(self) -> dict[str, Any]:
        """Let the clients finish what they do; what they have seen."""
        output, _ = self.process.communicate()
        counts: dict[str, Any] = json.loads(output.splitlines()[-1])
        return counts


@contextlib.contextmanager
def load(port: int, **clients: int) -> Iterator[Load]:
    """Clients of a server on this port, until the block ends."""
    running = Load(port, **clients)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
        running.process.wait()
        for stream in (running.process.stdin, running.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


if __name__ == "__main__":
    asyncio.run(main())
