"""Importing: every module alone, without a warning, within its budget. Budgets are sets of modules, never seconds."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from test_exports import modules

#: Runs in a process of its own that has imported nothing; each module is then imported in a fork of it (or, where there is
#: no fork, in one more process), so no import can lean on an earlier one.
DRIVER = """
import importlib, json, os, sys
def loaded(name):
    importlib.import_module(name)
    return sorted(sys.modules)
for name in sys.argv[1:]:
    if hasattr(os, "fork"):
        reader, writer = os.pipe()
        if not os.fork():
            os.close(reader)
            try:
                with open(writer, "w") as out:
                    json.dump(loaded(name), out)
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        os.close(writer)
        with open(reader) as lines:
            text = lines.read()
        os.wait()
    else:
        import subprocess
        code = f"import json, sys, {name}; json.dump(sorted(sys.modules), sys.stdout)"
        text = subprocess.run([sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, text=True).stdout
    print(name, text, flush=True)
"""

#: What only an option asks for is imported when it is asked for.
OPTIONAL = {"a2wsgi", "dotenv", "gunicorn", "h11", "h2", "httptools", "uvloop", "watchfiles", "websockets", "yaml"}
#: The rooms that are there for one of them, and are imported when it is asked for.
MADE_FOR = {"picocorn.http2.engine_h2": "h2", "picocorn.http2.h2_responses": "h2", "picocorn.workers": "gunicorn"}


def import_each(*names: str) -> dict[str, set[str]]:
    """Name -> every module that is loaded once `name` has been imported alone; fails if one does not import."""
    ran = subprocess.run([sys.executable, "-W", "error", "-c", DRIVER, *names], capture_output=True, text=True, check=True)
    loaded = {}
    for line in ran.stdout.splitlines():
        name, _, text = line.partition(" ")
        assert text, f"import {name} failed:\n{ran.stderr}"
        loaded[name] = set(json.loads(text))
    assert set(loaded) == set(names)
    return loaded


@pytest.fixture(scope="module")
def loaded() -> dict[str, set[str]]:
    return import_each(*modules())


def test_every_module_imports_alone_without_a_warning(loaded: dict[str, set[str]]) -> None:
    assert loaded


def test_the_package_itself_costs_nothing() -> None:
    # An application module that says `import picocorn` must not pay for a server.
    (names,) = import_each("picocorn").values()
    assert {name for name in names if name.split(".")[0] == "picocorn"} == {"picocorn"}
    assert not names & {"asyncio", "click", "http", "inspect", "logging", "socket", "ssl", "subprocess"}


def test_only_the_command_line_needs_click(loaded: dict[str, set[str]]) -> None:
    wrong = [name for name, names in loaded.items() if "click" in names and not name.startswith("picocorn.cli")]
    assert not wrong, wrong


def test_optional_packages_are_imported_when_asked_for(loaded: dict[str, set[str]]) -> None:
    wrong = {}
    for name, names in loaded.items():
        unasked = names & OPTIONAL - {MADE_FOR.get(name.removesuffix("_py").removesuffix("_c"))}
        if unasked:
            wrong[name] = sorted(unasked)
    assert not wrong, wrong


def test_codecs_load_no_event_loop(loaded: dict[str, set[str]]) -> None:
    wrong = [
        name
        for name, names in loaded.items()
        if name.startswith(("picocorn.base.", "picocorn.http1.", "picocorn.http2.", "picocorn.websocket."))
        and names & {"asyncio", "selectors", "socket", "ssl"}
    ]
    assert not wrong, wrong
