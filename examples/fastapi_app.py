"""A FastAPI application with a lifespan, a path parameter, a validated body and a background task. Needs fastapi.

picocorn fastapi_app:app --app-dir examples
curl -X POST localhost:8000/notes -H 'content-type: application/json' -d '{"text": "buy milk"}'
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypedDict

from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field

logger = logging.getLogger("uvicorn.error")


class Note(BaseModel):
    """What a client may write down."""

    text: str = Field(min_length=1, max_length=200)


class State(TypedDict):
    """What the lifespan hands to every request."""

    notes: list[Note]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[State]:
    """Keep the notes for as long as the server runs."""
    notes: list[Note] = []
    yield {"notes": notes}
    logger.info("%d notes are forgotten", len(notes))


app = FastAPI(title="Notes", lifespan=lifespan)


@app.get("/")
async def index(request: Request) -> list[Note]:
    """All notes, oldest first."""
    notes: list[Note] = request.state.notes
    return notes


@app.get("/notes/{number}")
async def read(number: int, request: Request) -> Note:
    """One note; the first is number 0."""
    notes: list[Note] = request.state.notes
    if not 0 <= number < len(notes):
        raise HTTPException(404, "no such note")
    return notes[number]


@app.post("/notes", status_code=201)
async def write(note: Note, request: Request, after: BackgroundTasks) -> dict[str, int]:
    """Add a note. The log line is written after the response has gone out."""
    request.state.notes.append(note)
    number = len(request.state.notes) - 1
    after.add_task(logger.info, "note %d: %s", number, note.text)
    return {"number": number}
