"""A FastAPI application with what people use of it: models, dependencies, uploads, streams, background tasks, handlers, state."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, FastAPI, File, Form, Header, HTTPException, Query, Request, UploadFile, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from probe import Probe
from pydantic import BaseModel, Field

#: Filled by background tasks; a test waits for it through /background/{name}.
done: dict[str, asyncio.Event] = {}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"greeting": "hello", "visits": []}


api = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    name: str = Field(min_length=1)
    price: float = Field(gt=0)
    tags: list[str] = []


class OutOfStock(Exception):
    pass


@api.exception_handler(OutOfStock)
async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
    return JSONResponse({"sold": str(error)}, status_code=409)


async def page(offset: Annotated[int, Query(ge=0)] = 0, limit: Annotated[int, Query(le=50)] = 10) -> range:
    return range(offset, offset + limit)


async def connection_lent(request: Request) -> AsyncIterator[str]:
    """A dependency with an exit, like a database session."""
    request.state.visits.append("enter")
    try:
        yield "session"
    finally:
        request.state.visits.append("exit")


def token(authorization: Annotated[str | None, Header()] = None) -> str:
    """A sync dependency: runs in a thread."""
    if authorization != "Bearer right":
        raise HTTPException(401, "who are you?", headers={"WWW-Authenticate": "Bearer"})
    return authorization.removeprefix("Bearer ")


@api.get("/")
async def index(request: Request) -> dict[str, str]:
    return {"greeting": request.state.greeting}


@api.get("/sync")
def in_a_thread() -> dict[str, str]:
    return {"ran": "in a thread"}


@api.get("/numbers")
async def numbers(wanted: Annotated[range, Depends(page)]) -> list[int]:
    return list(wanted)


@api.get("/secret")
def secret(who: Annotated[str, Depends(token)]) -> dict[str, str]:
    return {"token": who}


@api.get("/lent")
async def lent(session: Annotated[str, Depends(connection_lent)]) -> dict[str, str]:
    return {"session": session}


@api.get("/visits")
async def visits(request: Request) -> list[str]:
    seen: list[str] = request.state.visits
    return seen


@api.post("/items", status_code=201)
async def create(item: Item) -> Item:
    return item


@api.get("/sold/{name}")
async def sold(name: str) -> None:
    raise OutOfStock(name)


@api.get("/bug")
async def bug() -> None:
    raise ZeroDivisionError("on purpose")


@api.post("/upload")
async def upload(file: Annotated[UploadFile, File()], note: Annotated[str, Form()]) -> dict[str, Any]:
    digest = hashlib.sha256()
    size = 0
    while piece := await file.read(65536):
        digest.update(piece)
        size += len(piece)
    return {"name": file.filename, "note": note, "size": size, "sha256": digest.hexdigest()}


@api.post("/digest")
async def digest_of_stream(request: Request) -> dict[str, Any]:
    digest = hashlib.sha256()
    async for piece in request.stream():
        digest.update(piece)
    return {"sha256": digest.hexdigest()}


@api.get("/stream/{count}")
async def stream(count: int) -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(count):
            yield b"line %d\n" % number
            await asyncio.sleep(0)

    return StreamingResponse(lines(), media_type="text/plain")


@api.post("/background/{name}")
async def start_background(name: str, tasks: BackgroundTasks) -> dict[str, str]:
    """The task waits to be let go by a later request: it can only end if that request is not delayed by it."""
    done[name] = asyncio.Event()
    tasks.add_task(done[name].wait)
    tasks.add_task(done.pop, name)
    return {"started": name}


@api.get("/background/{name}")
async def end_background(name: str) -> dict[str, bool]:
    event = done.get(name)
    if event is not None:
        event.set()
    return {"running": event is not None}


@api.websocket("/ws")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(await socket.receive_text())


app = Probe(api)
