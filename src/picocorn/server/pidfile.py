"""The file with the process id of a server: one server to a file, gone when its server is. Knows no configuration and no log."""

from __future__ import annotations

import contextlib
import errno
import os

__all__ = ["PidFile"]

#: Of the file of a server that has started a new one in its place, as with nginx and gunicorn.
ASIDE = ".oldbin"


class PidFile:
    """The pid file `path` of this process."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._is_written = False

    def check(self) -> None:
        """Raise OSError, in words for the user, if another process has the file and lives, or if it could not be written."""
        owner = _read(self._path)
        if owner and owner != os.getpid() and _is_alive(owner):
            raise FileExistsError(f"{self._path}: process {owner} has written this pid file, and is running")
        folder = os.path.dirname(self._path)
        if not os.path.isdir(folder):
            raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}: {folder}, for the pid file")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, f"{os.strerror(errno.EACCES)}: {folder}, for the pid file")

    def write(self) -> None:
        """Write the file at once and whole, in place of one that nobody alive has written. Raises OSError as `check` does."""
        self.check()
        # Whoever reads it finds the old file or the new one, never half of one.
        draft = f"{self._path}.{os.getpid()}"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            os.replace(draft, self._path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.remove(draft)
            raise
        self._is_written = True

    def move_aside(self) -> None:
        """Make room for the file of a new server that is to take our place. Raises OSError."""
        if self._is_ours(self._path):
            os.replace(self._path, self._path + ASIDE)

    def move_back(self) -> None:
        """The new server has not made it. Raises OSError."""
        if self._is_ours(self._path + ASIDE):
            os.replace(self._path + ASIDE, self._path)

    def remove(self) -> None:
        """Remove what is ours, under either name. Doing it again does nothing. Raises OSError."""
        for path in (self._path, self._path + ASIDE):
            if self._is_ours(path):
                os.remove(path)
        self._is_written = False

    def _is_ours(self, path: str) -> bool:
        return self._is_written and _read(path) == os.getpid()


def _read(path: str) -> int:
    """The process id in a pid file; 0 if there is none in it, or no such file. Raises OSError for one that cannot be read."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(32).strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 11 else 0


def _is_alive(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Somebody else's, which is alive all the same.
        return True
    except OverflowError:
        return False
    return True
