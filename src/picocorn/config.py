"""A door for code that knew uvicorn's layout (`uvicorn.config`): what it names lives in `picocorn.server`."""

from __future__ import annotations

from .server.config import HTTP_PROTOCOLS, INTERFACES, LIFESPAN, LOG_LEVELS, LOGGING_CONFIG, STARTUP_FAILURE, Config

__all__ = ["HTTP_PROTOCOLS", "INTERFACES", "LIFESPAN", "LOGGING_CONFIG", "LOG_LEVELS", "STARTUP_FAILURE", "Config"]
