"""Makes click parameters of the declared options: names, types, environment variables, help. Knows no server, only options."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from ..base.errors import ConfigError
from ..server.options import GROUPS, Option, check, declared, flag_of

if TYPE_CHECKING:
    import dataclasses

__all__ = ["Command", "OneLineError", "parameters", "variable_of"]

#: Looked up in this order: ours first, then those of the server that many deployments come from.
PREFIXES = ("PICOCORN_", "UVICORN_")

#: Where the descriptions begin in help.
COLUMN = 30

_METAVARS = {"integer": "INTEGER", "octal": "OCTAL", "seconds": "SECONDS", "size": "SIZE", "boolean": "BOOLEAN", "file": "FILE"}


class OneLineError(click.UsageError):
    """A wrong option, said in one line: the usage text above it would hide it."""

    def show(self, file: Any = None) -> None:
        """Print the line."""
        click.echo(f"Error: {self.format_message()}", file=file, err=file is None)


class _Value(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """Type of an option's value: text to what the option holds, by the option's own check."""

    def __init__(self, option_name: str, details: Option) -> None:
        self.name = details.metavar or _METAVARS.get(details.kind, "TEXT")
        self._option_name = option_name
        self._details = details

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """What stands for the value in help."""
        choices = self._details.choices
        if not choices or self._details.metavar:
            return self.name
        return f"[{'|'.join(choices)}{'|MODULE:ATTRIBUTE' if self._details.importable else ''}]"

    def split_envvar_value(self, rv: str) -> list[str]:
        """See click.ParamType."""
        return rv.split(self._details.separator or None)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        if not isinstance(value, str):
            return value
        kind = self._details.kind
        if kind == "integer":
            value = self._number(int, value, "a valid integer", param, ctx)
        elif kind == "seconds":
            number: float = self._number(float, value, "a valid number of seconds", param, ctx)
            value = int(number) if number.is_integer() else number
        elif kind == "file" and not os.path.exists(value):
            self.fail(f"File {value!r} does not exist.", param, ctx)
        elif self._details.must_exist and not os.path.exists(value):
            self.fail(f"Path {value!r} does not exist.", param, ctx)
        try:
            return check(self._option_name, value)
        except ConfigError as error:
            raise OneLineError(str(error), ctx) from None

    def _number(self, convert: Any, value: str, what: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return convert(value)
        except ValueError:
            self.fail(f"{value!r} is not {what}.", param, ctx)


def _help(field: dataclasses.Field[Any], details: Option) -> str:
    default = details.shown_default
    if not default and isinstance(field.default, str | int | float) and field.default != "" and details.kind != "flag":
        default = str(field.default)
        if details.kind == "switch":
            default = "on" if field.default else "off"
        elif details.kind == "boolean":
            default = default.lower()
    return f"{details.help} [default: {default}]" if default else details.help


def _variables(name: str) -> list[str]:
    return [prefix + name.upper() for prefix in PREFIXES]


def variable_of(name: str) -> str:
    """What to call the environment as the source of an option: the variable that click has taken."""
    return "environment " + next(variable for variable in _variables(name) if os.environ.get(variable))


def _parameter(name: str, field: dataclasses.Field[Any], details: Option) -> click.Parameter:
    variables = _variables(name)
    if name == "app":
        # Not required here: a configuration file may name it.
        return click.Argument([name], envvar=variables, metavar=details.metavar, required=False)
    shared: dict[str, Any] = {"envvar": variables, "help": _help(field, details)}
    flag = flag_of(name, details)
    if details.kind == "switch":
        return click.Option([name, f"{flag}/--no-{flag[2:]}"], default=field.default, **shared)
    if details.kind == "flag":
        return click.Option([name, flag], is_flag=True, default=False, **shared)
    # A default that is made by a factory is no text: leaving the option out leaves it to the factory.
    default = field.default if isinstance(field.default, str | int | float) else None
    return click.Option([name, flag], type=_Value(name, details), default=default, multiple=details.kind == "list", **shared)


def parameters() -> list[click.Parameter]:
    """The parameters of the command, in the order of declaration."""
    return [_parameter(name, field, details) for name, (field, details) in declared().items()]


class Command(click.Command):
    """A command whose help shows the options in their groups, and which says what is wrong in one line."""

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """See click.Command."""
        try:
            return super().make_context(*args, **kwargs)
        except OneLineError:
            raise
        except click.UsageError as error:
            text = error.format_message()
            if not isinstance(error, click.BadParameter) or isinstance(error, click.MissingParameter):
                text += " Try --help."
            raise OneLineError(text, error.ctx) from None

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """See click.Command."""
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        options = declared()
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and isinstance(parameter, click.Option):
                group = options[parameter.name][1].group if parameter.name in options else "Help"
                rows.setdefault(group, []).append(record)
        for group, records in rows.items():
            if records:
                with formatter.section(group):
                    # The first column of all groups is as wide, so that they line up.
                    formatter.write_dl([(name.ljust(COLUMN), text) for name, text in records], col_max=COLUMN)
