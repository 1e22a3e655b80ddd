"""The names that picocorn shows: each `__all__` is sorted, true and documented."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest

import picocorn
from picocorn.base.native import NATIVE


def modules() -> list[str]:
    """Every module that can be imported here: compiled bodies only where they are in use."""
    names = [info.name for info in pkgutil.walk_packages(picocorn.__path__, "picocorn.")]
    return [name for name in names if not name.endswith("__main__") and (NATIVE or not name.endswith("_c"))]


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by the alphabet: the order that the linter keeps as well."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


def test_the_public_face() -> None:
    assert picocorn.__all__ == ["Config", "Server", "__version__", "main", "run"]
    for name in picocorn.__all__:
        assert getattr(picocorn, name) is not None
        assert name in dir(picocorn)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        picocorn.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.parametrize("name", modules())
def test_all_is_sorted_true_and_documented(name: str) -> None:
    module = importlib.import_module(name)
    if hasattr(module, "__path__") or name.endswith("_c"):
        return  # packages are folders of rooms; the names of a compiled body are compared with its twin's elsewhere
    assert module.__doc__, "a module says what lives in it"
    exported = list(module.__all__)
    assert exported == sorted(exported, key=order)
    for public in exported:
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{public} has no docstring"
