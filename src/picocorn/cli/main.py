"""The `picocorn` command. Reads options, hands them to `run()`, turns errors into one line and an exit code.

Imports the server only when it is about to serve, so that `--version` and `--help` are quick.
"""

from __future__ import annotations

from typing import Any

import click
from click.core import ParameterSource

from .. import __version__
from ..base.errors import ConfigError
from .options import Command, OneLineError, parameters

__all__ = ["main"]

EPILOG = (
    "Each option can be set in the environment: PICOCORN_PORT, or where there is none UVICORN_PORT, for --port; "
    "PICOCORN_ACCESS_LOG=false for --no-access-log; PICOCORN_HEADERS and PICOCORN_BIND with spaces between them for several "
    "--header and --bind."
)

#: From where the value of an option may come, the strongest first.
SOURCES = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT, ParameterSource.DEFAULT_MAP)
#: Options that say where to listen, beside --bind.
PLACES = ("host", "port", "uds", "fd")


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import platform

    from ..base.native import NATIVE

    body = "native" if NATIVE else "pure"
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    click.echo(f"Running picocorn {__version__} with {interpreter} on {platform.system()} ({body})")
    ctx.exit()


def _main(app: str, app_dir: str | None, **options: Any) -> None:
    from ..server.run import run_command

    if options.get("log_config") is None:
        # Not given: the default stands in the declaration.
        del options["log_config"]
    _drop_overruled(options)
    try:
        run_command(app, app_dir=app_dir or "", **options)
    except ConfigError as error:
        raise OneLineError(str(error), click.get_current_context()) from error


def _drop_overruled(options: dict[str, Any]) -> None:
    """Where --bind and --host and its like come from different places, the stronger place decides; in one they are an error."""
    source = click.get_current_context().get_parameter_source
    for strongest in SOURCES:
        binds, places = source("bind") is strongest, [name for name in PLACES if source(name) is strongest]
        if binds and not places:
            for name in PLACES:
                options.pop(name, None)
        elif places and not binds:
            options.pop("bind", None)
        if binds or places:
            return


main = Command(
    "picocorn",
    callback=_main,
    params=[
        *parameters(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Show the version and exit.",
        ),
    ],
    help="Serve the ASGI application APP, given as module:attribute.",
    epilog=EPILOG,
    context_settings={"max_content_width": 100},
)
