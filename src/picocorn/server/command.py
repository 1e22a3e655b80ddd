"""What the command does with what it was given: serve, check the configuration, show it. Knows where options come from.

Programs have `run()`, which reads no file and no variables.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import sys
import traceback
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..base.errors import ConfigError
from .binding import addresses_of
from .config import Config
from .config_file import ConfigFileError
from .config_text import config_text
from .options import Settings, declared
from .run import serve

if TYPE_CHECKING:
    from .config_sources import Effective, Sources

__all__ = ["ConfigMaker", "effective_text", "problems_of", "run_command"]


def run_command(sources: Sources) -> None:
    """As `run()`, with the options that `sources` give: they are read again at each SIGHUP.

    Here `--workers 1` asks for a supervisor with one worker.
    """
    serve(ConfigMaker(sources), supervise_one=True)


class ConfigMaker:
    """Makes a configuration of `sources` each time it is called, with `app_dir` before `sys.path`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._app_dir: str | None = None
        #: of the last call that got so far
        self.effective: Effective | None = None

    def __call__(self) -> Config:
        """Read everything. Raises ConfigError: `sys.path` is then as before."""
        effective = self._sources.read()
        before = self._app_dir
        # First of all: log configurations may name classes of the application's.
        self._look_in(effective.app_dir)
        try:
            config = Config(**effective.options)
        except ConfigError as error:
            self._look_in(before)
            raise effective.explained(error) from None
        config.app_dir, config.config_file = effective.app_dir, effective.path
        self.effective = effective
        return config

    def _look_in(self, app_dir: str | None) -> None:
        if self._app_dir is not None:
            with contextlib.suppress(ValueError):
                sys.path.remove(self._app_dir)
        if app_dir is not None:
            sys.path.insert(0, app_dir)
        self._app_dir = app_dir


# -- --print-config


def effective_text(sources: Sources) -> str:
    """The configuration that `sources` give, as a configuration file. Raises ConfigError."""
    effective = sources.read()
    try:
        # Reads the environment file. Logging is left alone: nothing is to be logged.
        config = Config(**{**effective.options, "log_config": None})
    except ConfigError as error:
        raise effective.explained(error) from None
    settings = Settings(**effective.options)
    settings.app_dir = effective.app_dir
    origins = dict(effective.origins)
    for name, (_, details) in declared().items():
        variable = details.variable
        # An empty number is none, an empty list of addresses is one.
        found = bool(os.environ.get(variable)) if details.kind == "integer" else variable in os.environ
        if found and origins.get(name) in (None, effective.file):
            setattr(settings, name, getattr(config, name))
            origins[name] = f"environment {variable}"
    return config_text(settings, origins)


# -- --check-config


def problems_of(sources: Sources) -> tuple[list[str], str]:
    """What is wrong with the configuration, a line each, and what was looked at. Imports the application; serves nothing."""
    maker = ConfigMaker(sources)
    with _log_files_as_they_are():
        try:
            config = maker()
        except ConfigFileError as error:
            return error.problems, ""
        except ConfigError as error:
            return [str(error)], ""
        problems = [*_missing_folders(config), *_problems_with_the_application(config)]
    file = maker.effective.file if maker.effective is not None else None
    return problems, f"{file or 'no configuration file'}, {config.app} imported"


def _missing_folders(config: Config) -> Iterator[str]:
    files = [("--uds" if not config.bind else "--bind", address.path) for address in addresses_of(config) if address.path]
    if config.pidfile is not None:
        files.append(("--pidfile", os.fspath(config.pidfile)))
    for flag, path in files:
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.isdir(folder):
            yield f"Invalid value for '{flag}': {path!r}: there is no folder {folder!r}."


def _problems_with_the_application(config: Config) -> list[str]:
    """What prevents a start, found by loading what a start loads, in the same surroundings."""
    problems: list[str] = []

    async def load() -> None:
        config.load()

    try:
        # As in `serve_here`: before there is a loop.
        with _errors_into(problems):
            config.load_app()
        # Logging may have changed in between.
        with _errors_into(problems), asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(load())
    except SystemExit as end:
        if not problems:
            problems.append(f'Error loading ASGI app. "{config.app}" ended the process with {end.code!r}.')
    except ConfigError as error:
        problems.append(str(error))
    except Exception as error:
        problems.append(f'Error loading ASGI app. "{config.app}" raised {_told(error)}')
    return [" ".join(problem.split()) for problem in problems]


def _told(error: Exception) -> str:
    said = f": {error}" if str(error) else ""
    # A syntax error says where it is.
    last = [] if isinstance(error, SyntaxError) else traceback.extract_tb(error.__traceback__)[-1:]
    return f"{type(error).__name__}{said}" + "".join(f" ({frame.filename}, line {frame.lineno})" for frame in last)


@contextlib.contextmanager
def _errors_into(problems: list[str]) -> Iterator[None]:
    """Collect the errors that the server logs, wherever its log goes, and keep them out of it."""

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            problems.append(record.getMessage())

    logger = logging.getLogger("picocorn.error")
    names = ("handlers", "propagate", "disabled", "level")
    before: dict[str, Any] = {name: getattr(logger, name) for name in names}
    logger.handlers, logger.propagate, logger.disabled = [Collector(logging.ERROR)], False, False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.handlers, logger.propagate, logger.disabled = (before[name] for name in names[:3])
        logger.setLevel(before["level"])


@contextlib.contextmanager
def _log_files_as_they_are() -> Iterator[None]:
    """Neither make nor write the files of a log configuration, but complain of those that could not be written."""
    original = logging.FileHandler._open

    def opened(handler: logging.FileHandler) -> Any:
        path = handler.baseFilename
        if not os.access(path if os.path.exists(path) else os.path.dirname(path), os.W_OK):
            number = errno.EACCES if os.path.isdir(os.path.dirname(path)) else errno.ENOENT
            raise OSError(number, os.strerror(number), path)
        # Some would rename their file at the first record.
        handler.emit = lambda _record: None  # type: ignore[assignment, method-assign]
        return open(os.devnull, "a", encoding="utf-8")

    logging.FileHandler._open = opened  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        logging.FileHandler._open = original  # type: ignore[method-assign]
