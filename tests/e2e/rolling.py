"""A load of keep-alive, short, streaming and WebSocket clients, in a process of its own, that counts whatever a client can see.

    python tests/e2e/rolling.py HOST:PORT --keep-alive 6 --short 4 --stream 3 --websocket 2

runs until its standard input is closed, answers each line on it with its counts so far as a line of JSON, and ends with the
last one. `Load` is that process as its parent sees it. Knows no server: what the answers look like is in `apps/rolling_app.py`.

Nothing is excused. A client looks whether its idle connection was closed before it uses it again, as all do; a request that is
sent and not answered whole is an error, whoever closed what when, and it is told with the time at which it was begun.

WebSocket clients send numbered messages, some at once, and want each back once and in its order. A server that goes may close
with 1012, and the client then goes on elsewhere (messages that had no answer by then are counted); any other end is an error, and
so is a connection that does not end cleanly after the close frames.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
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
#: Messages that a WebSocket client sends before it reads, at most.
BURST = 3
RESTART, NORMAL = 1012, 1000


class LostError(Exception):
    """A request that was begun and not answered whole."""


Frame = tuple[int, bytes] | LostError | None
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Connection:
    """One connection of an HTTP/1.1 client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.worker = ""
        #: of a WebSocket: what has come in
        self.frames: asyncio.Queue[Frame] = asyncio.Queue()
        self.pump: asyncio.Task[None] | None = None

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

    async def read_frames(self) -> None:
        """Put frames into the queue until the end: None for a clean one, else the error."""
        try:
            while start := await self.reader.read(1):
                length = (await self.reader.readexactly(1))[0]
                self.frames.put_nowait((start[0] & 15, await self.reader.readexactly(length)))
            self.frames.put_nowait(None)
        except (asyncio.IncompleteReadError, OSError) as error:
            self.frames.put_nowait(LostError(f"{type(error).__name__} instead of a frame"))

    async def frame(self) -> tuple[int, bytes]:
        """The next frame that is no ping."""
        while isinstance(found := await self.frames.get(), tuple):
            if found[0] != PING:
                return found
            await self.send(masked_frame(PONG, found[1]))
        raise found or LostError("closed without a close frame")

    async def end(self, payload: bytes) -> None:
        """Both have sent their close frame: nothing may follow but the end, which the server begins (RFC 6455 7.1.1)."""
        found = await self.frames.get()
        if found is not None:
            raise found if isinstance(found, LostError) else LostError(f"frame {found} after {payload!r}")
        self.close()

    def close(self) -> None:
        if self.pump is not None:
            self.pump.cancel()
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
        self.numbers = itertools.count()
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
            except (LostError, TimeoutError) as error:
                where = connection.worker if connection is not None else ""
                what = str(error) or f"nothing for {TIMEOUT_SECONDS} s"
                self.lost.append({"kind": kind, "what": what, "began": began, "reused": was_open, "worker": where})
                if connection is not None:
                    connection.close()
                connection = None
            think = IDLE_SECONDS if kind == "keep-alive" and number == 0 else THINK_SECONDS
            await asyncio.sleep(random.uniform(0, think))
        if kind == "websocket" and connection is not None:
            await self.leave(connection)
        elif connection is not None:
            connection.close()

    async def usable(self, connection: Connection | None) -> Connection:
        """The connection if it is still open, or another one."""
        if connection is not None and connection.is_closed():
            self.seen["closed while idle"] += 1
            connection.close()
            connection = None
        return connection or await self.open()

    def answered(self, kind: str, connection: Connection) -> None:
        """Count a request, or a message."""
        self.done[kind] += 1
        self.workers[connection.worker] += 1

    def used(self, connection: Connection, fields: dict[str, str]) -> Connection | None:
        """The connection for the next request, None after an announced close."""
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
        self.answered("keep-alive", connection)
        return self.used(connection, fields)

    async def short(self, connection: Connection | None) -> Connection | None:
        connection = await self.open()
        try:
            body, _fields = await connection.request("/", "Connection: close")
            rest = await connection.reader.read()
        except OSError as error:
            raise LostError(f"{type(error).__name__} after the answer") from error
        finally:
            connection.close()
        if body != b"hello" or rest:
            raise LostError(f"wrong answer {body + rest!r}")
        self.answered("short", connection)
        return None

    async def stream(self, connection: Connection | None) -> Connection | None:
        connection = await self.usable(connection)
        body, fields = await connection.request("/stream")
        if len(body) != STREAM_BYTES:
            raise LostError(f"{len(body)} bytes of {STREAM_BYTES}")
        self.answered("stream", connection)
        return self.used(connection, fields)

    async def websocket(self, connection: Connection | None) -> Connection | None:
        """Some messages there and back. A server that goes closes with 1012: the client comes again."""
        if connection is None:
            connection = await self.upgraded()
        elif not connection.frames.empty():
            return await self.closed(connection, await connection.frame(), missing=0)
        numbers = [b"%d" % next(self.numbers) for _ in range(random.randint(1, BURST))]
        await connection.send(b"".join(masked_frame(TEXT, number) for number in numbers))
        while numbers:
            opcode, payload = await connection.frame()
            if opcode == CLOSE:
                return await self.closed(connection, (opcode, payload), missing=len(numbers))
            if (opcode, payload) != (TEXT, numbers.pop(0)):
                raise LostError(f"frame {opcode} {payload!r}, one that was not its turn")
            self.answered("websocket", connection)
        return connection

    async def upgraded(self) -> Connection:
        connection = await self.open()
        key = base64.b64encode(os.urandom(16)).decode()
        upgrade = ("Host: a", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13")
        lines = ["GET /ws HTTP/1.1", *upgrade, f"Sec-WebSocket-Key: {key}", "", ""]
        await connection.send("\r\n".join(lines).encode())
        status, fields = await connection.head()
        if status != 101:
            raise LostError(f"status {status}")
        connection.worker = fields.get("x-worker", "")
        connection.pump = asyncio.create_task(connection.read_frames())
        return connection

    async def closed(self, connection: Connection, frame: tuple[int, bytes], missing: int) -> None:
        """The server has closed: that must be 1012, and end well."""
        opcode, payload = frame
        if opcode != CLOSE or payload[:2] != struct.pack("!H", RESTART):
            raise LostError(f"frame {opcode} {payload!r}")
        await connection.send(masked_frame(CLOSE, payload[:2]))
        await connection.end(payload)
        self.seen["1012"] += 1
        # WebSockets have no answers to wait for: it may have closed before it has read them.
        self.seen["unanswered at 1012"] += missing

    async def leave(self, connection: Connection) -> None:
        """Close a WebSocket at the end of it all."""
        began = time.monotonic()
        payload = struct.pack("!H", NORMAL)
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                if not connection.frames.empty():
                    await self.closed(connection, await connection.frame(), missing=0)
                    return
                await connection.send(masked_frame(CLOSE, payload))
                opcode, answer = await connection.frame()
                if opcode != CLOSE or answer[:2] not in (payload, struct.pack("!H", RESTART)):
                    raise LostError(f"frame {opcode} {answer!r} for a close frame")
                await connection.end(answer)
                self.seen["closed by the client"] += 1
        except (LostError, TimeoutError) as error:
            what = str(error) or f"nothing for {TIMEOUT_SECONDS} s"
            self.lost.append({"kind": "websocket", "what": what, "began": began, "reused": True, "worker": connection.worker})
            connection.close()


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
