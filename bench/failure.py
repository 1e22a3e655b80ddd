"""The one error of the suite: a server that does not do what a row asks of it."""

from __future__ import annotations


class BenchFailure(Exception):
    """Ends the server's row, not the run. The text, one line, is what the table says after "fails:"."""


class Unsupported(BenchFailure):
    """The server does not claim to do it: the table says "not measured:" instead."""
