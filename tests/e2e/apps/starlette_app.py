"""A Starlette application: streams, uploads, background tasks, both kinds of middleware, sessions, static files."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import AsyncIterator
from typing import Any

from probe import Probe
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

#: The folder with the files to serve, made by the test.
FOLDER = os.environ["E2E_STATIC_FOLDER"]

user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")
finished = asyncio.Event()
disconnects: dict[str, asyncio.Event] = {}


class Timing(BaseHTTPMiddleware):
    """The middleware that wraps receive and send in streams of its own."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-middleware"] = "passed"
        return response


async def index(request: Request) -> Response:
    return PlainTextResponse("Hello, world!")


async def echo(request: Request) -> Response:
    return Response(await request.body(), media_type=request.headers.get("content-type"))


async def echo_stream(request: Request) -> Response:
    """Sends each piece back as it comes: request and response run at the same time."""
    return StreamingResponse(request.stream(), media_type="application/octet-stream")


async def form(request: Request) -> Response:
    async with request.form() as fields:
        sizes = {name: len(await value.read()) if hasattr(value, "read") else value for name, value in fields.items()}
    return JSONResponse(sizes)


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number in range(int(request.query_params.get("count", "10"))):
            yield f"{number}\n"
            await asyncio.sleep(0)

    return StreamingResponse(pieces(), media_type="text/plain")


async def large(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        piece = bytes(65536)
        for _ in range(int(request.query_params["pieces"])):
            yield piece

    return StreamingResponse(pieces(), media_type="application/octet-stream")


async def background(request: Request) -> Response:
    """Its task waits for a later request, so that order and independence can both be seen."""
    finished.clear()
    return PlainTextResponse("started", background=BackgroundTask(finished.wait))


async def release(request: Request) -> Response:
    finished.set()
    return PlainTextResponse("released")


async def session(request: Request) -> Response:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JSONResponse(request.session)


async def context(request: Request) -> Response:
    """What an earlier request of the same connection has left in this context, and something for the next one."""
    before = user.get()
    user.set(request.query_params["user"])
    return PlainTextResponse(before)


async def file(request: Request) -> Response:
    return FileResponse(os.path.join(FOLDER, "page.html"), filename="page.html")


async def until_disconnect(request: Request) -> Response:
    """Streams until its client leaves, then says so to whoever waits in /left.

    With ASGI 2.4 and later Starlette learns of it from `send` alone: a stream that never sends would never end.
    """
    name = request.query_params["name"]
    disconnects[name] = asyncio.Event()

    async def ticks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            disconnects[name].set()

    return StreamingResponse(ticks())


async def left(request: Request) -> Response:
    event = disconnects.get(request.query_params["name"])
    if event is None:
        return PlainTextResponse("never heard of it", status_code=404)
    await event.wait()
    return PlainTextResponse("left")


async def aborted_upload(request: Request) -> Response:
    name = request.query_params["name"]
    disconnects[name] = asyncio.Event()
    try:
        async for _ in request.stream():
            pass
    except ClientDisconnect:
        disconnects[name].set()
    return PlainTextResponse("whole")


async def redirect(request: Request) -> Response:
    return RedirectResponse("/")


async def head_only(request: Request) -> Response:
    return PlainTextResponse("body of a GET", headers={"x-method": request.method})


async def broken(request: Request) -> Response:
    raise RuntimeError("on purpose")


async def broken_stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"begun"
        raise RuntimeError("in the middle, on purpose")

    return StreamingResponse(pieces())


async def scope_of(request: Request) -> Response:
    keys = ("type", "http_version", "scheme", "method", "path", "root_path")
    scope: dict[str, Any] = {key: request.scope[key] for key in keys}
    scope["client"] = request.scope["client"] and request.scope["client"][0]
    scope["headers"] = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.scope["headers"]]
    return JSONResponse(scope)


site = Starlette(
    routes=[
        Route("/", index),
        Route("/echo", echo, methods=["POST", "PUT"]),
        Route("/echo-stream", echo_stream, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/stream", stream),
        Route("/large", large),
        Route("/background", background),
        Route("/release", release),
        Route("/session", session),
        Route("/context", context),
        Route("/file", file),
        Route("/until-disconnect", until_disconnect),
        Route("/left", left),
        Route("/aborted-upload", aborted_upload, methods=["POST"]),
        Route("/redirect", redirect),
        Route("/head", head_only, methods=["GET", "HEAD"]),
        Route("/broken", broken),
        Route("/scope", scope_of),
        Mount("/static", StaticFiles(directory=FOLDER)),
    ],
    middleware=[
        Middleware(Timing),
        Middleware(SessionMiddleware, secret_key="for tests only"),
        Middleware(GZipMiddleware, minimum_size=500),
    ],
)
# Without middleware in between, which would hide from the server that a stream has ended early.
bare = Starlette(
    routes=[
        Route("/bare/broken-stream", broken_stream),
        Route("/bare/echo-stream", echo_stream, methods=["POST"]),
        Route("/bare/until-disconnect", until_disconnect),
    ]
)


async def dispatch(scope: Any, receive: Any, send: Any) -> None:
    await (bare if scope.get("path", "").startswith("/bare/") else site)(scope, receive, send)


app = Probe(dispatch)
