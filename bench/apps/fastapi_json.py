"""A FastAPI application with one JSON route."""

from __future__ import annotations

from fastapi import FastAPI

app = FastAPI()


@app.get("/")
async def index() -> dict[str, str]:
    """Answer with a small object."""
    return {"message": "Hello, World!"}
