"""Checking a configuration and showing it: what a start would do, without one. `tests/cli` has the switches."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server.command import effective_text, problems_of
from picocorn.server.config_sources import Layer, Sources

QUIET = "[log-config]\nversion = 1\n"


@pytest.fixture(autouse=True)
def modules_as_they_were(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget what was imported, and where from."""
    before = set(sys.modules)
    monkeypatch.setattr("sys.path", list(sys.path))
    yield
    for name in set(sys.modules) - before:
        del sys.modules[name]


def sources(folder: Path, text: str, application: str = "async def app(scope, receive, send): ...") -> Sources:
    (folder / "the_app.py").write_text(application)
    (folder / "picocorn.toml").write_text('app = "the_app:app"\napp-dir = "."\n' + text)
    return Sources([], None, str(folder))


def problems(folder: Path, text: str, application: str = "async def app(scope, receive, send): ...") -> list[str]:
    return problems_of(sources(folder, text, application))[0]


def test_nothing_is_wrong(tmp_path: Path) -> None:
    application = """
import asyncio
asyncio.run(asyncio.sleep(0))
def app():
    asyncio.get_running_loop()
    async def app(scope, receive, send): ...
    return app
"""
    assert problems_of(sources(tmp_path, "factory = true\n" + QUIET, application)) == ([], "picocorn.toml, the_app:app imported")


@pytest.mark.parametrize(
    ("application", "said"),
    [
        ("", 'Error loading ASGI app. Attribute "app" not found in module "the_app".'),
        ("import no_such_module", "\"the_app:app\" raised ModuleNotFoundError: No module named 'no_such_module' (HERE, line 1)"),
        ("\n\nraise ValueError('two\\nlines')", '"the_app:app" raised ValueError: two lines (HERE, line 3)'),
        ("x = = 1", '"the_app:app" raised SyntaxError: invalid syntax (the_app.py, line 1)'),
        ("app = 1", '"the_app:app" is not callable, so it is no ASGI application: it is of type int.'),
        ("raise SystemExit(0)", '"the_app:app" ended the process with 0.'),
        # What has gone out of its way to be quiet is heard all the same.
        ("import logging; logging.getLogger('picocorn.error').disabled = True; app = 1", "it is of type int."),
        ("raise ValueError", '"the_app:app" raised ValueError (HERE, line 1)'),
    ],
)
def test_an_application_that_could_not_be_served(application: str, said: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, 'log-level = "critical"\n' + QUIET, application)
    assert problem.startswith("Error loading ASGI app. ")
    assert problem.endswith(said.replace("HERE", f"{tmp_path}/the_app.py"))


def test_the_servers_log_is_as_before(tmp_path: Path) -> None:
    logger = logging.getLogger("picocorn.error")
    before = logger.handlers, logger.propagate
    assert problems(tmp_path, QUIET, "")
    assert (logger.handlers, logger.propagate) == before


def test_what_is_not_there(tmp_path: Path) -> None:
    found = problems(tmp_path, 'uds = "no/app.sock"\npidfile = "neither/app.pid"\nloop = "no_module:loop"\n' + QUIET)
    assert found == [
        f"Invalid value for '--uds': '{tmp_path}/no/app.sock': there is no folder '{tmp_path}/no'.",
        f"Invalid value for '--pidfile': '{tmp_path}/neither/app.pid': there is no folder '{tmp_path}/neither'.",
        'Error loading custom loop setup function. Could not import module "no_module".',
    ]
    assert len(problems(tmp_path, "x = 1\ny = 2\nz = 3")) == 3
    assert problems(tmp_path, 'headers = ["x"]\n' + QUIET) == [
        "picocorn.toml: Invalid value for '--header': 'x' is not of the form NAME:VALUE."
    ]


LOG_FILES = """
[log-config]
version = 1
[log-config.handlers.one]
class = "logging.FileHandler"
filename = "FOLDER/one.log"
[log-config.handlers.two]
class = "logging.handlers.RotatingFileHandler"
filename = "FOLDER/two.log"
maxBytes = 1
backupCount = 1
[log-config.root]
handlers = ["one", "two"]
"""


def test_it_leaves_nothing_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "two.log").write_text("before")
    application = "import logging; logging.error('said')\nasync def app(scope, receive, send): ..."
    text = f'pidfile = "app.pid"\nuds = "app.sock"\n{LOG_FILES.replace("FOLDER", str(tmp_path))}'
    assert problems(tmp_path, text, application) == []
    found = {path.name for path in tmp_path.iterdir()} - {"__pycache__"}
    assert found == {"picocorn.toml", "the_app.py", "two.log"}
    assert (tmp_path / "two.log").read_text() == "before"
    for handler in logging.getLogger().handlers:
        handler.close()


def test_a_log_file_that_could_not_be_written(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, LOG_FILES.replace("FOLDER", f"{tmp_path}/no"))
    assert problem.startswith("picocorn.toml: Invalid value for '--log-config': Unable to configure handler 'one'")
    assert problem.endswith(f"No such file or directory: '{tmp_path}/no/one.log'")


def test_the_effective_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "")
    monkeypatch.delenv("WEB_CONCURRENCY")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    (tmp_path / "env").write_text("WEB_CONCURRENCY=3")
    sources(tmp_path, 'env-file = "env"\nworkers = 2\nlimit-request-body = "1k"\nhttp = "h11"\nbind = ":1"')
    text = effective_text(Sources([Layer({"port": 80}, {"port": "command line"})], str(tmp_path / "picocorn.toml"), "/"))
    file = f"{tmp_path}/picocorn.toml"
    for line in (
        f'app-dir = "{tmp_path}"  # {file}',
        "port = 80  # command line",
        "# bind  # default",
        "workers = 3  # environment WEB_CONCURRENCY",
        'forwarded-allow-ips = "10.0.0.1"  # environment FORWARDED_ALLOW_IPS',
        f"limit-request-body = 1024  # {file}",
        # As it was given, not as it is called here.
        f'http = "h11"  # {file}',
    ):
        assert line in text.splitlines()
    # Fed back, it is itself.
    (tmp_path / "printed.toml").write_text(text)
    again = effective_text(Sources([], str(tmp_path / "printed.toml"), "/"))
    assert [line.partition("  # ")[0] for line in again.splitlines()] == [line.partition("  # ")[0] for line in text.splitlines()]
    with pytest.raises(ConfigError, match=r"'--health-check-path'"):
        effective_text(sources(tmp_path, 'health-check-path = "x"'))
