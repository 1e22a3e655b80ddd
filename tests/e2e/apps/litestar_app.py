"""A Litestar application: typed bodies, uploads, streams, background tasks, state from its lifespan."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from litestar import Litestar, Request, get, post
from litestar.background_tasks import BackgroundTask
from litestar.datastructures import State, UploadFile
from litestar.enums import RequestEncodingType
from litestar.exceptions import HTTPException
from litestar.params import Body
from litestar.response import Response, ServerSentEvent, Stream
from probe import Probe

released = asyncio.Event()


@dataclass
class Point:
    x: int
    y: int


@asynccontextmanager
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    app.state.greeting = "hello"
    yield


@get("/")
async def index(state: State) -> dict[str, str]:
    return {"greeting": state.greeting}


@get("/sync", sync_to_thread=True)
def in_a_thread() -> dict[str, str]:
    return {"ran": "in a thread"}


@post("/points")
async def create(data: Point) -> Point:
    return Point(x=data.y, y=data.x)


@post("/upload")
async def upload(data: Annotated[UploadFile, Body(media_type=RequestEncodingType.MULTI_PART)]) -> dict[str, Any]:
    content = await data.read()
    return {"name": data.filename, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@post("/digest")
async def digest(request: Request[Any, Any, Any]) -> dict[str, str]:
    sha = hashlib.sha256()
    async for piece in request.stream():
        sha.update(piece)
    return {"sha256": sha.hexdigest()}


@get("/stream")
async def stream() -> Stream:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number
            await asyncio.sleep(0)

    return Stream(lines(), media_type="text/plain")


@get("/events")
async def events() -> ServerSentEvent:
    async def numbers() -> AsyncIterator[str]:
        for number in range(3):
            yield str(number)

    return ServerSentEvent(numbers())


@get("/background")
async def background() -> Response[str]:
    released.clear()
    return Response("started", background=BackgroundTask(released.wait), media_type="text/plain")


@get("/release")
async def release() -> str:
    released.set()
    return "released"


@get("/teapot")
async def teapot() -> None:
    raise HTTPException(status_code=418, detail="short and stout")


@get("/bug")
async def bug() -> None:
    raise RuntimeError("on purpose")


app = Probe(
    Litestar(
        route_handlers=[index, in_a_thread, create, upload, digest, stream, events, background, release, teapot, bug],
        lifespan=[lifespan],
        openapi_config=None,
        request_max_body_size=None,
    )
)
