"""The default logging configuration, as data. Imports no logging: options are declared with it."""

from __future__ import annotations

from typing import Any

from ..base.levels import TRACE_LOG_LEVEL

__all__ = ["LOGGING_CONFIG", "LOG_LEVELS", "TRACE_LOG_LEVEL", "TWIN_NAMES"]

#: Names of levels to numbers, as `logging` has them, and TRACE.
LOG_LEVELS: dict[str, int] = {"critical": 50, "error": 40, "warning": 30, "info": 20, "debug": 10, "trace": TRACE_LOG_LEVEL}

#: uvicorn's logger -> ours. One logger object answers to both names.
TWIN_NAMES = {
    "uvicorn": "picocorn",
    "uvicorn.error": "picocorn.error",
    "uvicorn.access": "picocorn.access",
    "uvicorn.asgi": "picocorn.asgi",
}


class _Loggers(dict[str, Any]):
    """Entries of loggers, found under uvicorn's names too: `LOGGING_CONFIG["loggers"]["uvicorn.access"]` is in much code."""

    def __missing__(self, name: str) -> Any:
        if name in TWIN_NAMES:
            return self[TWIN_NAMES[name]]
        raise KeyError(name)

    def __setitem__(self, name: str, entry: Any) -> None:
        super().__setitem__(TWIN_NAMES.get(name, name), entry)


#: What `Config(log_config=...)` defaults to: this very object, so that changing it in place before `run()` works.
LOGGING_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "default": {
            "()": "picocorn.logging.DefaultFormatter",
            "fmt": "%(levelprefix)s %(message)s",
            "use_colors": None,
        },
        "access": {
            "()": "picocorn.logging.AccessFormatter",
            "fmt": '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s',
        },
    },
    "handlers": {
        "default": {"formatter": "default", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
        "access": {"formatter": "access", "class": "logging.StreamHandler", "stream": "ext://sys.stdout"},
    },
    "loggers": _Loggers(
        {
            "picocorn": {"handlers": ["default"], "level": "INFO", "propagate": False},
            "picocorn.error": {"level": "INFO"},
            "picocorn.access": {"handlers": ["access"], "level": "INFO", "propagate": False},
        }
    ),
}
