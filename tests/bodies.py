"""Which bodies of a twin room are tested here, and how to load them. Knows file names only.

Both, unless PICOCORN_NO_EXTENSIONS deselects the native ones openly. A native body that was not built is not skipped: loading
it fails, and so does the test that asked for it.
"""

from __future__ import annotations

import importlib
import os
from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType

from picocorn.base.native import NO_EXTENSIONS_VARIABLE

__all__ = ["BODIES", "load"]

DESELECTED = os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0")
BODIES = ["pure"] if DESELECTED else ["native", "pure"]


def load(room: str, body: str) -> ModuleType:
    """The body of a room: `load("http1.parser", "native")`. Raises ImportError when it is not there."""
    module = importlib.import_module(f"picocorn.{room}_{'c' if body == 'native' else 'py'}")
    assert module.__file__ is not None
    assert module.__file__.endswith(tuple(EXTENSION_SUFFIXES)) == (body == "native"), module.__file__
    return module
