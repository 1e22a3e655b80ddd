"""Import strings: "module:attribute" to the object. Knows `importlib` and the messages that users know from uvicorn."""

from __future__ import annotations

import importlib
from typing import Any

from ..base.errors import ImportFromStringError

__all__ = ["ImportFromStringError", "import_from_string"]


def import_from_string(import_str: Any) -> Any:
    """Import "module:attribute[.attribute]"; anything but a str comes back as it is.

    Raises ImportFromStringError when the module or the attribute is not there. What the module itself raises goes through.
    """
    if not isinstance(import_str, str):
        return import_str
    module_name, _, attributes = import_str.partition(":")
    if not module_name or not attributes:
        hint = _hint(import_str)
        raise ImportFromStringError(f'Import string "{import_str}" must be in format "<module>:<attribute>".{hint}')
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # Only if it is the module itself, or a package on the way to it, that is missing: an import of its own that
        # fails is the application's mistake, and worth its traceback.
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise
        raise ImportFromStringError(f'Could not import module "{module_name}".{_hint(import_str)}') from None
    except TypeError as error:
        # importlib's answer to ".module".
        if not module_name.startswith("."):
            raise
        hint = _hint(import_str) or " Relative names lead nowhere here."
        raise ImportFromStringError(f'Could not import module "{module_name}".{hint}') from error
    try:
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except AttributeError:
        raise ImportFromStringError(f'Attribute "{attributes}" not found in module "{module_name}".') from None
    return found


def _hint(import_str: str) -> str:
    """What the user may have meant, for a path in place of a module."""
    module, _, attributes = import_str.partition(":")
    if "/" not in module and not module.endswith(".py"):
        return ""
    name = module.removesuffix(".py").strip("./").replace("/", ".")
    return f' Did you mean "{name}:{attributes or "app"}"?'
