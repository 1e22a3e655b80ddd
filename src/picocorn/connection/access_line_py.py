"""A line of the access log put together without a log record, and the watch that says when this may no longer be done.

Pure body. Mechanism only: which configuration may be printed this way is for the server to say. Knows scopes, no `logging`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .access_parts import request_parts

__all__ = ["LineFormat", "Watch"]


class LineFormat:
    """How a line is put together.

    `prefix` stands before the client's address (str), `before_method` between it and the method; `tail_of(status)` gives what
    follows the HTTP version, with the end of the line, and is asked once for each status.
    """

    __slots__ = ("_before_method", "_prefix", "_tail_of", "_tails")

    def __init__(self, prefix: str, before_method: str, tail_of: Callable[[int], str]) -> None:
        self._prefix = prefix
        self._before_method = before_method
        self._tail_of = tail_of
        self._tails: dict[int, str] = {}

    def line(self, scope: dict[str, Any], status: int) -> str:
        """The whole line for the request of `scope`, answered with `status`."""
        client, method, path, version = request_parts(scope)
        tail = self._tails.get(status)
        if tail is None:
            tail = self._tails[status] = self._tail_of(status)
        return f"{self._prefix}{client}{self._before_method}{method} {path} HTTP/{version}{tail}"


class Watch:
    """Remembers what decides how lines are printed, object for object.

    `namespaces` (dicts) and `lists` are the containers whose contents are looked at for each line. `rarely`, dicts too, and
    `attributes`, pairs of an object and a name, are looked at once a turn: who changes those does it for good.
    """

    __slots__ = ("_attributes", "_found", "_lists", "_namespaces", "_rare_values", "_rarely", "_sizes", "_values")

    def __init__(
        self,
        namespaces: list[dict[Any, Any]],
        lists: list[list[Any]],
        rarely: list[dict[Any, Any]],
        attributes: list[tuple[Any, str]],
    ) -> None:
        self._namespaces = namespaces
        self._lists = lists
        self._rarely = rarely
        self._attributes = attributes
        self._values = _contents(namespaces, lists)
        self._sizes = [len(items) for items in lists]
        self._rare_values = _contents(rarely, [])
        self._found = [getattr(owner, name) for owner, name in attributes]

    def holds(self) -> bool:
        """Whether what is looked at for each line is as it was."""
        # A list compares its items by identity first, which decides for all that has not changed.
        contents = _contents(self._namespaces, self._lists)
        return contents == self._values and [len(items) for items in self._lists] == self._sizes

    def holds_all(self) -> bool:
        """Whether everything is as it was."""
        return (
            self.holds()
            and _contents(self._rarely, []) == self._rare_values
            and [getattr(owner, name) for owner, name in self._attributes] == self._found
        )


def _contents(namespaces: list[dict[Any, Any]], lists: list[list[Any]]) -> list[Any]:
    contents: list[Any] = []
    for namespace in namespaces:
        contents += namespace.values()
    for items in lists:
        contents += items
    return contents
