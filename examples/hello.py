"""A plain ASGI application: a small page that shows what the server told it about the request. Needs picocorn alone.

picocorn hello:app --app-dir examples
"""

from __future__ import annotations

from html import escape
from typing import Any

PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>picocorn is serving</title>
<style>
  body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222 }}
  h1 {{ font-weight: 600 }}
  table {{ border-collapse: collapse; width: 100% }}
  td {{ border-top: 1px solid #ddd; padding: .3rem .8rem .3rem 0; vertical-align: top; overflow-wrap: anywhere }}
  td:first-child {{ color: #666; white-space: nowrap }}
  code {{ font: 14px/1.5 ui-monospace, monospace }}
</style>
<h1>picocorn is serving</h1>
<p>This page is a plain ASGI application, <code>examples/hello.py</code>. Here is the scope of your request, which is
number {count} since the server started.</p>
<table>
{facts}
</table>
<h2>Fields</h2>
<table>
{fields}
</table>
"""

FACTS = ("method", "path", "query_string", "http_version", "scheme", "client", "server", "root_path", "asgi", "extensions")


def row(name: object, value: object) -> str:
    """One table row, safe to show whatever a client sent."""
    text = value.decode("latin-1") if isinstance(value, bytes) else str(value)
    return f"<tr><td>{escape(str(name))}</td><td><code>{escape(text)}</code></td></tr>"


async def lifespan(receive: Any, send: Any) -> None:
    """Take part in startup and shutdown; here there is nothing to prepare."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The application: `/` is the page, everything else is a 404."""
    if scope["type"] == "lifespan":
        scope["state"]["count"] = [0]
        await lifespan(receive, send)
        return
    if scope["type"] != "http":
        raise NotImplementedError(f"{scope['type']} is not served here")
    count = scope.get("state", {}).get("count", [0])
    count[0] += 1
    if scope["path"] != scope["root_path"] + "/":
        status, kind, text = 404, "text/plain; charset=utf-8", "Not found.\n"
    else:
        facts = "\n".join(row(name, scope.get(name)) for name in FACTS)
        fields = "\n".join(row(name.decode("latin-1"), value) for name, value in scope["headers"])
        status, kind, text = 200, "text/html; charset=utf-8", PAGE.format(count=count[0], facts=facts, fields=fields)
    body = text.encode()
    headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
