"""An ASGI 2 application: called with the scope, then with receive and send."""

from __future__ import annotations

import json
from typing import Any

from probe import Probe


class App:
    def __init__(self, scope: dict[str, Any]) -> None:
        self.scope = scope

    async def __call__(self, receive: Any, send: Any) -> None:
        if self.scope["type"] == "lifespan":
            raise NotImplementedError("no lifespan here")
        if self.scope["path"].endswith("__probe__"):
            await Probe(None)(self.scope, receive, send)
            return
        body = b""
        more_body = True
        while more_body:
            message = await receive()
            body += message.get("body", b"")
            more_body = message.get("more_body", False)
        answer = {"asgi": self.scope["asgi"]["version"], "path": self.scope["path"], "body": body.decode()}
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


app = App
