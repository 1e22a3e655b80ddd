"""A door for code that knew uvicorn's layout (`uvicorn.importer`)."""

from __future__ import annotations

from .server.importer import ImportFromStringError, import_from_string

__all__ = ["ImportFromStringError", "import_from_string"]
