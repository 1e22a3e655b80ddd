"""A plain ASGI application of WebSocket routes: what clients need to be answered by, and what attackers like best.

Beside them a few HTTP routes tell how the sessions ended and open the gates that some of them wait at.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from probe import Probe

#: What has happened: sessions now in a route, messages and bytes taken and sent, send() errors.
seen: Counter[str] = Counter()
#: How sessions ended, in the order of their ends: path, code and reason of what receive() said.
ends: list[list[Any]] = []
#: /open?NAME lets those go who wait for NAME; who comes later waits for the next one.
gates: dict[str, asyncio.Event] = {}
#: Pages for browsers, by name.
PAGES = Path(os.environ.get("E2E_PAGES", Path(__file__).parent))
#: Who is in /chat: a send for each.
members: set[Any] = set()


async def at_gate(name: str) -> None:
    await gates.setdefault(name, asyncio.Event()).wait()


class Session:
    """One WebSocket as the routes see it."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        self._receive = receive
        self._send = send
        self.ended = False

    async def connect(self) -> None:
        message = await self._receive()
        assert message["type"] == "websocket.connect", message

    async def accept(self, subprotocol: str | None = None, headers: Any = ()) -> None:
        await self.connect()
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers})

    async def receive(self) -> str | bytes | None:
        """The next message; None once there will be none, and then it is noted how that was."""
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            if not self.ended:
                ends.append([self.path, message["code"], message["reason"]])
                print(f"end: {self.path} {message['code']} {message['reason']!r}", flush=True)
            self.ended = True
            return None
        assert message["type"] == "websocket.receive", message
        data = message.get("bytes")
        if data is None:
            data = message["text"]
        seen["received"] += 1
        seen["received bytes"] += len(data)
        return data

    async def send(self, data: str | bytes) -> None:
        kind = "text" if isinstance(data, str) else "bytes"
        await self._send({"type": "websocket.send", kind: data})
        seen["sent"] += 1
        seen["sent bytes"] += len(data)

    async def close(self, code: int | None = None, reason: str = "") -> None:
        message: dict[str, Any] = {"type": "websocket.close", "reason": reason}
        if code is not None:
            message["code"] = code
        await self._send(message)

    async def deny(self, status: int, content: bytes, kind: bytes = b"application/json") -> None:
        headers = [(b"content-type", kind), (b"www-authenticate", b"Bearer")]
        await self._send({"type": "websocket.http.response.start", "status": status, "headers": headers})
        half = len(content) // 2
        await self._send({"type": "websocket.http.response.body", "body": content[:half], "more_body": True})
        await self._send({"type": "websocket.http.response.body", "body": content[half:]})


# -- what clients need


async def echo(session: Session) -> None:
    """Sends each message back as it came."""
    await session.accept()
    while (data := await session.receive()) is not None:
        await session.send(data)


async def digest(session: Session) -> None:
    """Answers each message with its kind, length and SHA-256."""
    await session.accept()
    while (data := await session.receive()) is not None:
        content = data.encode() if isinstance(data, str) else data
        await session.send(f"{type(data).__name__} {len(content)} {hashlib.sha256(content).hexdigest()}")


async def subprotocols(session: Session) -> None:
    """?choose=NAME chooses a subprotocol; then tells what was offered."""
    await session.accept(session.query.get("choose"))
    await session.send(json.dumps(session.scope["subprotocols"]))
    await session.receive()


async def scope_of(session: Session) -> None:
    """Accepts with fields of its own, then tells the scope."""
    await session.accept(headers=[(b"x-greeting", b"hello"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")])
    scope = {**session.scope, "headers": [[n.decode("latin-1"), v.decode("latin-1")] for n, v in session.scope["headers"]]}
    scope.pop("state", None)
    await session.send(json.dumps(scope, default=lambda value: value.decode("latin-1")))
    await session.receive()


async def close(session: Session) -> None:
    """Closes with ?code= and ?reason= as soon as it hears something, and notes what receive() says of it."""
    await session.accept()
    await session.receive()
    await session.close(int(session.query["code"]) if "code" in session.query else None, session.query.get("reason", ""))
    while await session.receive() is not None:
        pass


async def refuse(session: Session) -> None:
    await session.connect()
    await session.close(1008, "not today")


async def deny(session: Session) -> None:
    await session.connect()
    await session.deny(401, b'{"detail": "who are you?"}')


async def leave(session: Session) -> None:
    """Returns after the accept without a word."""
    await session.accept()


async def leave_early(session: Session) -> None:
    await session.connect()


async def fail(session: Session) -> None:
    """Raises once it has heard something."""
    await session.accept()
    await session.receive()
    raise RuntimeError("on purpose")


async def fail_early(session: Session) -> None:
    await session.connect()
    raise RuntimeError("before the accept, on purpose")


async def wrong_subprotocol(session: Session) -> None:
    await session.accept("never-offered")


async def chat(session: Session) -> None:
    """Everybody hears what anybody says."""
    await session.accept()
    members.add(session.send)
    try:
        while (data := await session.receive()) is not None:
            # Each on its way at once, as broadcasting libraries do it: who has left meanwhile is not waited for.
            await asyncio.gather(*(send(data) for send in members), return_exceptions=True)
    finally:
        members.discard(session.send)


async def many_senders(session: Session) -> None:
    """?tasks= tasks send ?count= messages of ?size= bytes each, all at the same time; then "done"."""
    await session.accept()
    count, size = int(session.query["count"]), int(session.query["size"])

    async def say(number: int) -> None:
        for turn in range(count):
            await session.send(b"%d %d " % (number, turn) + bytes(size))

    await asyncio.gather(*(say(number) for number in range(int(session.query["tasks"]))))
    await session.send("done")
    while await session.receive() is not None:
        pass


# -- what attackers like


async def deaf(session: Session) -> None:
    """Accepts and never receives, until ?gate= is opened; then tells how many messages and bytes it has found."""
    await session.accept()
    seen["deaf"] += 1
    try:
        await at_gate(session.query["gate"])
    finally:
        seen["deaf"] -= 1
    while await session.receive() is not None:
        pass


async def slow(session: Session) -> None:
    """Accepts once ?gate= is opened; then as /digest."""
    seen["slow"] += 1
    try:
        await session.connect()
        await at_gate(session.query["gate"])
        await session._send({"type": "websocket.accept"})
        while (data := await session.receive()) is not None:
            await session.send(f"{type(data).__name__} {len(data)}")
    except OSError:
        seen["send refused"] += 1
    finally:
        seen["slow"] -= 1


async def hesitate(session: Session) -> None:
    """Never accepts, and listens for the end."""
    await session.connect()
    seen["hesitating"] += 1
    while await session.receive() is not None:
        pass
    seen["hesitating"] -= 1


async def torrent(session: Session) -> None:
    """Sends ?size= bytes ?count= times (for ever by default) and waits for nothing but `send`.

    ?random= ones, always new. ?yield= lets go of the loop after each, as most applications do.
    """
    await session.accept()
    size = int(session.query.get("size", "65536"))
    piece = bytes(size)
    left = int(session.query.get("count", "-1"))
    seen["writing"] += 1
    try:
        while left:
            await session.send(os.urandom(size) if "random" in session.query else piece)
            seen["poured bytes"] += size
            left -= 1
            if "yield" in session.query:
                await asyncio.sleep(0)
        while await session.receive() is not None:
            pass
    except OSError:
        seen["send refused"] += 1
    finally:
        seen["writing"] -= 1


async def listen(session: Session) -> None:
    """Takes what comes and says nothing."""
    await session.accept()
    seen["listening"] += 1
    try:
        while await session.receive() is not None:
            pass
    finally:
        seen["listening"] -= 1


SESSIONS = {
    "/echo": echo,
    "/digest": digest,
    "/subprotocols": subprotocols,
    "/scope": scope_of,
    "/close": close,
    "/refuse": refuse,
    "/deny": deny,
    "/leave": leave,
    "/leave-early": leave_early,
    "/fail": fail,
    "/fail-early": fail_early,
    "/wrong-subprotocol": wrong_subprotocol,
    "/chat": chat,
    "/many-senders": many_senders,
    "/deaf": deaf,
    "/slow": slow,
    "/hesitate": hesitate,
    "/torrent": torrent,
    "/listen": listen,
}


# -- HTTP beside it


async def answer(send: Any, body: bytes, status: int = 200, kind: bytes = b"text/plain; charset=utf-8") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def http(scope: Any, send: Any) -> None:
    path, query = scope["path"], scope["query_string"].decode()
    if path == "/":
        await answer(send, b"hello")
    elif path == "/seen":
        await answer(send, json.dumps({**seen, "ends": ends}).encode())
    elif path == "/forget":
        ends.clear()
        await answer(send, b"forgotten")
    elif path == "/open":
        gates.pop(query, asyncio.Event()).set()
        await answer(send, b"open")
    elif path.startswith("/pages/"):
        content = (PAGES / Path(path).name).read_bytes()
        await answer(send, content, kind=b"text/html; charset=utf-8")
    else:
        seen[f"http {path}"] += 1
        await answer(send, b"no such route", 404)


async def route(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await http(scope, send)
    elif scope["type"] == "websocket":
        found = SESSIONS.get(scope["path"])
        session = Session(scope, receive, send)
        if found is not None:
            await found(session)
        else:
            await session.connect()
            await session.close()
    else:
        raise NotImplementedError(f"no {scope['type']} here")


app = Probe(route)
