"""Says when the access log may be printed without log records: when its configuration would print the known line, and no more.

That is: one plain `logging.StreamHandler` with our `AccessFormatter` and its default format, no filter anywhere on the way, the
usual record factory, and none of the methods on the way replaced (error trackers and tracers do that). Everything else gets
its records. Knows `logging` and formatters; no connection and no event loop but the one it makes outputs for.
"""

from __future__ import annotations

import asyncio
import logging
import types
from collections.abc import Callable, Iterator
from typing import Any

from .formatters import AccessFormatter, ColourizedFormatter
from .log_output import LineOutput

__all__ = ["LineShortcut"]

_FMT = '%(levelprefix)s %(client_addr)s - "%(request_line)s" %(status_code)s'

#: Every method that a record passes through between `logger.info()` and the stream: (class, name).
_METHODS: list[tuple[type, str]] = [
    (owner, name)
    for owner, names in (
        (logging.Logger, "info isEnabledFor _log makeRecord handle filter callHandlers"),
        (logging.StreamHandler, "handle filter format emit flush"),
        (AccessFormatter, "format formatMessage get_status_code color_level_name"),
        (ColourizedFormatter, "formatMessage"),
        (logging.Formatter, "formatMessage"),
        (logging.PercentStyle, "format _format"),
        (logging.LogRecord, "__init__ getMessage"),
    )
    for name in names.split()
]

#: Where the methods are from that nobody has replaced.
_SOURCES = (logging.Logger.manager.getLogger.__code__.co_filename, AccessFormatter.get_status_code.__code__.co_filename)

#: Stand for the parts of a line while the formatter is asked what it puts between them. No format contains them.
_CLIENT, _METHOD, _PATH, _VERSION, _STATUS = "\0c", "\0m", "\0p", "\0v", 200


class LineShortcut:
    """See `connection.access_log_py.Shortcut`. For the event loop that runs when it is made."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        #: that of the current stream last, before it those of earlier ones that still have something to write
        self._outputs: list[LineOutput] = []

    def watched(self, logger: logging.Logger) -> tuple[Any, ...]:
        """Everything that decides how a line of `logger` is printed: the arguments of a `connection.access_line_py.Watch`."""
        # `logging` keeps its verdict for each level in `_cache`, and empties that of every logger when any level changes.
        logger.isEnabledFor(logging.INFO)
        namespaces: list[dict[Any, Any]] = [logger._cache]  # type: ignore[attr-defined]
        lists: list[list[Any]] = []
        rarely: list[dict[Any, Any]] = [logging._levelToName]
        for one in _chain(logger):
            namespaces.append(vars(one))
            lists += (one.handlers, one.filters)
        for handler in _handlers(logger):
            namespaces.append(vars(handler))
            lists.append(handler.filters)
            formatter = handler.formatter
            rarely += (vars(one) for one in (formatter, getattr(formatter, "_style", None)) if hasattr(one, "__dict__"))
        others = [(logging, "_logRecordFactory"), (logging.StreamHandler, "terminator"), (logger, "__class__")]
        return namespaces, lists, rarely, [*_METHODS, *others]

    def line_parts(self, logger: logging.Logger) -> tuple[str, str, Callable[[int], str]] | None:
        """The arguments of a `connection.access_line_py.LineFormat`, None when records have to be made."""
        formatter = _known_formatter(logger)
        if formatter is None:
            return None

        def line_of(status: int) -> str:
            arguments = (_CLIENT, _METHOD, _PATH, _VERSION, status)
            record = logging.LogRecord(logger.name, logging.INFO, "", 0, '%s - "%s %s HTTP/%s" %d', arguments, None)
            return formatter.format(record) + logging.StreamHandler.terminator

        prefix, _, rest = line_of(_STATUS).partition(_CLIENT)
        before_method, _, rest = rest.partition(_METHOD)
        if not rest.startswith(f" {_PATH} HTTP/{_VERSION}"):
            return None
        return prefix, before_method, lambda status: line_of(status).partition(_VERSION)[2]

    def output(self, logger: logging.Logger) -> LineOutput:
        """Where the lines of `logger` go: the same object as long as it is the same stream."""
        (handler,) = _handlers(logger)
        assert isinstance(handler, logging.StreamHandler)
        for output in self._outputs:
            if output.handler is handler and output.stream is handler.stream:
                return output
        # What those before it could not write yet they go on writing by themselves.
        self._outputs = [output for output in self._outputs if output.is_busy]
        self._outputs.append(LineOutput(handler, self._loop))
        return self._outputs[-1]

    def close(self) -> None:
        """Have everything written, waiting a moment for slow readers. May be called again."""
        for output in self._outputs:
            output.close()


def _chain(logger: logging.Logger) -> Iterator[logging.Logger]:
    """The loggers whose settings count: `logger`, those that its records propagate to, those that its level comes from."""
    current: logging.Logger | None = logger
    propagates, levelled = True, False
    while current is not None and (propagates or not levelled):
        yield current
        propagates = propagates and bool(current.propagate)
        levelled = levelled or bool(current.level)
        current = current.parent


def _handlers(logger: logging.Logger) -> list[logging.Handler]:
    """The handlers that a record of `logger` is given to."""
    found: list[logging.Handler] = []
    current: logging.Logger | None = logger
    while current is not None:
        found += current.handlers
        current = current.parent if current.propagate else None
    return found


def _known_formatter(logger: logging.Logger) -> AccessFormatter | None:
    """The formatter of the one handler, if everything is as the module's docstring says."""
    handlers = _handlers(logger)
    if type(logger) is not logging.Logger or logger.filters or len(handlers) != 1 or not logger.isEnabledFor(logging.INFO):
        return None
    handler = handlers[0]
    if type(handler) is not logging.StreamHandler or handler.filters or handler.level > logging.INFO:
        return None
    formatter = handler.formatter
    if type(formatter) is not AccessFormatter or type(formatter._style) is not logging.PercentStyle:
        return None
    style = formatter._style
    if style._fmt != _FMT or getattr(style, "_defaults", None) or handler.terminator != "\n" or handler.stream is None:
        return None
    if logging.getLogRecordFactory() is not logging.LogRecord or not all(_is_original(*method) for method in _METHODS):
        return None
    on_the_way = {name for _, name in _METHODS}
    if any(on_the_way & vars(one).keys() for one in (logger, handler, formatter, style)):
        return None
    return formatter


def _is_original(owner: type, name: str) -> bool:
    method = getattr(owner, name)
    return type(method) is types.FunctionType and method.__code__.co_filename in _SOURCES
