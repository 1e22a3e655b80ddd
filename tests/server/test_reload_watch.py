"""Changes of files in a real tree, with both notifiers."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from harness import DEADLINE_SECONDS, wait_until
from picocorn.server.reload_filter import FileFilter
from picocorn.server.reload_watch import Notifier, Polling, Tree, Watch, WatchFilesNotifier, choose_notifier

DELAY_SECONDS = 0.02


class Watched:
    """A tree that is watched."""

    def __init__(self, root: Path, notifier: Notifier, files: list[str]) -> None:
        self.root = root
        self.watch = Watch(Tree([str(root)], FileFilter(["*.txt"]), files), notifier, DELAY_SECONDS)

    def changed(self) -> list[str]:
        """Wait for changes, and return them relative to the root."""
        assert select.select([self.watch], [], [], DEADLINE_SECONDS)[0], "no change was seen"
        return [os.path.relpath(path, self.root) for path in self.watch.take()]

    def wait_for(self, *names: str) -> None:
        """Until all of these have changed, and nothing else."""
        seen: set[str] = set()
        while seen != set(names):
            seen |= set(self.changed())
            assert seen <= set(names)


@pytest.fixture(params=[WatchFilesNotifier, Polling])
def notifier(request: pytest.FixtureRequest) -> Notifier:
    return request.param(DELAY_SECONDS)  # type: ignore[no-any-return]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "outside/env").write_text("")
    return tmp_path / "outside"


@pytest.fixture
def watched(tmp_path: Path, outside: Path, notifier: Notifier) -> Iterator[Watched]:
    root = tmp_path / "root"
    for name in ("app", ".git", "venv/lib", "node_modules"):
        (root / name).mkdir(parents=True)
        (root / name / "x.py").write_text("")
    (root / "venv/pyvenv.cfg").write_text("")
    (root / "main.py").write_text("")
    (outside / "named-otherwise").write_text("")
    (root / "link").symlink_to(outside)
    (root / "app/around").symlink_to("..")
    (root / "app/linked.py").symlink_to(outside / "named-otherwise")
    watched = Watched(root, notifier, [str(outside / "env")])
    yield watched
    watched.watch.close()


def test_changes(watched: Watched, outside: Path) -> None:
    root = watched.root
    (root / "main.py").write_text("1")
    assert watched.changed() == ["main.py"]
    # As editors do it: a new file takes the place of the old one, or the old one moves away first. One change.
    os.utime(root / "main.py", (1, 1))
    watched.changed()
    (root / ".main.py.tmp").write_text("2")
    os.utime(root / ".main.py.tmp", (1, 1))
    os.replace(root / ".main.py.tmp", root / "main.py")
    assert watched.changed() == ["main.py"]
    os.replace(root / "main.py", root / "main.py~")
    (root / "main.py").write_text("3")
    watched.wait_for("main.py")
    # Nobody looks where nobody edits. The change after those shows that they were not waited for long enough.
    for name in (".git", "venv", "venv/lib", "node_modules"):
        (root / name / "new.py").write_text("")
    (root / "notes.md").write_text("")
    (root / "notes.txt").write_text("")
    assert watched.changed() == ["notes.txt"]
    (root / "notes.txt").unlink()
    assert watched.changed() == ["notes.txt"]
    # Through links, round which nobody goes for ever, and a file that was named.
    (outside / "deep/x.py").write_text("")
    watched.wait_for("link/deep/x.py")
    (outside / "named-otherwise").write_text("new")
    watched.wait_for("app/linked.py")
    (outside / "env").write_text("A=1")
    watched.wait_for("../outside/env")


def test_directories_come_and_go(watched: Watched) -> None:
    root = watched.root
    (root / "new/deep").mkdir(parents=True)
    (root / "new/deep/x.py").write_text("")
    watched.wait_for("new/deep/x.py")
    (root / "new/deep/x.py").write_text("1")
    watched.wait_for("new/deep/x.py")
    os.rename(root / "new", root / "renamed")
    watched.wait_for("new/deep/x.py", "renamed/deep/x.py")
    (root / "renamed/deep/y.py").write_text("1")
    watched.wait_for("renamed/deep/y.py")
    shutil.rmtree(root)
    watched.wait_for("main.py", "app/x.py", "app/linked.py", "renamed/deep/x.py", "renamed/deep/y.py")
    root.mkdir()
    (root / "main.py").write_text("back")
    watched.wait_for("main.py")
    (root / "main.py").write_text("and again")
    watched.wait_for("main.py")


def test_several_steps_are_one_change(tmp_path: Path, notifier: Notifier) -> None:
    watched = Watched(tmp_path, notifier, [])
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.py").write_text("")
        (tmp_path / f"{name}.py").write_text("more")
    # What comes and goes again is none.
    (tmp_path / "d.py").write_text("")
    (tmp_path / "d.py").unlink()
    seen = watched.changed()
    watched.watch.close()
    # Unless this machine has stopped for longer than an editor writes.
    assert seen[0] == "a.py"
    assert set(seen) <= {"a.py", "b.py", "c.py", "d.py"}


class Exhausted(Polling):
    """Works until it is to watch, or until it is waited for."""

    name = "WatchFiles"

    def __init__(self, when: str) -> None:
        super().__init__(DELAY_SECONDS)
        self._when = when

    def watch(self, directories: Collection[str]) -> None:
        if self._when == "watch":
            raise OSError("OS file watch limit reached")

    def wait(self, stop: threading.Event, patience_seconds: float | None) -> Collection[str] | None:
        raise RuntimeError("the watcher has died")


@pytest.mark.parametrize("when", ["watch", "wait"])
def test_what_cannot_be_watched_is_polled(tmp_path: Path, caplog: pytest.LogCaptureFixture, when: str) -> None:
    watched = Watched(tmp_path, Exhausted(when), [])
    wait_until(lambda: watched.watch.name == "StatReload", "polls")
    (tmp_path / "x.py").write_text("")
    assert watched.changed() == ["x.py"]
    watched.watch.close()
    (message,) = caplog.messages
    assert message.startswith("watchfiles cannot watch (")


def test_choosing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_notifier(1).name == "WatchFiles"
    monkeypatch.setitem(sys.modules, "watchfiles", None)
    assert choose_notifier(1).name == "StatReload"


LIMITED = """
import sys
from picocorn.server.reload_watch import WatchFilesNotifier
try:
    WatchFilesNotifier(0).watch(sys.argv[1:])
except OSError as error:
    print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="inotify")
def test_the_kernels_limit_is_not_passed_over(tmp_path: Path) -> None:
    command = 'echo 2 > /proc/sys/user/max_inotify_watches && exec "$0" "$@"'
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    try:
        subprocess.run(["unshare", "-Ur", "sh", "-c", command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs a user namespace")
    directories = [str(tmp_path / name) for name in ("a", "b", "c")]
    arguments = ["unshare", "-Ur", "sh", "-c", command, sys.executable, "-c", LIMITED, *directories]
    done = subprocess.run(arguments, check=True, capture_output=True, text=True)
    assert "watch limit" in done.stdout
