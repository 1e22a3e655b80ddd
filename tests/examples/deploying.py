"""What the tests of examples/deploy share: the files, the programs that read them, and an application to put behind them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

from harness import DEADLINE_SECONDS, Client, Gate, wait_until

__all__ = ["DEPLOY", "Front", "goes_through", "is_listening", "program", "started", "uploads_and_websockets_go_through"]

DEPLOY = Path(__file__).parents[2] / "examples" / "deploy"


def program(name: str, package: str) -> str:
    """The path of a program; where it is not installed the test is skipped."""
    path = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if path is None:
        pytest.skip(f"no {name} (Debian: apt-get install {package})")
    return path


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on this port of ours."""
    with contextlib.suppress(ConnectionError), Client(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def started(port: int, *command: str) -> Iterator[None]:
    """Run `command` until the block ends; begins once `port` is listened on."""
    # No pipe: it may log more than one holds.
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            wait_until(lambda: process.poll() is not None or is_listening(port), f"{command[0]} listens")
            output.seek(0)
            assert process.poll() is None, output.read()
            yield
        finally:
            process.terminate()
            process.wait(DEADLINE_SECONDS)


class Front:
    """An application that shows what a proxy makes of its requests."""

    def __init__(self) -> None:
        #: opened to let /events go on after the first event
        self.go_on = Gate()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await self._echo(receive, send)
        elif scope["path"] == "/events":
            await self._events(send)
        elif scope["path"] == "/upload":
            await self._upload(receive, send)
        else:
            shown = {name: scope[name] for name in ("client", "scheme", "path")}
            shown["headers"] = {name.decode(): value.decode() for name, value in scope["headers"]}
            await self._answer(send, json.dumps(shown).encode())

    async def _answer(self, send: Any, body: bytes) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def _events(self, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: first\n\n", "more_body": True})
        await self.go_on.passed()
        await send({"type": "http.response.body", "body": b"data: last\n\n"})

    async def _upload(self, receive: Any, send: Any) -> None:
        digest, more = hashlib.sha256(), True
        while more:
            message = await receive()
            digest.update(message["body"])
            more = message["more_body"]
            await asyncio.sleep(0)
        await self._answer(send, digest.hexdigest().encode())

    async def _echo(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text") == "bye":
                await send({"type": "websocket.close", "code": 4001, "reason": "as you wish"})
            else:
                await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


def goes_through(front: Front, client: Client, *claims: bytes) -> dict[str, Any]:
    """A request and a stream, through a proxy. Returns what `front` has shown of the request; `claims` are fields of it."""
    shown: dict[str, Any] = json.loads(client.request(b"/a%20b", *claims).body)
    assert (shown["path"], shown["headers"]["host"]) == ("/a b", "a")
    # An event arrives before the next one is there.
    front.go_on = Gate()
    client.send(b"GET /events HTTP/1.1\r\nHost: a\r\n\r\n")
    client.read_until(b"data: first\n\n")
    front.go_on.open()
    client.read_until(b"data: last\n\n")
    client.read_until(b"0\r\n\r\n")
    return shown


def uploads_and_websockets_go_through(port: int) -> None:
    """Large bodies, with a length and without, and messages both ways."""
    body = os.urandom(4 * 1024 * 1024)
    for fields, sent in (
        (b"Content-Length: %d" % len(body), (body,)),
        (b"Transfer-Encoding: chunked", (b"%x\r\n" % len(body), body, b"\r\n0\r\n\r\n")),
    ):
        with Client(("127.0.0.1", port)) as client:
            client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n\r\n", *sent)
            assert client.response().body == hashlib.sha256(body).hexdigest().encode()
    with connect(f"ws://127.0.0.1:{port}/ws", proxy=None, open_timeout=DEADLINE_SECONDS) as websocket:
        for message in ("grüß dich", body[: len(body) // 8]):
            websocket.send(message)
            assert websocket.recv(DEADLINE_SECONDS) == message
        websocket.send("bye")
        with pytest.raises(ConnectionClosedError) as closed:
            websocket.recv(DEADLINE_SECONDS)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4001, "as you wish")
