"""A chat in plain ASGI: a page, and a WebSocket on which everybody hears what anybody says. Needs picocorn alone.

picocorn chat:app --app-dir examples
"""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

#: So many messages wait for a member who reads slowly; then that member is let go.
MAX_WAITING = 100
MAX_NAME_CHARACTERS = 30

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>picocorn chat</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
  ol { list-style: none; padding: 0; min-height: 12rem }
  b { font-weight: 600 }
  .event, #state { color: #777 }
  form { display: flex; gap: .5rem }
  input { font: inherit; padding: .3rem .6rem; flex: 1; min-width: 0 }
  input[name=name] { flex: 0 1 8rem }
  button { font: inherit; padding: .3rem 1rem }
</style>
<h1>picocorn chat</h1>
<p id="state">Not connected.</p>
<ol id="log"></ol>
<form id="join"><input name="name" maxlength="30" placeholder="Your name" required autofocus><button>Join</button></form>
<form id="say" hidden><input name="text" placeholder="Say something" autocomplete="off" required><button>Send</button></form>
<script>
  const by = id => document.getElementById(id);
  let socket;
  function show({kind, name, text}) {
    const line = document.createElement("li"), who = document.createElement("b");
    who.textContent = name;
    if (kind === "said") line.append(who, ": " + text);
    else { line.className = "event"; line.append(who, kind === "joined" ? " is here." : " has left."); }
    by("log").append(line);
    line.scrollIntoView({block: "nearest"});
  }
  by("join").onsubmit = event => {
    event.preventDefault();
    const url = new URL("ws?name=" + encodeURIComponent(event.target.name.value), location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.onopen = () => {
      by("state").textContent = "Connected.";
      by("join").hidden = true;
      by("say").hidden = false;
      by("say").text.focus();
    };
    socket.onmessage = ({data}) => show(JSON.parse(data));
    socket.onclose = ({code, reason}) => {
      by("state").textContent = `Not connected (${code}${reason && ": " + reason}).`;
      by("join").hidden = false;
      by("say").hidden = true;
    };
  };
  by("say").onsubmit = event => {
    event.preventDefault();
    socket.send(event.target.text.value);
    event.target.reset();
  };
</script>
"""

#: Everybody who is here: the messages that wait for them. None ends it.
members: set[asyncio.Queue[str | None]] = set()


def tell_all(kind: str, name: str, text: str = "") -> None:
    """Put a message before every member. Waits for nobody: one who does not read must not hold up the others."""
    message = json.dumps({"kind": kind, "name": name, "text": text})
    for queue in list(members):
        if queue.qsize() < MAX_WAITING:
            queue.put_nowait(message)
        else:
            members.discard(queue)
            queue.put_nowait(None)


async def deliver(queue: asyncio.Queue[str | None], send: Any) -> None:
    """Send what waits for one member, until the client has gone (`send` raises) or was too slow."""
    try:
        while (message := await queue.get()) is not None:
            await send({"type": "websocket.send", "text": message})
        await send({"type": "websocket.close", "code": 1008, "reason": "you read too slowly"})
    except OSError:
        pass


async def chat(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One member, from joining to leaving."""
    await receive()
    fields = dict(scope["headers"])
    name = parse_qs(scope["query_string"].decode()).get("name", [""])[0][:MAX_NAME_CHARACTERS]
    origin = fields.get(b"origin")
    # Browsers let every page connect everywhere: only this header tells the pages of others.
    foreign = origin is not None and urlsplit(origin).netloc != fields.get(b"host")
    if foreign or not name:
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    members.add(queue)
    delivery = asyncio.create_task(deliver(queue, send))
    tell_all("joined", name)
    try:
        while (message := await receive())["type"] == "websocket.receive":
            if message.get("text"):
                tell_all("said", name, message["text"])
    finally:
        members.discard(queue)
        tell_all("left", name)
        delivery.cancel()
        await asyncio.gather(delivery, return_exceptions=True)


async def page(scope: dict[str, Any], send: Any) -> None:
    """Answer a request: `/` is the page, everything else is a 404."""
    found = scope["path"] == scope["root_path"] + "/"
    body = PAGE.encode() if found else b"Not found.\n"
    kind = b"text/html; charset=utf-8" if found else b"text/plain; charset=utf-8"
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200 if found else 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application. Without a lifespan: the server notices and goes on."""
    if scope["type"] == "websocket":
        await chat(scope, receive, send)
    elif scope["type"] == "http":
        await page(scope, send)
    else:
        raise NotImplementedError(f"{scope['type']} is not served here")
