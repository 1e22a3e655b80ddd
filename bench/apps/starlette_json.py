"""A Starlette application with one JSON route."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def index(request: Request) -> JSONResponse:
    """Answer with a small object."""
    return JSONResponse({"message": "Hello, World!"})


app = Starlette(routes=[Route("/", index)])
