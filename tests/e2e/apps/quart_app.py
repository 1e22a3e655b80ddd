"""A Quart application: streaming requests and responses, forms, files, hooks."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from probe import Probe
from quart import Quart, Response, jsonify, request

quart = Quart(__name__)
quart.config["MAX_CONTENT_LENGTH"] = None
quart.config["MAX_FORM_MEMORY_SIZE"] = None
served: dict[str, bool] = {}


@quart.before_serving
async def before() -> None:
    served["before"] = True


@quart.get("/")
async def index() -> Any:
    return jsonify(greeting="hello", before=served["before"])


@quart.get("/sync")
def in_a_thread() -> Any:
    return jsonify(ran="in a thread")


@quart.post("/json")
async def echo_json() -> Any:
    return jsonify(await request.get_json())


@quart.post("/digest")
async def digest() -> Any:
    sha = hashlib.sha256()
    async for piece in request.body:
        sha.update(piece)
    return jsonify(sha256=sha.hexdigest())


@quart.post("/echo-stream")
async def echo_stream() -> Response:
    body = request.body

    async def pieces() -> AsyncIterator[bytes]:
        async for piece in body:
            yield piece

    return Response(pieces(), mimetype="application/octet-stream")


@quart.post("/upload")
async def upload() -> Any:
    form = await request.form
    content = (await request.files)["file"].read()
    return jsonify(note=form["note"], size=len(content), sha256=hashlib.sha256(content).hexdigest())


@quart.get("/stream")
async def stream() -> Response:
    async def lines() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d\n" % number
            await asyncio.sleep(0)

    return Response(lines(), mimetype="text/plain")


@quart.get("/bug")
async def bug() -> None:
    raise RuntimeError("on purpose")


app = Probe(quart)
