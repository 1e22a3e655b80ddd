"""The command line: options, environment, help, errors. Nothing is served here."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import picocorn
from harness import spawned
from picocorn.cli.main import main
from picocorn.server.config_sources import Sources
from picocorn.server.options import GROUPS, declared, flag_of

SAMPLES: dict[str, tuple[str, Any]] = {
    "boolean": ("false", False),
    "text": ("text", "text"),
    "integer": ("7", 7),
    "seconds": ("7", 7),
    "octal": ("0640", 0o640),
    "size": ("64k", 64 * 1024),
    "list": ("X-A: 1", ("X-A: 1",)),
}
SCRIPT = """
from picocorn.cli.main import main

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 204})
    await send({"type": "http.response.body"})

main(["serve:app", "--workers", "1", "--port", "0"])
"""
#: Options that may be repeated.
LISTS = [name for name, (_, details) in declared().items() if details.kind == "list"]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The options that `run_command()` was given, instead of running."""
    calls: list[dict[str, Any]] = []

    def run_command(sources: Sources) -> None:
        effective = sources.read()
        assert set(effective.options) == set(effective.origins) - {"app_dir"}
        calls.append({**effective.options, **({"app_dir": effective.app_dir} if effective.app_dir else {})})

    monkeypatch.setattr("picocorn.server.command.run_command", run_command)
    for prefix in ("PICOCORN_", "UVICORN_"):
        for name in declared():
            monkeypatch.delenv(prefix + name.upper(), raising=False)
    return calls


def invoke(*args: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, args, env=env)


def sample(name: str, tmp_path: Path) -> tuple[str, Any]:
    """A value for an option, and what becomes of it."""
    details = declared()[name][1]
    if details.choices:
        return details.choices[-1], details.choices[-1]
    if details.must_exist:
        return str(tmp_path), (str(tmp_path),)
    if details.kind == "file":
        path = str(tmp_path / "file")
        Path(path).write_text("")
        return path, path
    return SAMPLES[details.kind]


VALUED = [name for name, (_, details) in declared().items() if details.kind not in ("flag", "switch") and name != "app"]
SWITCHES = [name for name, (_, details) in declared().items() if details.kind == "switch"]
FLAGS = [name for name, (_, details) in declared().items() if details.kind == "flag"]


def test_without_options_nothing_is_given(ran: list[Any]) -> None:
    assert invoke("module:app").exit_code == 0
    assert ran == [{"app": "module:app"}]


@pytest.mark.parametrize("name", VALUED)
def test_options_with_a_value(name: str, ran: list[Any], tmp_path: Path) -> None:
    text, value = sample(name, tmp_path)
    result = invoke("module:app", flag_of(name, declared()[name][1]), text)
    assert result.exit_code == 0, result.output
    assert ran[0][name] == value


@pytest.mark.parametrize("name", SWITCHES)
def test_switches(name: str, ran: list[Any]) -> None:
    flag = flag_of(name, declared()[name][1])
    invoke("module:app", flag)
    invoke("module:app", flag.replace("--", "--no-"))
    assert [options[name] for options in ran] == [True, False]


@pytest.mark.parametrize("name", FLAGS)
def test_flags(name: str, ran: list[Any]) -> None:
    invoke("module:app", flag_of(name, declared()[name][1]))
    invoke("module:app")
    assert [options.get(name) for options in ran] == [True, None]


@pytest.mark.parametrize("prefix", ["PICOCORN_", "UVICORN_"])
def test_environment(prefix: str, ran: list[Any], tmp_path: Path) -> None:
    env = {prefix + "APP": "module:app"}
    values = {}
    for name in VALUED:
        text, value = sample(name, tmp_path)
        if name in LISTS:
            separator = declared()[name][1].separator
            # A value with a space would be two.
            text, value = (f"{text}{separator}{text}", (text, text)) if separator else ("x-a:1 x-b:2", ("x-a:1", "x-b:2"))
        env[prefix + name.upper()], values[name] = text, value
    for name in SWITCHES:
        env[prefix + name.upper()], values[name] = "false", False
    for name in FLAGS:
        env[prefix + name.upper()], values[name] = "1", True
    result = invoke(env=env)
    assert result.exit_code == 0, result.output
    (options,) = ran
    assert options == {"app": "module:app", **values}


def test_what_beats_what(ran: list[Any]) -> None:
    env = {"UVICORN_PORT": "1", "UVICORN_HOST": "from-uvicorn", "PICOCORN_PORT": "2", "PICOCORN_HOST": ""}
    invoke("module:app", env=env)
    invoke("module:app", "--port", "3", env=env)
    assert [(options["port"], options["host"]) for options in ran] == [(2, "from-uvicorn"), (3, "from-uvicorn")]


@pytest.mark.parametrize(
    ("args", "env", "bind", "others"),
    [
        (["--bind", ":1"], {"PICOCORN_PORT": "2", "UVICORN_UDS": "s"}, (":1",), []),
        (["--port", "2"], {"PICOCORN_BIND": ":1"}, None, [2]),
        (["--uds", "s"], {"PICOCORN_BIND": ":1", "PICOCORN_PORT": "2"}, None, [2, "s"]),
        # In one place they contradict each other, which is for the configuration to say.
        ([], {"PICOCORN_BIND": ":1 :2", "PICOCORN_PORT": "3"}, (":1", ":2"), [3]),
        (["--bind", ":1", "--bind", ":2", "--port", "3"], {}, (":1", ":2"), [3]),
    ],
)
def test_where_to_listen_comes_from_one_place(
    args: list[str], env: dict[str, str], bind: Any, others: list[Any], ran: list[Any]
) -> None:
    assert invoke("module:app", *args, env=env).exit_code == 0
    (options,) = ran
    assert options.get("bind") == bind
    assert [options[name] for name in ("port", "uds") if name in options] == others


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "Error: Missing argument 'APP'. Try --help."),
        (["m:a", "--port", "x"], "Error: Invalid value for '--port': 'x' is not a valid integer."),
        (["m:a", "--port", "99999"], "Error: Invalid value for '--port': 99999 is more than 65535."),
        (
            ["m:a", "--timeout-keep-alive", "x"],
            "Error: Invalid value for '--timeout-keep-alive': 'x' is not a valid number of seconds.",
        ),
        (["m:a", "--lifespan", "x"], "Error: Invalid value for '--lifespan': 'x' is not one of auto, on, off."),
        (
            ["m:a", "--loop", "x"],
            "Error: Invalid value for '--loop': 'x' is not one of auto, asyncio, uvloop, none nor an import string "
            "module:attribute.",
        ),
        (
            ["m:a", "--limit-request-body", "1x"],
            "Error: Invalid value for '--limit-request-body': '1x' is not a size such as 65536, 64k or 1m.",
        ),
        (["m:a", "--env-file", "no-such-file"], "Error: Invalid value for '--env-file': File 'no-such-file' does not exist."),
        (["m:a", "--log-config", "no-such-file"], "Error: Invalid value for '--log-config': File 'no-such-file' does not exist."),
        (["m:a", "--access-log=x"], "Error: Option '--access-log' does not take a value. Try --help."),
    ],
)
def test_one_line_for_what_is_wrong(args: list[str], line: str, ran: list[Any]) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stderr == line + "\n"
    assert not ran


def test_unknown_options(ran: list[Any]) -> None:
    for unknown in ("--no-such-option", "--no-port"):
        result = invoke("m:a", unknown)
        assert result.exit_code == 2
        assert re.match(rf"Error: No such option:? '?{unknown}", result.stderr)
        assert result.stderr.count("\n") == 1


def test_wrong_values_in_the_environment() -> None:
    result = invoke("m:a", env={"UVICORN_PORT": "x"})
    assert result.exit_code == 2
    assert "'--port'" in result.stderr


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--header", "no colon"], "Error: Invalid value for '--header': 'no colon' is not of the form NAME:VALUE."),
        (["--log-config", __file__], "Error: Invalid value for '--log-config': "),
    ],
)
def test_what_only_the_configuration_finds_wrong(args: list[str], text: str) -> None:
    result = invoke("m:a", *args)
    assert result.exit_code == 2
    assert result.stderr.startswith(text)
    assert result.stderr.count("\n") == 1


def test_version() -> None:
    result = invoke("--version")
    assert result.exit_code == 0
    pattern = rf"Running picocorn {re.escape(picocorn.__version__)} with \w+ [\d.]+\S* on \w+ \((native|pure)\)\n"
    assert re.fullmatch(pattern, result.output)


def test_version_and_help_import_no_server() -> None:
    code = (
        "import sys\nfrom picocorn.cli.main import main\n"
        "try: main([sys.argv[1]])\nexcept SystemExit: pass\n"
        "wrong = {'asyncio', 'uvloop', 'logging', 'socket', 'ssl', 'email'} & set(sys.modules)\nassert not wrong, wrong"
    )
    for option in ("--version", "--help"):
        subprocess.run([sys.executable, "-c", code, option], check=True, stdout=subprocess.DEVNULL)


def test_help_shows_every_option_in_its_group() -> None:
    text = invoke("--help").output
    places = [text.index(f"\n{group}:\n") for group in GROUPS]
    assert places == sorted(places)
    for name, (_, details) in declared().items():
        if name == "app":
            continue
        place = text.index(f"\n  {flag_of(name, details)} ")
        group = max((start, group) for start, group in zip(places, GROUPS, strict=True) if start < place)[1]
        assert group == details.group, name
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.skipif(os.name != "posix", reason="worker processes")
def test_a_script_that_calls_it_as_soon_as_it_is_imported(tmp_path: Path) -> None:
    """Workers import it twice, as what has started them and as their application: both do nothing."""
    (tmp_path / "serve.py").write_text(SCRIPT)
    with spawned("unused", cwd=tmp_path, run=("serve.py",), anywhere=False) as server:
        server.wait_for("Application startup complete")
        with server.connect() as client:
            assert client.request().status == 204
        assert server.stop() == 0
    assert "died" not in server.output


def test_it_is_a_click_command() -> None:
    assert isinstance(main, click.Command)
    assert picocorn.__all__.count("main") == 1
