"""The configuration in effect, printed: it can be read again, and says where each value is from."""

from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from picocorn.server.config_file import read_config_file
from picocorn.server.config_text import config_text
from picocorn.server.options import Option, Settings, declared
from picocorn.server.options_declaring import about

#: What a file can hold: everything but halves of characters.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
#: Of a path that exists.
HERE = str(Path(__file__).parent)
PATHS = TEXT.filter(lambda text: "\0" not in text).map(lambda text: f"/{text}")
TABLES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT | st.lists(TEXT, max_size=2),
    lambda inside: st.dictionaries(TEXT, inside, max_size=3),
    max_leaves=5,
)


def values_of(details: Option) -> st.SearchStrategy[Any]:
    """What an option may be set to."""
    kind = details.kind
    if kind in ("switch", "flag", "boolean"):
        return st.booleans()
    if kind in ("integer", "size", "octal"):
        maximum = None if details.maximum is None else int(details.maximum)
        return st.integers(int(details.minimum or 0), maximum)
    if kind == "seconds":
        return st.integers(int(details.minimum or 0)) | st.floats(details.minimum, allow_nan=False, allow_infinity=False)
    if details.choices:
        imported = TEXT.map(lambda text: f"module:{text}") if details.importable else st.nothing()
        return st.sampled_from(details.choices) | imported
    if details.kind == "file":
        return st.just(HERE) | (st.dictionaries(TEXT, TABLES, max_size=3) if details.table else st.nothing())
    text = PATHS if details.is_path and not details.path_prefix else TEXT
    if details.must_exist:
        text = st.just(HERE)
    elif details.path_prefix:
        text = TEXT.filter(lambda text: not text.startswith(details.path_prefix)) | PATHS.map(details.path_prefix.__add__)
    return st.lists(text, max_size=3) if kind == "list" else text


def options() -> st.SearchStrategy[dict[str, Any]]:
    """Some options, with any values that a command line could give."""
    values = {name: values_of(details) for name, (_, details) in declared().items() if not details.secret}
    app = {"app": values.pop("app")}
    places = {name: values.pop(name) for name in ("host", "port", "uds", "fd")}
    one = st.fixed_dictionaries(app, optional=values)
    return one.filter(lambda found: "bind" in found) | st.builds(
        lambda found, where: {**{name: value for name, value in found.items() if name != "bind"}, **where},
        one,
        st.fixed_dictionaries({}, optional=places),
    )


def settings_of(values: dict[str, Any]) -> Settings:
    given = dict(values)
    app_dir = given.pop("app_dir", "")
    settings = Settings(**given)
    settings.app_dir = app_dir
    return settings


def fields_of(settings: Settings) -> dict[str, Any]:
    """The values with their types: a default tells that nobody has given it."""
    return {name: (value, type(value)) for name, value in vars(settings).items()}


@given(options())
def test_what_is_printed_can_be_read(tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]) -> None:
    settings = settings_of(values)
    path = tmp_path_factory.getbasetemp() / "printed.toml"
    path.write_text(config_text(settings, dict.fromkeys(values, "there")), encoding="utf-8", newline="")
    found = read_config_file(str(path))
    assert fields_of(settings_of(found)) == fields_of(settings)
    assert set(found) == set(values)


def test_everything_has_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        "main:app", port=80, bind=("unix:app.sock", ":1"), headers=[("X-A", "1")], uds_permissions=0o640, pidfile=Path("a.pid")
    )
    text = config_text(
        settings,
        {
            "app": "command line",
            "port": "environment UVICORN_PORT",
            "bind": "picocorn.toml",
            "headers": "picocorn.toml",
            "uds_permissions": "picocorn.toml",
            "pidfile": "command line",
        },
    )
    lines = text.splitlines()
    for line in (
        'app = "main:app"  # command line',
        "port = 80  # environment UVICORN_PORT",
        # Paths are absolute: the file may be put anywhere.
        f'bind = ["unix:{tmp_path}/app.sock", ":1"]  # picocorn.toml',
        f'pidfile = "{tmp_path}/a.pid"  # command line',
        'headers = ["X-A: 1"]  # picocorn.toml',
        'uds-permissions = "0640"  # picocorn.toml',
        '# host = "127.0.0.1"  # default',
        "# uds  # default",
        "# workers  # default: $WEB_CONCURRENCY, or one process without a supervisor",
        "# ws-per-message-deflate = true  # default",
    ):
        assert line in lines
    # One line for each option, and no default is a value.
    assert len([line for line in lines if line.endswith("line") or "# default" in line]) == len(declared()) - 4
    assert set(tomllib.loads(text)) == {"app", "port", "bind", "headers", "uds-permissions", "pidfile"}


def test_secrets_and_what_only_python_can_say(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings("main:app", http=Settings, root_path="\udcff", uds_owner="hunter2")
    field, _ = declared()["uds_owner"]
    secret = about(group="Binding", help="A secret.", secret=True)["option"]
    monkeypatch.setitem(declared(), "uds_owner", (field, secret))
    text = config_text(settings, dict.fromkeys(("http", "root_path", "uds_owner"), "there"))
    assert "hunter2" not in text
    assert "# uds-owner is set, and not shown  # there\n" in text
    assert "# http has no form in a file: <class 'picocorn.server.options.Settings'>  # there\n" in text
    assert "# root-path has no form in a file: '\\udcff'  # there\n" in text
    assert tomllib.loads(text) == {}


def test_the_fields_are_the_settings() -> None:
    assert set(vars(Settings("main:app"))) | {"app_dir"} == {field.name for field in dataclasses.fields(Settings)}
