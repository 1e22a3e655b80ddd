"""Log formatters: the level as a padded prefix, colours on a terminal, the access line taken apart. Knows only log records."""

from __future__ import annotations

import http
import logging
import sys
from copy import copy
from typing import Any, Literal

from .log_defaults import TRACE_LOG_LEVEL

__all__ = ["TRACE_LOG_LEVEL", "AccessFormatter", "ColourizedFormatter", "DefaultFormatter", "style"]

#: Width of the longest level name: messages begin in one column.
LEVEL_WIDTH = 8

# Select Graphic Rendition codes (ECMA-48 8.3.117).
_COLOURS = {
    "red": 31,
    "green": 32,
    "yellow": 33,
    "blue": 34,
    "cyan": 36,
    "bright_red": 91,
    "bright_white": 97,
}

_LEVEL_COLOURS = {
    TRACE_LOG_LEVEL: "blue",
    logging.DEBUG: "cyan",
    logging.INFO: "green",
    logging.WARNING: "yellow",
    logging.ERROR: "red",
    logging.CRITICAL: "bright_red",
}

#: First digit of a status -> colour.
_STATUS_COLOURS = {1: "bright_white", 2: "green", 3: "yellow", 4: "red", 5: "bright_red"}


def style(text: str, colour: str | None = None, bold: bool = False) -> str:
    """`text` in a colour, or bold, on a terminal that understands it."""
    codes = ([1] if bold else []) + ([_COLOURS[colour]] if colour else [])
    return "".join(f"\x1b[{code}m" for code in codes) + text + "\x1b[0m" if codes else text


class ColourizedFormatter(logging.Formatter):
    """Adds `levelprefix` ("INFO:    ") to what a format may use, in colour if wanted.

    `use_colors` None asks the standard output whether it is a terminal. A record's `color_message` stands in for its
    message when colours are on.
    """

    def __init__(
        self,
        fmt: str | None = None,
        datefmt: str | None = None,
        style: Literal["%", "{", "$"] = "%",
        use_colors: bool | None = None,
    ) -> None:
        self.use_colors = self.should_use_colors() if use_colors is None else use_colors
        super().__init__(fmt=fmt, datefmt=datefmt, style=style)

    def should_use_colors(self) -> bool:
        """What to do when nobody has said."""
        # A process without a console has no standard output at all.
        return sys.stdout is not None and sys.stdout.isatty()

    def color_level_name(self, level_name: str, level_no: int) -> str:
        """The name of a level in its colour."""
        colour = _LEVEL_COLOURS.get(level_no)
        return style(level_name, colour) if colour else level_name

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """See logging.Formatter. Works on a copy: other handlers get the record as it was."""
        record = copy(record)
        name = record.levelname
        padding = " " * (LEVEL_WIDTH - len(name))
        if self.use_colors:
            name = self.color_level_name(name, record.levelno)
            if "color_message" in record.__dict__:
                record.msg = record.__dict__["color_message"]
                record.__dict__["message"] = record.getMessage()
        record.__dict__["levelprefix"] = f"{name}:{padding}"
        return super().formatMessage(record)


class DefaultFormatter(ColourizedFormatter):
    """For everything but the access log."""


class AccessFormatter(ColourizedFormatter):
    """For the access log: adds `client_addr`, `request_line` and `status_code` ("200 OK")."""

    def get_status_code(self, status_code: int) -> str:
        """A status with its phrase, in colour if wanted."""
        try:
            phrase = http.HTTPStatus(status_code).phrase
        except ValueError:
            phrase = ""
        text = f"{status_code} {phrase}"
        colour = _STATUS_COLOURS.get(status_code // 100)
        return style(text, colour) if self.use_colors and colour else text

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """See logging.Formatter."""
        record = copy(record)
        args: Any = record.args
        client_addr, method, full_path, http_version, status_code = args
        request_line = f"{method} {full_path} HTTP/{http_version}"
        if self.use_colors:
            request_line = style(request_line, bold=True)
        record.__dict__.update(
            client_addr=client_addr, request_line=request_line, status_code=self.get_status_code(int(status_code))
        )
        return super().formatMessage(record)
