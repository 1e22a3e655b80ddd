"""Doors for code that knew uvicorn's layout (`uvicorn.middleware`): nothing lives here."""
