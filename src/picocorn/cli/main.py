"""The `picocorn` command. Reads options, hands them to `run()`, turns errors into one line and an exit code.

Imports the server only when it is about to serve, so that `--version` and `--help` are quick.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from .. import __version__
from ..base.errors import ConfigError
from .options import Command, OneLineError, parameters, variable_of

if TYPE_CHECKING:
    from ..server.config_sources import Layer, Sources

__all__ = ["main"]

EPILOG = (
    "Each option can be set in the environment: PICOCORN_PORT, or where there is none UVICORN_PORT, for --port; "
    "PICOCORN_ACCESS_LOG=false for --no-access-log; PICOCORN_HEADERS and PICOCORN_BIND with spaces between them for several "
    "--header and --bind."
)

#: From where the value of an option may come, the strongest first, and what to call it; "" is for the variable.
SOURCES = {
    ParameterSource.COMMANDLINE: "command line",
    ParameterSource.ENVIRONMENT: "",
    # Of a program that calls the command.
    ParameterSource.DEFAULT_MAP: "default_map",
}


def _print_version(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    import platform

    from ..base.native import NATIVE

    body = "native" if NATIVE else "pure"
    interpreter = f"{platform.python_implementation()} {platform.python_version()}"
    click.echo(f"Running picocorn {__version__} with {interpreter} on {platform.system()} ({body})")
    ctx.exit()


def _main(config_file: str | None, no_config: bool, check_config: bool, print_config: bool, **options: Any) -> None:
    from ..server.config_sources import Sources

    context = click.get_current_context()
    sources = Sources(_layers(context, options), _settled_file(context, config_file, no_config))
    try:
        if check_config:
            _check(sources)
        if print_config:
            from ..server.command import effective_text

            click.echo(effective_text(sources), nl=False)
        if check_config or print_config:
            return
        from ..server.command import run_command

        run_command(sources)
    except ConfigError as error:
        raise OneLineError(str(error), context) from error


def _layers(context: click.Context, options: dict[str, Any]) -> list[Layer]:
    """What was given, by source."""
    from ..server.config_sources import Layer

    layers = []
    for source, named in SOURCES.items():
        values = {name: value for name, value in options.items() if context.get_parameter_source(name) is source}
        layers.append(Layer(values, {name: named or variable_of(name) for name in values}))
    return layers


def _settled_file(context: click.Context, config_file: str | None, no_config: bool) -> str | None:
    """The file to read, "" for none, None for the one that lies here."""
    if config_file == "":
        raise OneLineError("Invalid value for '--config': '' names no file.", context)
    if not no_config:
        return config_file
    said = {name: context.get_parameter_source(name) for name in ("config_file", "no_config")}
    if config_file is not None and said["config_file"] is said["no_config"]:
        raise OneLineError("--config and --no-config contradict each other; leave one of them out.", context)
    # One of them stands on the command line, and beats the variable of the other.
    return config_file if said["config_file"] is ParameterSource.COMMANDLINE else ""


def _check(sources: Sources) -> None:
    """Say what is wrong and exit (1), or that nothing is."""
    from ..server.command import problems_of

    problems, seen = problems_of(sources)
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        click.get_current_context().exit(1)
    click.echo(f"The configuration is fine: {seen}.", err=True)


#: What the command itself takes, beside the options of the server.
OWN_OPTIONS = [
    click.Option(
        ["config_file", "--config"],
        metavar="FILE",
        envvar="PICOCORN_CONFIG",
        help="Configuration file. [default: picocorn.toml here, or [tool.picocorn] of pyproject.toml]",
    ),
    click.Option(["no_config", "--no-config"], is_flag=True, envvar="PICOCORN_NO_CONFIG", help="Read no configuration file."),
    click.Option(
        ["check_config", "--check-config"],
        is_flag=True,
        help="Check the configuration, import the application, and exit: 0 if a server could start with them, else 1.",
    ),
    click.Option(
        ["print_config", "--print-config"],
        is_flag=True,
        help="Print the configuration in effect, as a configuration file that says where each value is from, and exit.",
    ),
    click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_print_version,
        help="Show the version and exit.",
    ),
]


class _Picocorn(Command):
    """The command; nothing at all in a worker that imports the script which calls it, where click would end the process."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """See click.Command."""
        if "multiprocessing.process" in sys.modules:
            from ..server.run import is_imported_by_worker

            if is_imported_by_worker():
                return None
        return super().main(*args, **kwargs)


main = _Picocorn(
    "picocorn",
    callback=_main,
    params=[*parameters(), *OWN_OPTIONS],
    help="Serve the ASGI application APP, given as module:attribute.",
    epilog=EPILOG,
    context_settings={"max_content_width": 100},
)
