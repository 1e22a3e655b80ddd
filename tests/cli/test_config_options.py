"""`--config` and its like on the command line: which file is read, what is said where, and with which exit code."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from picocorn.cli.main import main
from picocorn.server.config_sources import Effective, Sources


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Effective]:
    """What would have been served, in a folder with a configuration file."""
    calls: list[Effective] = []
    monkeypatch.setattr("picocorn.server.command.run_command", lambda sources: calls.append(sources.read()))
    monkeypatch.setattr("sys.path", [])
    monkeypatch.chdir(tmp_path)
    for name in ("PICOCORN_CONFIG", "PICOCORN_NO_CONFIG", "PICOCORN_APP", "UVICORN_APP", "WEB_CONCURRENCY"):
        monkeypatch.delenv(name, raising=False)
    Path("picocorn.toml").write_text('app = "here:app"')
    Path("other.toml").write_text('app = "other:app"\nheader = "X-A: 1"\naccess-log = false')
    return calls


def invoke(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, args, env=env)


@pytest.mark.parametrize(
    ("args", "env", "app"),
    [
        ([], {}, "here:app"),
        (["a:b"], {}, "a:b"),
        ([], {"UVICORN_APP": "a:b"}, "a:b"),
        (["--config", "other.toml"], {}, "other:app"),
        ([], {"PICOCORN_CONFIG": "other.toml"}, "other:app"),
        (["--config", "other.toml"], {"PICOCORN_NO_CONFIG": "1"}, "other:app"),
        (["--config", "other.toml"], {"PICOCORN_CONFIG": "nowhere"}, "other:app"),
    ],
)
def test_which_application(args: list[str], env: dict[str, str], app: str, ran: list[Effective]) -> None:
    assert invoke(*args, env=env).stderr == ""
    assert ran[0].options["app"] == app


@pytest.mark.parametrize(
    ("args", "env"),
    [(["--no-config"], {}), ([], {"PICOCORN_NO_CONFIG": "1"}), (["--no-config"], {"PICOCORN_CONFIG": "other.toml"})],
)
def test_no_file(args: list[str], env: dict[str, str], ran: list[Effective]) -> None:
    result = invoke(*args, env=env)
    assert (result.exit_code, result.stderr) == (2, "Error: Missing argument 'APP'. Try --help.\n")


def test_a_file_without_a_name(ran: list[Effective]) -> None:
    """As of a script whose variable is not set. Not the same as none."""
    result = invoke("a:b", "--config", "")
    assert (result.exit_code, result.stderr) == (2, "Error: Invalid value for '--config': '' names no file.\n")
    assert not ran


@pytest.mark.parametrize(
    ("args", "env", "line"),
    [
        (["--config", "no.toml"], {}, "no.toml: there is no such file."),
        (["--config", "x", "--no-config"], {}, "--config and --no-config contradict each other; leave one of them out."),
        ([], {"PICOCORN_CONFIG": "x", "PICOCORN_NO_CONFIG": "1"}, "--config and --no-config contradict each other;"),
        (["--config", "broken.toml"], {}, "broken.toml: 'prot': there is no such option; did you mean 'port'?"),
    ],
)
def test_one_line_for_what_is_wrong(args: list[str], env: dict[str, str], line: str, ran: list[Effective]) -> None:
    Path("broken.toml").write_text("prot = 80")
    result = invoke(*args, env=env)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {line}")
    assert result.stderr.count("\n") == 1
    assert not ran


def test_options_with_several_values_and_switches(ran: list[Effective]) -> None:
    invoke("--config", "other.toml")
    invoke("--config", "other.toml", "--header", "X-B: 2", "--access-log")
    assert [(run.options["headers"], run.options["access_log"]) for run in ran] == [(["X-A: 1"], False), (("X-B: 2",), True)]


def test_a_program_that_calls_the_command(ran: list[Effective]) -> None:
    CliRunner().invoke(main, ["--port", "81"], default_map={"port": 1, "backlog": 7})
    assert ran[0].options == {"app": "here:app", "port": 81, "backlog": 7}
    assert ran[0].origins["backlog"] == "default_map"


def test_print(ran: list[Effective]) -> None:
    result = invoke(
        "--config", "other.toml", "--print-config", "--port", "81", env={"UVICORN_HOST": "::", "PICOCORN_BACKLOG": "7"}
    )
    assert (result.exit_code, result.stderr) == (0, "")
    assert tomllib.loads(result.stdout) == {
        "app": "other:app",
        "headers": ["X-A: 1"],
        "access-log": False,
        "port": 81,
        "host": "::",
        "backlog": 7,
    }
    for line in (
        'app = "other:app"  # other.toml',
        "port = 81  # command line",
        'host = "::"  # environment UVICORN_HOST',
        "backlog = 7  # environment PICOCORN_BACKLOG",
        '# lifespan = "auto"  # default',
    ):
        assert line in result.stdout.splitlines()
    assert not ran


def test_check(ran: list[Effective]) -> None:
    Path("other.py").write_text("async def app(scope, receive, send): ...")
    for args in ([], ["--print-config"]):
        result = invoke("--config", "other.toml", "--check-config", *args)
        assert (result.exit_code, result.stderr) == (0, "The configuration is fine: other.toml, other:app imported.\n")
        assert bool(result.stdout) == bool(args)
    Path("other.toml").write_text("prot = 80\nworkers = 0")
    result = invoke("--config", "other.toml", "--check-config", "--print-config")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        "Error: other.toml: 'prot': there is no such option; did you mean 'port'?\n"
        "Error: other.toml: 'workers': 0 is less than 1.\n"
    )
    assert not ran


def test_the_sources_know_where_they_began(ran: list[Effective], monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Sources([])
    monkeypatch.chdir("/")
    assert sources.read().options == {"app": "here:app"}
