"""The Autobahn test suite as a program: its Python 2.7 environment under `build/`, its list of cases, one run of some of them.

Knows neither the servers nor how a verdict is judged.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Shard", "SuiteMissing", "deal", "find_python27", "list_cases", "open_environment", "select"]

HERE = Path(__file__).resolve().parent
#: `wstest` lives here; cached between runs
FOLDER = HERE.parents[1] / "build" / "autobahn"
REQUIREMENTS = HERE / "requirements.txt"

#: Compiles on most machines and makes the suite's masking and UTF-8 checks several times as quick; the verdicts do not need it.
ACCELERATOR = "wsaccel==0.6.6"
#: The last that makes environments for Python 2.7.
VIRTUALENV = "virtualenv<20.22"

_ASK_VERSION = "import sys; sys.exit(sys.version_info[:2] != (2, 7))"
#: In the suite's words. The index of every report is keyed with these ids.
_ASK_CASES = """
import json
from autobahntestsuite.case import Cases, CaseBasename
print(json.dumps([".".join(case.__name__[len(CaseBasename):].split("_")) for case in Cases]))
"""
#: The console script names an interpreter by path, which breaks when the folder is moved or the path is long.
_RUN = "from autobahntestsuite.wstest import run; run()"


class SuiteMissing(Exception):
    """The suite cannot be had on this machine. The message is one line: what is missing, and what to do about it."""


def _candidates() -> Iterable[str]:
    if named := os.environ.get("PYTHON27"):
        yield named
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from (str(path) for path in sorted(pyenv.glob("versions/2.7*/bin/python"), reverse=True))
    for name in ("python2.7", "python2"):
        if found := shutil.which(name):
            yield found


def find_python27() -> str:
    """The path of a Python 2.7, from PYTHON27, pyenv or PATH. Raises SuiteMissing."""
    for candidate in _candidates():
        # pyenv's shims answer to every name and then refuse: only an interpreter that runs counts.
        try:
            asked = subprocess.run([candidate, "-c", _ASK_VERSION], capture_output=True, check=False)
        except OSError:
            continue
        if asked.returncode == 0:
            return candidate
    raise SuiteMissing("no Python 2.7 found, and the Autobahn test suite runs on no other: pyenv install 2.7.18, or set PYTHON27")


def _checked(command: Sequence[str | Path], log: Path, what: str, **environ: str) -> None:
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environ},
    )  # fmt: skip
    with log.open("a", encoding="utf-8") as file:
        file.write(f"$ {' '.join(str(part) for part in command)}\n{done.stdout}\n")
    if done.returncode:
        raise SuiteMissing(f"{what} failed, so the Autobahn test suite cannot run; {log} says why")


def open_environment() -> Path:
    """The interpreter of an environment in which `wstest` runs; makes it unless it is there. Raises SuiteMissing."""
    environment = FOLDER / "env"
    python = environment / "bin" / "python"
    stamp = environment / "installed"
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes() + ACCELERATOR.encode()).hexdigest()
    if python.exists() and stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return python
    python27 = find_python27()
    print(f"autobahn: installing the suite into {environment}", file=sys.stderr)
    FOLDER.mkdir(parents=True, exist_ok=True)
    log, tools = FOLDER / "install.log", FOLDER / "tools"
    log.unlink(missing_ok=True)
    shutil.rmtree(environment, ignore_errors=True)
    shutil.rmtree(tools, ignore_errors=True)
    # In a folder of its own: the project's environment has no business with a tool for a Python long gone.
    _checked([sys.executable, "-m", "pip", "install", "-q", "--target", tools, VIRTUALENV], log, "installing virtualenv")
    _checked(
        [sys.executable, "-m", "virtualenv", "-q", "--no-download", "-p", python27, environment],
        log, "making an environment for Python 2.7", PYTHONPATH=str(tools),
    )  # fmt: skip
    _checked([python, "-m", "pip", "install", "-q", "--no-deps", "-r", REQUIREMENTS], log, "installing the suite with pip")
    try:
        _checked([python, "-m", "pip", "install", "-q", "--no-deps", ACCELERATOR], log, "accelerating")
    except SuiteMissing:
        print("autobahn: without wsaccel, which did not install: the suite will take longer", file=sys.stderr)
    stamp.write_text(wanted, encoding="ascii")
    return python


def list_cases(python: Path) -> list[str]:
    """The ids of all cases that the installed suite has, in its order: "1.1.1" to "13.7.18"."""
    asked = subprocess.run([python, "-c", _ASK_CASES], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise SuiteMissing(f"the installed suite does not load ({asked.stderr.strip().splitlines()[-1]}): remove {FOLDER}")
    cases: list[str] = json.loads(asked.stdout.splitlines()[-1])
    return cases


def select(cases: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Those of `cases` that match one of `patterns` ("9.1.*", "13.3.1"), in order. A pattern without any is a ValueError."""
    for pattern in patterns:
        if not fnmatch.filter(cases, pattern):
            raise ValueError(f"no case of the suite is named {pattern}")
    return [case for case in cases if any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)]


def deal(cases: Sequence[str], count: int) -> list[list[str]]:
    """`cases` in about `count` hands that take about alike long. The same cases are always dealt in the same way."""
    # Shuffled, because how long a case takes goes by its number: 12.* and 13.* have eighteen sizes each.
    shuffled = random.Random(0).sample(list(cases), len(cases))
    return [hand for start in range(count) if (hand := shuffled[start::count])]


@dataclass(frozen=True)
class Shard:
    """Some cases against one server, in one process of the fuzzing client."""

    testee: str
    url: str
    cases: Sequence[str]
    #: for the spec, the reports and the log
    folder: Path

    @property
    def reports(self) -> Path:
        """Where the fuzzing client puts `index.json` and a page and a JSON file for each case."""
        return self.folder / "reports"

    def run(self, python: Path, timeout_seconds: float) -> str | None:
        """Run all cases; None, or what kept the client from ending as it should."""
        self.folder.mkdir(parents=True)
        spec = {
            "options": {"failByDrop": False},
            "outdir": str(self.reports),
            "servers": [{"agent": self.testee, "url": self.url}],
            "cases": list(self.cases),
            "exclude-cases": [],
            "exclude-agent-cases": {},
        }
        path = self.folder / "spec.json"
        path.write_text(json.dumps(spec, indent=1) + "\n", encoding="ascii")
        with (self.folder / "wstest.log").open("wb") as log:
            try:
                done = subprocess.run(
                    [python, "-c", _RUN, "-m", "fuzzingclient", "-s", path],
                    stdout=log, stderr=subprocess.STDOUT, timeout=timeout_seconds, cwd=self.folder,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return f"was ended after {timeout_seconds:.0f} s, see {log.name}"
        return f"ended with {done.returncode}, see {log.name}" if done.returncode else None
