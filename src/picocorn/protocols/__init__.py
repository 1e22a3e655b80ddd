"""Doors for code that knew uvicorn's layout (`uvicorn.protocols`): nothing lives here."""
