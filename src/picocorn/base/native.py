"""The one place that decides which body of the twin rooms is used: compiled (`*_c`) or pure Python (`*_py`).

Knows no room but the one it probes for, and imports none: it only looks whether the compiled file is there, so that asking
costs next to nothing and `base` keeps importing nothing above itself.

    PICOCORN_NO_EXTENSIONS=1    pure, whatever was built
    otherwise                   native if the parser was compiled for this interpreter, else pure

There is no choice room by room. A set of extensions of which one is missing or does not load is a broken build, and the
chooser of that room says so (`half_built`): half native would be a server nobody has tested.
"""

from __future__ import annotations

import os
import platform
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

__all__ = ["NATIVE", "NO_EXTENSIONS_VARIABLE", "body_in_use", "half_built"]

NO_EXTENSIONS_VARIABLE = "PICOCORN_NO_EXTENSIONS"

#: The compiled room that stands for all of them: no native build is of use without it.
_PROBE = ("http1", "parser_c")


def _deselected() -> bool:
    return os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0")


def _compiled() -> bool:
    # The file, not an import: a compiled file that is there but does not load must be an error, not a silent fallback.
    folder, stem = _PROBE
    room = Path(__file__).parent.parent / folder
    return any((room / (stem + suffix)).exists() for suffix in EXTENSION_SUFFIXES)


#: True when callers get the compiled bodies.
NATIVE: bool = not _deselected() and _compiled()


def half_built(room: str) -> ImportError:
    """The error for a chooser whose compiled body is missing or does not load.

    `room` is the chooser's `__name__`. Use: `except ImportError as error: raise half_built(__name__) from error`.
    """
    return ImportError(
        f"picocorn is half built: {room}_c is missing or does not load, though other compiled rooms are there; "
        f"build again (python setup.py build_ext --inplace), or set {NO_EXTENSIONS_VARIABLE}=1 to use none of them",
        name=f"{room}_c",
    )


def body_in_use() -> str:
    """One line for `--version`: which body runs, on which interpreter, and why when it is not the native one."""
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    if NATIVE:
        return f"native extensions on {interpreter}"
    reason = f"{NO_EXTENSIONS_VARIABLE} is set" if _deselected() else "no extensions were built for it"
    return f"pure Python on {interpreter} ({reason})"
