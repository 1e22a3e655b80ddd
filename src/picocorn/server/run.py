"""`run()`: a configuration, a server, an exit code. Knows no command line."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import sys
import types
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, overload

from ..base.errors import ConfigError
from .config import STARTUP_FAILURE, Config
from .server import Server
from .service import Service
from .systemd import Notifier, take_over

__all__ = ["is_imported_by_worker", "run", "serve", "serve_here"]

logger = logging.getLogger("picocorn.error")

P = ParamSpec("P")


class _Run(Protocol[P]):
    """Takes what `Config` takes, and `app_dir`."""

    @overload
    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> None: ...

    @overload
    def __call__(self, app: Any, *, app_dir: str | None, **options: Any) -> None: ...


#: Of `Config`, for whoever drives the server from another one.
_NOT_FOR_RUN = ("timeout_notify", "callback_notify")


def _with_parameters_of(config: Callable[P, Config]) -> Callable[[Callable[..., None]], _Run[P]]:
    """Give a function the parameters of `config`, so that they stand in one place alone."""

    def decorate(function: Callable[..., None]) -> _Run[P]:
        parameters = [parameter for name, parameter in inspect.signature(config).parameters.items() if name not in _NOT_FOR_RUN]
        app_dir = inspect.Parameter("app_dir", inspect.Parameter.KEYWORD_ONLY, default=None, annotation="str | None")
        function.__signature__ = inspect.Signature([*parameters, app_dir], return_annotation=None)  # type: ignore[attr-defined]
        return function

    return decorate


@_with_parameters_of(Config)
def run(app: Any, *args: Any, app_dir: str | None = None, **options: Any) -> None:
    """Serve `app` until told to stop. Takes the options of `Config`; `app_dir` is put before `sys.path`.

    Exits (3) when the server could not start. A SIGTERM ends the process as it would have ended without a handler.
    Raises ConfigError for an option that cannot be used.
    """
    if app_dir is not None:
        sys.path.insert(0, app_dir)
    serve(lambda: Config(app, *args, **options))


def serve(make_config: Callable[[], Config], supervise_one: bool = False) -> None:
    """As `run()`, with the configuration that `make_config()` gives: it is called again when the server is told to read it anew.

    `supervise_one`: workers=1 means one worker and its supervisor. Programs that call `run()` get no second process for it.
    """
    if is_imported_by_worker():
        return
    # Now, because nothing that is started from here on shall take these descriptors for its own.
    take_over()
    environment = dict(os.environ)
    config = make_config()
    if config.reload:
        reload(config, make_config, environment)
    elif config.needs_supervisor or (supervise_one and config.workers_given):
        supervise(config, make_config, environment)
    else:
        server = Server(config)
        server.service = Service(config.pidfile, Notifier(os.environ))
        serve_here(server)


#: this is a process of multiprocessing's, and imports the application: the main module once more, under its own name, perhaps
_is_loading_in_child = False


def is_imported_by_worker() -> bool:
    """Whether we are called by a script, as soon as it is imported, in one of the workers that it has started."""
    process = sys.modules.get("multiprocessing.process")
    # Else the worker may be importing it still as the main module of who has started it.
    return _is_loading_in_child or (process is not None and getattr(process.current_process(), "_inheriting", False))


def _load_app(config: Config) -> None:
    global _is_loading_in_child
    process = sys.modules.get("multiprocessing.process")
    _is_loading_in_child = process is not None and process.parent_process() is not None
    try:
        config.load_app()
    finally:
        _is_loading_in_child = False


def supervise(config: Config, make_config: Callable[[], Config], environment: dict[str, str]) -> None:
    """Serve with worker processes. `environment` is that from before the configuration was made."""
    _check_importable(config)
    if os.name != "posix":
        raise ConfigError("Invalid value for '--workers': more than one process needs a POSIX system.")
    from .generation import first_generation
    from .supervisor import Supervisor

    code = Supervisor(first_generation(config, make_config, environment)).run()
    if code:
        sys.exit(code)


def reload(config: Config, make_config: Callable[[], Config], environment: dict[str, str]) -> None:
    """Serve with a process that is started anew when files change. `environment` as of `supervise`."""
    _check_importable(config)
    from .generation import first_generation
    from .reload import Reloader

    code = Reloader(first_generation(config, make_config, environment)).run()
    if code:
        sys.exit(code)


def _check_importable(config: Config) -> None:
    if not isinstance(config.app, str):
        logger.warning("You must pass the application as an import string to enable 'reload' or 'workers'.")
        sys.exit(STARTUP_FAILURE)


def serve_here(server: Server, sockets: list[socket.socket] | None = None) -> None:
    """Serve in this process until told to stop. Exits (3) when the server could not start. Raises ConfigError."""
    config = server.config
    try:
        # Before there is a loop: applications may make their own while they are imported, or ask for none.
        _load_app(config)
        server.run(sockets)
    except KeyboardInterrupt:
        pass
    except ConfigError:
        raise
    except Exception as error:
        if server.started:
            raise
        log_application_error(config.app, error)
        sys.exit(STARTUP_FAILURE)
    if not server.started:
        sys.exit(STARTUP_FAILURE)


def log_application_error(app: Any, error: Exception) -> None:
    """Say that importing or making the application failed, with the part of the traceback that is the application's."""
    name = f'"{app}"' if isinstance(app, str) else repr(app)
    # A syntax error has no frame of the application, and says where it is all the same.
    traceback = _from_the_application(error.__traceback__)
    trimmed = error.with_traceback(traceback) if traceback is not None or isinstance(error, SyntaxError) else error
    logger.error("Error loading ASGI app. %s raised %s.", name, type(error).__name__, exc_info=trimmed)


def _from_the_application(traceback: types.TracebackType | None) -> types.TracebackType | None:
    """Leave out how we got there: our own frames, and those of the import system and the event loop."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
    current = traceback
    while current is not None:
        code = current.tb_frame.f_code
        module = str(current.tb_frame.f_globals.get("__name__", ""))
        ours = code.co_filename.startswith(here) or "<frozen importlib" in code.co_filename
        if not ours and module.partition(".")[0] not in ("importlib", "asyncio", "uvloop", "click"):
            return current
        current = current.tb_next
    return None
