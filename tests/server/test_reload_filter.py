"""Which files count for a reload, by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from picocorn.server.reload_filter import FileFilter, Pattern


@pytest.mark.parametrize(
    ("text", "matching", "other"),
    [
        ("*.py", ["/a/b.py", "/.py"], ["/a/b.pyc", "/a.py/b"]),
        ("b.py", ["/a/b.py"], ["/a/ab.py"]),
        ("a/*.html", ["/a/x.html", "/z/a/x.html"], ["/a/b/x.html", "/ba/x.html", "/x.html"]),
        ("./a/*.html", ["/z/a/x.html"], ["/a/b/x.html"]),
        ("a/**/*.html", ["/z/a/x.html", "/a/b/c/x.html"], ["/b/x.html"]),
        ("a/**", ["/z/a/x", "/a/b/c/x"], ["/z/b/x"]),
        ("**", ["/x", "/a/b"], []),
        (".", [], ["/x"]),
        ("/a/*.py", ["/a/x.py"], ["/z/a/x.py"]),
        ("/a/**/*.py", ["/a/x.py", "/a/b/c/x.py"], ["/z/a/x.py"]),
        ("[ab].py", ["/a.py", "/z/b.py"], ["/c.py"]),
        ("?.py", ["/a.py"], ["/ab.py"]),
    ],
)
def test_patterns(text: str, matching: list[str], other: list[str]) -> None:
    pattern = Pattern(text)
    assert [path for path in [*matching, *other] if pattern.matches(path)] == matching


#: files that count without any option, and files that do not
DEFAULT = (["main.py", "app/views.py"], ["main.pyc", ".main.py.swp", ".#main.py", "~main.py", "page.html", ".hidden.py", "4913"])


@pytest.mark.parametrize(
    ("includes", "excludes", "counting", "other"),
    [
        ([], [], *DEFAULT),
        (["*.html"], [], ["main.py", "app/page.html"], [".page.html", "page.css"]),
        (["*.html"], ["*.py"], ["app/page.html"], ["main.py"]),
        (["*"], ["*.css"], ["main.py", "x.html", "x"], ["x.css", ".env"]),
        # A default that the opposite list names is none; a name spelled out counts in any case.
        ([".*"], [], [".hidden.py", ".env", "main.py"], ["x.html"]),
        ([".env"], [], [".env", "main.py"], [".hidden.py"]),
        (["main.py"], ["*"], ["main.py"], ["other.py"]),
        ([], ["*_test.py", "app/*.py"], ["main.py", "app/deep/x.py"], ["a_test.py", "app/views.py"]),
    ],
)
def test_files(includes: list[str], excludes: list[str], counting: list[str], other: list[str]) -> None:
    wanted = FileFilter(includes, excludes)
    assert [name for name in [*counting, *other] if wanted.wants_file(f"/root/{name}")] == counting


def test_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs-link").symlink_to("docs")
    monkeypatch.chdir(tmp_path)
    wanted = FileFilter([".github/*.yml", "*"], ["docs-link", "build*", "tests/**", "*.*", "*"])

    def looked_into(*names: str) -> list[str]:
        return [name for name in names if wanted.wants_directory(str(tmp_path / name))]

    # A directory that is there is itself alone, links resolved; other names are patterns, and * is about files.
    assert looked_into("app", "docs", "docs-link", "app/docs", "builds", "tests/x", "with.dot") == ["app", "app/docs", "with.dot"]
    # What is hidden or generated is left out, unless an include goes there.
    assert looked_into(".git", ".venv", "__pycache__", "app/node_modules", ".github") == [".github"]
    assert FileFilter([".*"]).wants_directory("/x/.hidden")
