"""Notices changes of files. `Tree` says what has changed, a notifier when to look, and `Watch` does both in a thread.

What has changed is always found out by comparing what the files are with what they were. So it is the same with every
notifier, an editor that writes a file in several steps is one change, and nothing is lost between two looks. Starts and ends
no process.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Collection, Generator, Sequence
from typing import Any, NamedTuple, Protocol

from .reload_filter import FileFilter

__all__ = ["Notifier", "Polling", "Snapshot", "Tree", "Watch", "WatchFilesNotifier", "choose_notifier"]

logger = logging.getLogger("picocorn.error")

#: When something has changed, files are looked at again so often, until nothing changes any more.
SETTLE_SECONDS = 0.05
#: A program that never stops writing is one change as well.
SETTLE_TIMES = 20
#: Looking at a large tree takes a while: polling shall not take more than a tenth of the time.
POLLING_SHARE = 10
#: Polling without a delay would be nothing but polling.
MIN_DELAY_SECONDS = 0.02
#: How often watchfiles lets us see whether to stop.
WATCHFILES_TIMEOUT_MILLISECONDS = 100
#: For the thread to end.
CLOSE_SECONDS = 1.0
#: Beyond that something is in the tree that should not be.
MANY_DIRECTORIES = 5000
#: Marks a virtual environment.
VENV_FILE = "pyvenv.cfg"

#: Time of the last change, size, number: a file that is replaced by one of the same size and time has another number.
Stamp = tuple[int, int, int]


class Snapshot(NamedTuple):
    """The files that count as they were at one time, and the directories where they are."""

    files: dict[str, Stamp]
    #: absolute; those of files that are links too
    directories: frozenset[str]
    #: names that files have where links lead to, and of those that were named: a notifier may call their places otherwise
    names: frozenset[str]
    #: a watched directory, or that of a file that was named, is not there
    is_incomplete: bool

    def changes_since(self, before: Snapshot) -> list[str]:
        """Files that are new, changed or gone."""
        paths = {*self.files, *before.files}
        return sorted(path for path in paths if self.files.get(path) != before.files.get(path))


class Tree:
    """The files below `roots` that `wanted` wants, and `files`, wherever they are. All absolute."""

    def __init__(self, roots: Sequence[str], wanted: FileFilter, files: Sequence[str] = ()) -> None:
        self._roots = list(roots)
        self._real_roots = [os.path.realpath(root) for root in roots]
        self._files = list(files)
        self._wanted = wanted

    def scan(self) -> Snapshot:
        """Look at everything. What cannot be read is not there."""
        found = _Found()
        for root in self._roots:
            found.is_incomplete |= not os.path.isdir(root)
            self._walk(root, found)
        for path in self._files:
            found.add_file(path, is_link=True)
            found.is_incomplete |= not os.path.isdir(os.path.dirname(path))
        return Snapshot(found.files, frozenset(found.directories), frozenset(found.names), found.is_incomplete)

    def may_count(self, path: str, known: Snapshot) -> bool:
        """Whether a change of `path`, in a directory that is looked at, can be a change of a file that counts."""
        if path in known.files or path in known.directories or os.path.basename(path) in known.names:
            return True
        return self._wanted.wants_file(path) or os.path.isdir(path)

    def _walk(self, root: str, found: _Found) -> None:
        waiting = [root]
        while waiting:
            directory = waiting.pop()
            if directory in found.directories:
                continue
            with contextlib.suppress(OSError), os.scandir(directory) as entries:
                listed = list(entries)
                if directory != root and any(entry.name == VENV_FILE for entry in listed):
                    continue
                found.directories.add(directory)
                for entry in listed:
                    with contextlib.suppress(OSError):
                        if entry.is_dir():
                            if self._wanted.wants_directory(entry.path) and self._follows(entry, found):
                                waiting.append(entry.path)
                        elif self._wanted.wants_file(entry.path):
                            found.add_file(entry.path, entry.is_symlink())

    def _follows(self, entry: os.DirEntry[str], found: _Found) -> bool:
        """Whether to look into a directory. A link that leads back into a tree, or round one, would never end."""
        if not entry.is_symlink():
            return True
        target = os.path.realpath(entry.path)
        if target in found.targets or any(_is_in(root, target) or _is_in(target, root) for root in self._real_roots):
            return False
        found.targets.add(target)
        return True


class _Found:
    """A snapshot that is being made."""

    def __init__(self) -> None:
        self.files: dict[str, Stamp] = {}
        self.directories: set[str] = set()
        self.names: set[str] = set()
        #: where links to directories lead to
        self.targets: set[str] = set()
        self.is_incomplete = False

    def add_file(self, path: str, is_link: bool) -> None:
        if is_link:
            # It is there that a change happens.
            target = os.path.realpath(path)
            self.names.update((os.path.basename(path), os.path.basename(target)))
            places = (os.path.dirname(path), os.path.dirname(target))
            self.directories.update(place for place in places if os.path.isdir(place) and os.access(place, os.R_OK))
        with contextlib.suppress(OSError):
            status = os.stat(path)
            self.files[path] = (status.st_mtime_ns, status.st_size, status.st_ino)


def _is_in(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory.rstrip(os.sep) + os.sep)


class Notifier(Protocol):
    """Says when it is time to look."""

    #: as in uvicorn's log lines
    name: str

    def watch(self, directories: Collection[str]) -> None:
        """From when this returns on, changes of entries of these directories end `wait`. Whatever it raises: it cannot."""

    def wait(self, stop: threading.Event, patience_seconds: float | None) -> Collection[str] | None:
        """Wait for a change, or for `stop`, or that long. Returns paths that may have changed, None for any."""

    def looked(self, seconds: float) -> None:
        """Looking has taken so long."""

    def close(self) -> None:
        """Let go of everything."""


class Polling:
    """It is always time to look."""

    name = "StatReload"

    def __init__(self, delay_seconds: float) -> None:
        self._delay_seconds = max(delay_seconds, MIN_DELAY_SECONDS)
        self._pause_seconds = self._delay_seconds

    def watch(self, directories: Collection[str]) -> None:
        """See Notifier."""

    def wait(self, stop: threading.Event, patience_seconds: float | None) -> Collection[str] | None:
        """See Notifier."""
        stop.wait(self._pause_seconds)
        return None

    def looked(self, seconds: float) -> None:
        """See Notifier."""
        self._pause_seconds = max(self._delay_seconds, seconds * POLLING_SHARE)

    def close(self) -> None:
        """See Notifier."""


class WatchFilesNotifier:
    """The kernel says it, by the package watchfiles. Raises ImportError without it."""

    name = "WatchFiles"

    def __init__(self, delay_seconds: float) -> None:
        from watchfiles import watch

        self._watch = watch
        self._delay_seconds = max(delay_seconds, MIN_DELAY_SECONDS)
        self._changes: Generator[set[tuple[Any, str]], None, None] | None = None
        #: have come while it was made sure that they come
        self._early: set[str] = set()

    def watch(self, directories: Collection[str]) -> None:
        """See Notifier."""
        self.close()
        self._changes = self._watch(
            *directories,
            watch_filter=None,
            rust_timeout=WATCHFILES_TIMEOUT_MILLISECONDS,
            yield_on_timeout=True,
            recursive=False,
            # It would ignore every other error as well (1.3), that of too many directories first of all.
            ignore_permission_denied=False,
        )
        # It is the first step that registers the directories.
        self._early = {path for _change, path in next(self._changes)}

    def wait(self, stop: threading.Event, patience_seconds: float | None) -> Collection[str] | None:
        """See Notifier."""
        assert self._changes is not None
        # A program that writes all the time shall not have us look all the time.
        stop.wait(self._delay_seconds)
        early, self._early = self._early, set()
        if early:
            return early
        until = None if patience_seconds is None else time.monotonic() + patience_seconds
        while not stop.is_set():
            changes = next(self._changes)
            if changes:
                return {path for _change, path in changes}
            if until is not None and time.monotonic() >= until:
                return None
        return ()

    def looked(self, seconds: float) -> None:
        """See Notifier."""

    def close(self) -> None:
        """See Notifier."""
        if self._changes is not None:
            self._changes.close()
            self._changes = None


def choose_notifier(delay_seconds: float) -> Notifier:
    """watchfiles where it is installed, else polling."""
    try:
        return WatchFilesNotifier(delay_seconds)
    except ImportError:
        return Polling(delay_seconds)


class Watch:
    """Looks after `tree` in a thread, from when it is made until `close`. Ready for reading when there are changes to take."""

    def __init__(self, tree: Tree, notifier: Notifier, delay_seconds: float) -> None:
        self._tree = tree
        self._notifier = notifier
        self._delay_seconds = max(delay_seconds, MIN_DELAY_SECONDS)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._changed: dict[str, None] = {}
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        # Before whoever asks for it starts anything that reads the files.
        self._known = self._scan()
        #: the directories that the notifier has been told
        self._watched: frozenset[str] = frozenset()
        if len(self._known.directories) > MANY_DIRECTORIES:
            logger.warning(
                "Watching %d directories. To leave some out, use --reload-exclude or --reload-dir.", len(self._known.directories)
            )
        self._thread = threading.Thread(target=self._run, name="picocorn reloader", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """What tells of changes."""
        return self._notifier.name

    def fileno(self) -> int:
        """For selectors."""
        return self._reader.fileno()

    def take(self) -> list[str]:
        """The files that have changed since the last call."""
        with contextlib.suppress(BlockingIOError):
            self._reader.recv(4096)
        with self._lock:
            changed, self._changed = list(self._changed), {}
        return changed

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        # A look at a slow disk is not waited for.
        self._thread.join(CLOSE_SECONDS)
        self._reader.close()
        self._writer.close()

    # -- in the thread

    def _run(self) -> None:
        try:
            self._look()
            while not self._stop.is_set():
                if self._is_time():
                    self._look()
        finally:
            self._notifier.close()

    def _is_time(self) -> bool:
        # What is not there cannot say that it has come.
        patience = self._delay_seconds if self._known.is_incomplete else None
        try:
            paths = self._notifier.wait(self._stop, patience)
        except Exception as error:
            self._poll_instead(error)
            return True
        return paths is None or any(self._tree.may_count(path, self._known) for path in paths)

    def _look(self) -> None:
        before, self._known = self._known, self._settled()
        while self._known.directories != self._watched and not self._stop.is_set():
            self._follow(self._known.directories)
            # What has happened before the notifier took notice.
            self._known = self._settled()
        changed = self._known.changes_since(before)
        if changed:
            with self._lock:
                self._changed.update(dict.fromkeys(changed))
            # Full: somebody has been woken already. Closed: nobody cares.
            with contextlib.suppress(OSError):
                self._writer.send(b"\0")

    def _follow(self, directories: frozenset[str]) -> None:
        try:
            self._notifier.watch(directories)
        except Exception as error:
            if self._tree.scan().directories != directories:
                # One of them has gone meanwhile.
                return
            self._poll_instead(error)
        self._watched = directories

    def _poll_instead(self, error: Exception) -> None:
        # Most likely the kernel's limit of watched directories.
        logger.warning("watchfiles cannot watch (%s). Looking at all files every %g seconds.", error, self._delay_seconds)
        self._notifier.close()
        self._notifier = Polling(self._delay_seconds)

    def _settled(self) -> Snapshot:
        """A snapshot of files that nobody is writing just now."""
        snapshot = self._scan()
        if snapshot == self._known:
            return snapshot
        for _ in range(SETTLE_TIMES):
            self._stop.wait(SETTLE_SECONDS)
            before, snapshot = snapshot, self._scan()
            if snapshot == before or self._stop.is_set():
                break
        return snapshot

    def _scan(self) -> Snapshot:
        began = time.monotonic()
        snapshot = self._tree.scan()
        self._notifier.looked(time.monotonic() - began)
        return snapshot
