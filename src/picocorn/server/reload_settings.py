"""The options about reloading, settled: what uvicorn's `Config` makes of them, with its log lines. Starts nothing."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .reload_filter import FileFilter

if TYPE_CHECKING:
    from .config import Config

__all__ = ["read_files", "settle_reload"]

logger = logging.getLogger("picocorn.error")


def settle_reload(config: Config) -> None:
    """Give the options about reloading their final form: lists, the directories resolved. Nested ones are named once."""
    dirs, includes, excludes = (_listed(value) for value in (config.reload_dirs, config.reload_includes, config.reload_excludes))
    config.reload_dirs, config.reload_includes, config.reload_excludes = [], [], []
    config.reload_dirs_excludes = []
    if not config.should_reload:
        if dirs or includes or excludes:
            logger.warning("Current configuration will not reload as not all conditions are met, please refer to documentation.")
        return
    config.reload_dirs_excludes = _directories(excludes)
    # What was asked for as a directory is left out as part of it, too.
    asked = [path for path in _directories([*dirs, *includes]) if not _is_below(path, config.reload_dirs_excludes)]
    config.reload_excludes = excludes
    config.reload_includes = [pattern for pattern in includes if pattern not in excludes]
    config.reload_dirs = list(_outermost(asked, FileFilter(includes, excludes)))
    if not config.reload_dirs:
        if dirs:
            logger.warning(
                "Provided reload directories %s did not contain valid directories, watching current working directory.", dirs
            )
        config.reload_dirs = [Path.cwd()]
    logger.info("Will watch for changes in these directories: %s", sorted(map(str, config.reload_dirs)))


def read_files(config: Config) -> list[str]:
    """The files that the server itself reads: a reload reads those anew, too."""
    found = [config.config_file, config.env_file, config.log_config]
    return [os.path.abspath(path) for path in found if isinstance(path, str | os.PathLike)]


def _listed(value: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] | None) -> list[str]:
    if value is None:
        return []
    if isinstance(value, str | os.PathLike):
        return [os.fspath(value)]
    return list(dict.fromkeys(os.fspath(item) for item in value))


def _directories(texts: Iterable[str]) -> list[Path]:
    """Those of `texts` that name directories which are there, in full."""
    # As a pattern, .* means what is hidden.
    found = [Path(text).resolve() for text in texts if text != ".*" and Path(text).is_dir()]
    return list(dict.fromkeys(found))


def _is_below(path: Path, others: Sequence[Path]) -> bool:
    return any(path == other or other in path.parents for other in others)


def _outermost(paths: Sequence[Path], wanted: FileFilter) -> Iterable[Path]:
    """Leave out what lies in another one and is found from there."""
    for path in paths:
        above = [parent for parent in path.parents if parent in paths]
        if not any(_reaches(parent, path, wanted) for parent in above):
            yield path


def _reaches(parent: Path, path: Path, wanted: FileFilter) -> bool:
    between = [path, *(other for other in path.parents if parent in other.parents)]
    return all(wanted.wants_directory(str(other)) and not (other / "pyvenv.cfg").exists() for other in between)
