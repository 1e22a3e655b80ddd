"""Which bodies of the twin rooms are under test. In a module of its own: there are several files called conftest."""

from __future__ import annotations

import os

from picocorn.base.native import NO_EXTENSIONS_VARIABLE

__all__ = ["TWINS"]

#: Native is left out only when somebody asked for that: where it is merely missing, its tests fail.
TWINS = ("pure",) if os.environ.get(NO_EXTENSIONS_VARIABLE, "") not in ("", "0") else ("native", "pure")
