"""Runs picocorn with less patience for clients that take nothing: python impatient.py SECONDS ARGUMENTS-OF-PICOCORN

The rooms take the bound when they are imported, compiled ones as a number in C: so it is set before.
"""

from __future__ import annotations

import runpy
import sys

from picocorn.connection import lingering


def main() -> None:
    lingering.STALLED_SECONDS = float(sys.argv.pop(1))
    lingering.STALL_LOOK_SECONDS = lingering.STALLED_SECONDS / 4
    runpy.run_module("picocorn", run_name="__main__", alter_sys=True)


main()
