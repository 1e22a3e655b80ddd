"""picocorn: an ASGI server. This module is the public face and nothing else.

`run(app, **options)` serves an application until it is told to stop; `Config(app, **options)` and `Server(config)` are
the pieces for a program that wants to hold the server in its own hands; `main` is the command line. The options are
those of the command line, with `_` for `-`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__all__ = ["Config", "Server", "__version__", "main", "run"]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .cli.main import main
    from .server.config import Config
    from .server.run import run
    from .server.server import Server

# Imported when first asked for (PEP 562): `import picocorn` in an application module must cost nothing.
_HOMES = {"Config": ".server.config", "Server": ".server.server", "main": ".cli.main", "run": ".server.run"}


def __getattr__(name: str) -> object:
    """Import the public object `name` from the room where it lives; AttributeError for anything else (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, imported or not."""
    return sorted({*globals(), *__all__})
