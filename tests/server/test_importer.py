"""Import strings, and what is said about wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server.importer import ImportFromStringError, import_from_string


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_attributes_of_attributes() -> None:
    assert import_from_string("os:path.join") is __import__("os").path.join


def test_objects_come_back() -> None:
    thing = object()
    assert import_from_string(thing) is thing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("module", 'Import string "module" must be in format "<module>:<attribute>".'),
        ("module:", 'Import string "module:" must be in format "<module>:<attribute>".'),
        (":app", 'Import string ":app" must be in format "<module>:<attribute>".'),
        ("main.py", 'Import string "main.py" must be in format "<module>:<attribute>". Did you mean "main:app"?'),
        ("./app/main.py:api", 'Could not import module "./app/main.py". Did you mean "app.main:api"?'),
        ("not_there:app", 'Could not import module "not_there".'),
        ("not_there.at_all:app", 'Could not import module "not_there.at_all".'),
        ("os.not_there:app", 'Could not import module "os.not_there".'),
        ("os:not_there", 'Attribute "not_there" not found in module "os".'),
        ("os:path.not_there", 'Attribute "path.not_there" not found in module "os".'),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(ImportFromStringError) as caught:
        import_from_string(text)
    assert str(caught.value) == message
    assert isinstance(caught.value, ConfigError)


def test_relative_names() -> None:
    with pytest.raises(ImportFromStringError, match="Relative names lead nowhere"):
        import_from_string(".module:app")


def test_what_the_module_raises_goes_through(folder: Path) -> None:
    (folder / "imports_nothing.py").write_text("import not_there_either")
    with pytest.raises(ModuleNotFoundError, match="not_there_either"):
        import_from_string("imports_nothing:app")
    (folder / "divides.py").write_text("1 / 0")
    with pytest.raises(ZeroDivisionError):
        import_from_string("divides:app")
    (folder / "raises_type_error.py").write_text("len(3)")
    with pytest.raises(TypeError):
        import_from_string("raises_type_error:app")
