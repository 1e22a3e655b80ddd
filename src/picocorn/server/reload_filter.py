"""Which files and directories count for a reload: patterns as `--reload-include` and `--reload-exclude` take them.

Looks at names alone, and at which of the patterns name directories that are there. Knows nothing of what happens to files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePath

__all__ = ["DEFAULT_EXCLUDES", "DEFAULT_INCLUDES", "FileFilter", "Pattern"]

DEFAULT_INCLUDES = ("*.py",)
#: uvicorn's. The first one keeps out hidden directories here, too.
DEFAULT_EXCLUDES = (".*", ".py[cod]", ".sw.*", "~*")
#: Directories of files that nobody edits, and that there are many of.
GENERATED_DIRECTORIES = frozenset({"__pycache__", "node_modules"})


class Pattern:
    """A glob. A relative one matches the end of a path, as `Path.match` does; `**` stands for any number of directories."""

    __slots__ = ("_is_absolute", "_parts", "is_about_files", "text")

    def __init__(self, text: str) -> None:
        path = PurePath(text)
        self.text = text
        self._is_absolute = path.is_absolute()
        self._parts = path.parts[1:] if self._is_absolute else path.parts
        #: it matches every name, or every name with a dot: who writes that does not mean directories
        self.is_about_files = text != ".*" and set().union(*self._parts) <= {"*", "."}

    def matches(self, path: str) -> bool:
        """Whether the absolute `path` is meant."""
        if len(self._parts) == 1 and not self._is_absolute:
            return self._parts[0] == "**" or fnmatchcase(path.rpartition(os.sep)[2], self._parts[0])
        if not self._parts:
            # "." is a directory, and no pattern.
            return False
        parts = PurePath(path).parts[1:]
        if self._is_absolute:
            return _match(parts, self._parts)
        return _match(parts, ("**", *self._parts))

    def directories(self) -> frozenset[str]:
        """The names of directories that it spells out."""
        return frozenset(part for part in self._parts[:-1] if not set(part) & set("*?["))


def _match(parts: Sequence[str], globs: Sequence[str]) -> bool:
    if not globs:
        return not parts
    if globs[0] == "**":
        return any(_match(parts[skipped:], globs[1:]) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], globs[0]) and _match(parts[1:], globs[1:])


class FileFilter:
    """What counts of what lies below the watched directories. Paths are absolute."""

    def __init__(self, includes: Iterable[str] = (), excludes: Iterable[str] = ()) -> None:
        # In the order given, each once: uvicorn's `Config` names them twice.
        wanted, unwanted = list(dict.fromkeys(includes)), list(dict.fromkeys(excludes))
        self._includes = [Pattern(text) for text in (*_unless(DEFAULT_INCLUDES, unwanted), *wanted)]
        self._excludes = [Pattern(text) for text in _unless(DEFAULT_EXCLUDES, wanted)]
        self._excluded_directories: set[str] = set()
        for text in unwanted:
            path = Path(text)
            if text != ".*" and path.is_dir():
                self._excluded_directories |= {os.path.abspath(path), os.path.realpath(path)}
            else:
                self._excludes.append(Pattern(text))
        #: spelled out in an include, so it is not left out by a pattern
        self._wanted_directories = frozenset().union(*(pattern.directories() for pattern in self._includes))

    def wants_file(self, path: str) -> bool:
        """Whether a change of this file counts, given that its directory does."""
        matching = [pattern.text for pattern in self._includes if pattern.matches(path)]
        if not matching:
            return False
        # A name that was spelled out counts, whatever else is left out.
        return path.endswith(tuple(matching)) or not any(pattern.matches(path) for pattern in self._excludes)

    def wants_directory(self, path: str) -> bool:
        """Whether to look into this directory, which lies in one that counts."""
        if path in self._excluded_directories:
            return False
        name = path.rpartition(os.sep)[2]
        if name in self._wanted_directories:
            return True
        if name in GENERATED_DIRECTORIES:
            return False
        return not any(pattern.matches(path) for pattern in self._excludes if not pattern.is_about_files)


def _unless(defaults: Iterable[str], named: Sequence[str]) -> list[str]:
    """The defaults that the opposite list does not name."""
    return [text for text in defaults if text not in named]
