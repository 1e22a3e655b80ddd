"""What the tests of examples/deploy share: the files, the programs that read them, and an application to put behind them."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Client, Gate, wait_until

__all__ = ["DEPLOY", "Front", "is_listening", "program", "started"]

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
def started(port: int, *command: str) -> Iterator[subprocess.Popen[str]]:
    """Run `command` until the block ends; begins once `port` is listened on."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        wait_until(lambda: process.poll() is not None or is_listening(port), f"{command[0]} listens")
        assert process.poll() is None, process.communicate()[0]
        yield process
    finally:
        process.terminate()
        process.communicate()


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
