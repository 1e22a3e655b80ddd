"""A Starlette application with one JSON route behind a BaseHTTPMiddleware, which makes every answer a stream."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


class Marked(BaseHTTPMiddleware):
    """Adds a field to the answer."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        response = await call_next(request)
        response.headers["x-marked"] = "yes"
        return response


async def index(request: Request) -> JSONResponse:
    """Answer with a small object."""
    return JSONResponse({"message": "Hello, World!"})


app = Starlette(routes=[Route("/", index)], middleware=[Middleware(Marked)])
