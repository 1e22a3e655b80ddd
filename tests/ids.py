"""Names of parametrized tests that are the same in every process: several collect the suite side by side and compare."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["shown"]


def shown(value: Any) -> str:
    """`repr()` without the addresses of objects."""
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
