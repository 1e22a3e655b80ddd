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
    """Remembers what some containers hold, object for object, and what some classes and modules have under a name.

    `dicts` and `lists` are the containers themselves, `methods` pairs of a class (or module) and a name.
    """

    __slots__ = ("_dicts", "_found", "_lists", "_methods", "_sizes", "_values")

    def __init__(self, dicts: list[dict[Any, Any]], lists: list[list[Any]], methods: list[tuple[Any, str]]) -> None:
        self._dicts = dicts
        self._lists = lists
        self._methods = methods
        self._values = self._contents()
        self._sizes = [len(items) for items in lists]
        self._found = [getattr(owner, name) for owner, name in methods]

    def _contents(self) -> list[Any]:
        contents: list[Any] = []
        for namespace in self._dicts:
            contents += namespace.values()
        for items in self._lists:
            contents += items
        return contents

    def holds(self) -> bool:
        """Whether the containers hold what they held: cheap enough for each line."""
        # A list compares its items by identity first, which decides for all that has not changed.
        return self._contents() == self._values and [len(items) for items in self._lists] == self._sizes

    def methods_hold(self) -> bool:
        """Whether the classes have the methods that they had."""
        return [getattr(owner, name) for owner, name in self._methods] == self._found
