"""Chooses the body of what starts tasks: native when the extensions are loaded, pure otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..base.native import NATIVE, half_built

if TYPE_CHECKING or not NATIVE:
    from .tasks_py import TaskStarter, run_application
else:
    try:
        from .tasks_c import TaskStarter, run_application
    except ImportError as error:
        raise half_built(__name__) from error

__all__ = ["TaskStarter", "run_application"]
