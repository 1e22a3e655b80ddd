"""setup.py on a toy package: native rooms are found by their names, built all or not at all. Knows nothing of the real rooms."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent

pytest.importorskip("Cython")
pytest.importorskip("setuptools")

TOY = {
    "csrc/http1.h": "int toy_add(int a, int b);\n",
    "csrc/http1_add.c": '#include "http1.h"\n#include "scan.h"\nint toy_add(int a, int b) { return a + b + toy_scan(); }\n',
    "csrc/scan.h": "int toy_scan(void);\n",
    "csrc/scan_scalar.c": '#include "scan.h"\nint toy_scan(void) { return 0; }\n',
    "csrc/websocket.h": "int toy_unlinked(void);\n",
    "csrc/websocket_frame.c": '#include "websocket.h"\nint toy_unlinked(void) { return 0; }\n',
    "src/picocorn/__init__.py": '__version__ = "0"\n',
    "src/picocorn/http1/__init__.py": "",
    "src/picocorn/http1/parser_c.pxd": "cdef class Parser:\n    cdef int n\n    cpdef int add(self, int a)\n",
    "src/picocorn/http1/parser_c.pyx": (
        'cdef extern from "http1.h":\n    int toy_add(int a, int b)\n'
        "cdef class Parser:\n    def __init__(self, n): self.n = n\n    cpdef int add(self, int a): return toy_add(self.n, a)\n"
    ),
    "src/picocorn/http1/parser_py.py": (
        "class Parser:\n    def __init__(self, n): self.n = n\n    def add(self, a): return self.n + a\n"
    ),
    "src/picocorn/connection/__init__.py": "",
    "src/picocorn/connection/http1_c.pxd": (
        "from ..http1.parser_c cimport Parser\n"
        "cdef class Connection:\n    cdef public Parser parser\n    cpdef object go(self, object x)\n"
    ),
    "src/picocorn/connection/http1_py.py": (
        "from ..http1.parser_py import Parser\n"
        "class Connection:\n    def __init__(self): self.parser = Parser(40)\n    def go(self, x): return self.parser.add(x)\n"
    ),
}


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A package with a parser in two texts over C, and a connection in one text over the parser."""
    for name, text in TOY.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for name in ("LICENSE", "LICENSE.nghttp2", "README.md", "pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


@pytest.fixture
def recipe(toy: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The functions of setup.py, at work in the toy's folder."""
    monkeypatch.chdir(toy)
    spec = importlib.util.spec_from_file_location("picocorn_setup", toy / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=folder,
        env={key: value for key, value in os.environ.items() if key != "PICOCORN_BUILD_EXTENSION"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def built(folder: Path) -> set[str]:
    return {path.name.split(".")[0] for path in (folder / "src").rglob("*.so")}


def test_rooms_are_found_by_their_names(recipe: ModuleType) -> None:
    assert {name: path.name for name, path in recipe.native_sources().items()} == {
        "picocorn.connection.http1_c": "http1_py.py",
        "picocorn.http1.parser_c": "parser_c.pyx",
    }


def test_only_the_c_files_that_a_room_calls_are_linked_to_it(recipe: ModuleType) -> None:
    assert [path.name for path in recipe.linked_c_files("picocorn.http1.parser_c")] == ["http1_add.c", "scan_scalar.c"]
    assert recipe.linked_c_files("picocorn.connection.http1_c") == []


def test_the_second_text_imports_native_twins(recipe: ModuleType) -> None:
    source = Path("src/picocorn/connection/http1_py.py")
    text = recipe.native_text(source, {"picocorn.http1.parser_c"})
    assert text.splitlines()[0] == "from ..http1.parser_c import Parser"
    assert text.splitlines()[1:] == source.read_text().splitlines()[1:]
    # A pure helper that has no native body stays what it is.
    assert recipe.native_text(source, set()) == source.read_text()


def test_a_declaration_without_a_text_is_an_error(recipe: ModuleType) -> None:
    Path("src/picocorn/http1/orphan_c.pxd").write_text("# nothing\n")
    with pytest.raises(SystemExit, match=r"neither orphan_c\.pyx nor orphan_py\.py"):
        recipe.native_sources()


@pytest.fixture
def library_room(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A room over a library that no system has, behind declarations of its own."""
    monkeypatch.setattr(recipe, "LIBRARIES", {"toy/none.h": ("libtoynone", "1.2")})
    folder = Path("src/picocorn/http1")
    (folder / "toylib.pxd").write_text('cdef extern from "toy/none.h":\n    int toy_none()\n')
    (folder / "over_c.pxd").write_text("from .toylib cimport toy_none\n")
    (folder / "over_c.pyx").write_text("def none():\n    return toy_none()\n")
    return recipe


def test_a_room_over_a_missing_library_is_left_out(library_room: ModuleType) -> None:
    assert "picocorn.http1.over_c" not in library_room.native_sources()
    assert "picocorn.http1.parser_c" in library_room.native_sources()


def test_a_missing_library_can_be_made_an_error(library_room: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICOCORN_BUILD_TOYNONE", "yes")
    with pytest.raises(SystemExit, match=r"pkg-config finds no libtoynone 1\.2 or newer"):
        library_room.native_sources()


def test_flags_of_a_library_come_from_pkg_config(library_room: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    program = Path("toy-config")
    program.write_text('#!/bin/sh\n[ "$3" = "libtoynone >= 1.2" ] && echo "-I/a -L/b -ltoynone"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PKG_CONFIG", str(program.absolute()))
    assert library_room.library_flags(Path("src/picocorn/http1/over_c.pxd")) == ["-I/a", "-L/b", "-ltoynone"]
    found = {one.name: one for one in library_room.extensions()}["picocorn.http1.over_c"]
    assert found.extra_link_args == ["-L/b", "-ltoynone"]
    assert "-I/a" in found.extra_compile_args
    monkeypatch.setenv("PICOCORN_BUILD_TOYNONE", "no")
    assert library_room.library_flags(Path("src/picocorn/http1/over_c.pxd")) is None


@pytest.mark.parametrize(("value", "expected"), [("yes", "yes"), ("1", "yes"), ("no", "no"), ("0", "no")])
def test_the_mode_is_what_the_environment_says(
    recipe: ModuleType, monkeypatch: pytest.MonkeyPatch, value: str, expected: str
) -> None:
    monkeypatch.setenv("PICOCORN_BUILD_EXTENSION", value)
    assert recipe.mode() == expected


def test_a_mode_that_is_no_mode_is_named(recipe: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PICOCORN_BUILD_EXTENSION", "maybe")
    with pytest.raises(SystemExit, match="'maybe': expected 'yes' or 'no'"):
        recipe.mode()


linux_with_a_compiler = pytest.mark.skipif(
    sys.platform == "win32"
    or platform.python_implementation() != "CPython"
    or os.environ.get("PICOCORN_BUILD_EXTENSION") == "no"
    or not any(shutil.which(name) for name in ("cc", "gcc", "clang")),
    reason="needs a C compiler",
)


@linux_with_a_compiler
def test_a_build_makes_both_rooms_and_they_work(toy: Path) -> None:
    ran = build(toy, PICOCORN_BUILD_EXTENSION="yes")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert built(toy) == {"http1_c", "parser_c"}
    code = "from picocorn.connection.http1_c import Connection as C; c = C(); print(c.go(2), type(c.parser).__module__)"
    ran = subprocess.run([sys.executable, "-c", code], cwd=toy / "src", capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["42", "picocorn.http1.parser_c"]
    # `no` takes away what an earlier build left: the source tree then runs pure.
    assert build(toy, PICOCORN_BUILD_EXTENSION="no").returncode == 0
    assert built(toy) == set()


def test_without_a_compiler_one_line_says_so(toy: Path) -> None:
    (toy / "src/picocorn/http1/parser_c.pyx").touch()
    ran = build(toy, CC="no-such-compiler")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    lines = [line for line in ran.stderr.splitlines() if line.startswith("picocorn: ")]
    assert len(lines) == (1 if sys.platform != "win32" else 0)
    assert built(toy) == set()


@linux_with_a_compiler
def test_without_a_compiler_yes_is_an_error(toy: Path) -> None:
    assert build(toy, CC="no-such-compiler", PICOCORN_BUILD_EXTENSION="yes").returncode != 0
    assert built(toy) == set()


@linux_with_a_compiler
def test_one_room_that_does_not_compile_leaves_none(toy: Path) -> None:
    (toy / "src/picocorn/connection/http1_py.py").write_text("class Connection:\n    def go(self, x): return (\n")
    ran = build(toy)
    assert ran.returncode != 0
    assert "does not translate" in ran.stderr or "SyntaxError" in ran.stderr
    assert built(toy) == set()


@linux_with_a_compiler
def test_an_extension_does_not_outlive_its_source(toy: Path) -> None:
    assert build(toy).returncode == 0
    (toy / "src/picocorn/connection/http1_c.pxd").unlink()
    assert build(toy).returncode == 0
    assert built(toy) == {"parser_c"}
