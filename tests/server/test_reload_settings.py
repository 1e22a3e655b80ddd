"""What `Config` makes of the options about reloading."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import picocorn
from picocorn.server.reload_settings import read_files

WILL_NOT = "Current configuration will not reload as not all conditions are met, please refer to documentation."


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("app", "app/sub", "application", "ext", ".venv/lib"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def dirs(project: Path, **options: Any) -> list[str]:
    config = picocorn.Config("main:app", reload=True, log_config=None, **options)
    assert config.should_reload
    assert config.use_subprocess
    return [str(path.relative_to(project)) for path in config.reload_dirs]  # type: ignore[union-attr]


def test_directories(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "picocorn.error")
    assert dirs(project) == ["."]
    assert dirs(project, reload_dirs="app") == ["app"]
    # Nested ones are found from their parents: not those that merely begin alike, and not from where nobody looks.
    assert dirs(project, reload_dirs=["app/sub", "app", "application"]) == ["app", "application"]
    assert dirs(project, reload_dirs=[".", ".venv/lib"]) == [".", ".venv/lib"]
    assert dirs(project, reload_dirs=[".", "ext"], reload_excludes=["ext"]) == ["."]
    # A directory may be included as well.
    assert dirs(project, reload_dirs=["app"], reload_includes=["ext", "*.html"]) == ["app", "ext"]
    assert dirs(project, reload_dirs=["app", "ext"], reload_excludes=["ext", "*.html"]) == ["app"]
    assert not [record for record in caplog.records if record.levelno > logging.INFO]
    caplog.clear()
    assert dirs(project, reload_dirs=["not-there"]) == ["."]
    assert [record.getMessage() for record in caplog.records] == [
        "Provided reload directories ['not-there'] did not contain valid directories, watching current working directory.",
        f"Will watch for changes in these directories: ['{project}']",
    ]


def test_patterns(project: Path) -> None:
    config = picocorn.Config("m:a", reload=True, log_config=None, reload_includes=["*.a", "*.b", "*.a"], reload_excludes="*.b")
    assert (config.reload_includes, config.reload_excludes) == (["*.a"], ["*.b"])
    assert config.reload_delay == 0.25


@pytest.mark.parametrize("name", ["reload_dirs", "reload_includes", "reload_excludes"])
def test_options_without_a_reload(project: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    config = picocorn.Config("main:app", log_config=None, **{name: ["app"]})
    assert not config.should_reload
    assert (config.reload_dirs, config.reload_includes, config.reload_excludes) == ([], [], [])
    assert [record.getMessage() for record in caplog.records] == [WILL_NOT]


def test_workers_are_none_of_it(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = picocorn.Config("main:app", log_config=None, reload=True, workers=2)
    assert not config.needs_supervisor
    assert '"workers" flag is ignored when reloading is enabled.' in caplog.messages


def test_an_application_that_cannot_be_imported(project: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        picocorn.run(lambda scope: None, log_config=None, reload=True)
    assert caught.value.code == 3
    assert caplog.messages == ["You must pass the application as an import string to enable 'reload' or 'workers'."]


def test_files_that_the_server_reads(project: Path) -> None:
    (project / "env").write_text("")
    (project / "log.json").write_text('{"version": 1, "incremental": true}')
    config = picocorn.Config("main:app", log_config="log.json", env_file="env", reload=True)
    assert read_files(config) == [str(project / "env"), str(project / "log.json")]
    assert read_files(picocorn.Config("main:app")) == []
