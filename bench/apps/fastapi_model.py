"""A FastAPI application that takes a pydantic model and gives it back."""

from __future__ import annotations

from fastapi import FastAPI
from pydantic import BaseModel


class Owner(BaseModel):
    """Whose it is."""

    id: int
    email: str


class Order(BaseModel):
    """What is ordered."""

    name: str
    price: float
    quantity: int = 1
    tags: list[str]
    owner: Owner


app = FastAPI()


@app.post("/")
async def order(wanted: Order) -> Order:
    """Answer with what was understood."""
    return wanted
