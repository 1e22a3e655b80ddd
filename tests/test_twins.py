"""The twin law: every room with two bodies shows the same face whichever is in use, and the native one is really there.

Rooms are found by their file names: `x.py` chooses between `x_py.py` and the compiled `x_c`.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import picocorn
from bodies import TWINS
from picocorn.base import native

PACKAGE = Path(picocorn.__file__).parent

#: Names that only a compiled body has, because they tell about the compilation.
NATIVE_ONLY = {"picocorn.http1.parser": {"SCAN_KERNEL"}, "picocorn.websocket.reader": {"MASK_KERNEL"}}

requires_native = pytest.mark.skipif("native" not in TWINS, reason=f"{native.NO_EXTENSIONS_VARIABLE} is set")


def rooms() -> list[str]:
    """The choosers: modules beside which both bodies are declared."""
    found = []
    for pure in sorted(PACKAGE.rglob("*_py.py")):
        stem = pure.stem.removesuffix("_py")
        declared = any(pure.with_name(f"{stem}_c{suffix}").exists() for suffix in (".pxd", ".pyx"))
        # A helper of a pure body, without a chooser, need not have a native twin: there the work is done in C.
        if pure.with_name(f"{stem}.py").exists() and declared:
            found.append("picocorn." + ".".join(pure.relative_to(PACKAGE).with_name(stem).parts))
    return found


def bodies(room: str) -> tuple[ModuleType, ModuleType]:
    return importlib.import_module(f"{room}_c"), importlib.import_module(f"{room}_py")


def public(owner: Any) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def parameters(function: Any) -> list[tuple[str, Any, Any]]:
    return [(one.name, one.kind, one.default) for one in inspect.signature(function).parameters.values()]


def test_rooms_are_found() -> None:
    assert {"picocorn.http1.parser", "picocorn.http1.writer"} <= set(rooms())


@pytest.mark.parametrize("room", rooms())
def test_a_chooser_chooses_one_body_for_all_its_names(room: str) -> None:
    chooser = importlib.import_module(room)
    body = importlib.import_module(room + ("_c" if native.NATIVE else "_py"))
    assert chooser.__all__
    for name in chooser.__all__:
        assert getattr(chooser, name) is getattr(body, name), name


@requires_native
@pytest.mark.parametrize("room", rooms())
def test_the_native_body_is_really_native(room: str) -> None:
    module = importlib.import_module(f"{room}_c")
    assert module.__file__ is not None
    assert module.__file__.endswith(tuple(EXTENSION_SUFFIXES)), f"{module.__file__} is not compiled: build first"
    assert native.NATIVE


@requires_native
@pytest.mark.parametrize("room", rooms())
def test_same_names(room: str) -> None:
    compiled, pure = bodies(room)
    assert set(importlib.import_module(room).__all__) <= set(pure.__all__)
    for name in pure.__all__:
        assert hasattr(compiled, name), f"{name} is missing in the native body"
        assert type(getattr(compiled, name)).__name__ != "NoneType"
    # Where the native body says what it shows, it shows no more.
    assert set(getattr(compiled, "__all__", ())) <= set(pure.__all__) | NATIVE_ONLY.get(room, set())


@requires_native
@pytest.mark.parametrize("room", rooms())
def test_same_classes_and_signatures(room: str) -> None:
    compiled, pure = bodies(room)
    for name in pure.__all__:
        ours, theirs = getattr(pure, name), getattr(compiled, name)
        if inspect.isclass(ours):
            assert inspect.isclass(theirs), name
            assert public(theirs) == public(ours), name
            for method in public(ours):
                if inspect.isfunction(getattr(ours, method)):
                    assert parameters(getattr(theirs, method)) == parameters(getattr(ours, method)), f"{name}.{method}"
        elif inspect.isfunction(ours):
            assert parameters(theirs) == parameters(ours), name
        elif isinstance(ours, (int, str, bytes, float, tuple, frozenset)):
            assert theirs == ours, name


@requires_native
@pytest.mark.parametrize("room", rooms())
def test_same_exceptions(room: str) -> None:
    # An error is caught by its class: both bodies must mean the same one, not a copy.
    compiled, pure = bodies(room)
    for name, value in vars(compiled).items():
        if inspect.isclass(value) and issubclass(value, BaseException) and hasattr(pure, name):
            assert value is getattr(pure, name), name


def in_use(**environment: str) -> str:
    code = "from picocorn.http1 import parser; from picocorn.base.native import body_in_use; "
    code += "print(parser.RequestParser.__module__, body_in_use())"
    clean = {name: value for name, value in os.environ.items() if name != native.NO_EXTENSIONS_VARIABLE}
    ran = subprocess.run([sys.executable, "-c", code], env={**clean, **environment}, capture_output=True, text=True, check=True)
    return ran.stdout


def test_the_variable_forces_pure() -> None:
    module, line = in_use(**{native.NO_EXTENSIONS_VARIABLE: "1"}).split(" ", 1)
    assert module == "picocorn.http1.parser_py"
    assert line.startswith("pure Python on ")
    assert native.NO_EXTENSIONS_VARIABLE in line


@requires_native
def test_without_the_variable_native_is_used() -> None:
    module, line = in_use().split(" ", 1)
    assert module == "picocorn.http1.parser_c"
    assert line.startswith("native extensions on ")


def test_0_does_not_force_pure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(native.NO_EXTENSIONS_VARIABLE, "0")
    assert not native._deselected()
    monkeypatch.setenv(native.NO_EXTENSIONS_VARIABLE, "1")
    assert native._deselected()


def test_a_half_built_set_is_an_error_that_names_the_room() -> None:
    # A finder that hides one compiled room stands for a build that went wrong half way.
    code = """if True:
        import importlib.abc, sys
        import picocorn.base.native as native
        native.NATIVE = True
        class Hide(importlib.abc.MetaPathFinder):
            def find_spec(self, name, path, target=None):
                if name == "picocorn.http1.writer_c":
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        sys.meta_path.insert(0, Hide())
        try:
            import picocorn.http1.writer
        except ImportError as error:
            print(error.name, error)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("picocorn.http1.writer_c picocorn is half built: picocorn.http1.writer_c is missing")
