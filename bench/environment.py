"""Private virtual environments for the servers, one for each Python, and what the results say about the machine.

Installs each package by itself, so that one that does not install is a note and not the end. picocorn is built from a copy of
this checkout, so that a build does not disturb the tree and a change in the tree does not disturb a run.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "bench-env"

#: what picocorn is built of
PARTS = ("src", "csrc", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "LICENSE.nghttp2")
PRODUCTS = ("*.so", "*.pyd", "*.html", "__pycache__", "*.egg-info", "build")

GENERATOR = "websocket_load"
HANDSHAKES = "tls_load"
#: what is written in C here -> its sources
PROGRAMS = {
    "floor": ("floor.c",),
    "websocket_floor": ("websocket_floor.c",),
    GENERATOR: ("websocket_load.c", "websocket_link.c"),
    HANDSHAKES: ("tls_load.c",),
}

_ASK = """
import json, sys, sysconfig
print(json.dumps([sys.implementation.name, list(sys.version_info), bool(sysconfig.get_config_var("Py_GIL_DISABLED"))]))
"""
_VERSIONS = """
import importlib.metadata, json, sys
def version(name):
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""
#: what serves connections imports all the rest: a build that has left something out does not get through this
_NATIVE = "import picocorn.connection.http1; from picocorn.base.native import NATIVE; raise SystemExit(not NATIVE)"


@dataclass(frozen=True)
class Python:
    """An interpreter that was found."""

    version: tuple[int, int, int]
    path: str

    @property
    def series(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


def parse_answer(text: str, path: str) -> Python | None:
    """The interpreter at `path` that has answered `text`, when it is one to measure with."""
    name, version, free_threaded = json.loads(text)
    if name != "cpython" or version[3] != "final" or free_threaded or version[:2] < [3, 11]:
        return None
    return Python((version[0], version[1], version[2]), path)


def find_pythons() -> list[Python]:
    """Every released CPython, 3.11 or newer, of pyenv and on PATH; the newest first."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [str(path) for path in pyenv.glob("versions/*/bin/python3")]
    candidates += [found for minor in range(11, 30) if (found := shutil.which(f"python3.{minor}"))]
    candidates += [found] if (found := shutil.which("python3")) else []
    pythons = []
    for candidate in candidates:
        # pyenv's shims answer to every name and then refuse: only an interpreter that runs counts.
        asked = subprocess.run([candidate, "-c", _ASK], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and (python := parse_answer(asked.stdout, candidate)):
            pythons.append(python)
    return sorted(pythons, key=lambda python: python.version, reverse=True)


def fingerprint(root: Path = ROOT) -> str:
    """Names the state of the sources that picocorn is built of."""
    digest = hashlib.sha256()
    for part in PARTS:
        paths = sorted((root / part).rglob("*")) if (root / part).is_dir() else [root / part]
        for path in paths:
            product = path.suffix in {".so", ".pyd", ".html"} or "__pycache__" in path.parts or ".egg-info" in str(path)
            # Cython's C lies beside its .pyx; the C that people write is in csrc.
            if path.is_file() and not product and not (part == "src" and path.suffix == ".c"):
                digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


class Environment:
    """A virtual environment of one Python, and what is known to be installed there."""

    def __init__(self, python: Python, folder: Path = FOLDER) -> None:
        self.python = python
        self.folder = folder / python.series
        self.bin = self.folder / "bin"
        self._stamp = self.folder / "bench.json"
        #: what was asked for -> None, or why it could not be installed
        self.installed: dict[str, str | None] = {}
        #: fingerprint of the picocorn that is installed
        self.picocorn: str | None = None

    def open(self) -> None:
        """Make it, unless it is there."""
        if not (self.bin / "python").exists():
            subprocess.run([self.python.path, "-m", "venv", "--clear", str(self.folder)], check=True)
        if self._stamp.exists():
            stored = json.loads(self._stamp.read_text(encoding="utf-8"))
            self.installed, self.picocorn = stored["installed"], stored["picocorn"]

    def _store(self) -> None:
        stored = {"installed": self.installed, "picocorn": self.picocorn}
        self._stamp.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")

    def _pip(self, *arguments: str, **environ: str) -> str | None:
        """Run pip; None, or the line in which it says what is wrong. All it says is in pip.log."""
        command = [str(self.bin / "python"), "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
        done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return None
        (self.folder / "pip.log").write_text(done.stdout + done.stderr, encoding="utf-8")
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()]
        return (errors or done.stderr.splitlines() or ["pip failed"])[-1].strip()

    def install(self, requirements: Iterable[str], *, upgrade: bool = False) -> None:
        """Install each of them by itself, unless that was done before."""
        for requirement in requirements:
            if upgrade or self.installed.get(requirement, "not yet") is not None:
                self.installed[requirement] = self._pip("install", *["--upgrade"] * upgrade, *requirement.split())
                self._store()

    def install_picocorn(self) -> str | None:
        """Build and install the checkout as it is now; None, or why that failed."""
        wanted = fingerprint()
        if self.picocorn == wanted:
            return None
        source = self.folder / "picocorn"
        shutil.rmtree(source, ignore_errors=True)
        source.mkdir()
        for part in PARTS:
            if (ROOT / part).is_dir():
                ignored = (*PRODUCTS, "*.c") if part == "src" else PRODUCTS
                shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns(*ignored))
            else:
                shutil.copy(ROOT / part, source / part)
        self.picocorn = None
        self._store()
        self._pip("uninstall", "-y", "picocorn")
        if error := self._pip("install", str(source), PICOCORN_BUILD_EXTENSION="yes"):
            return error
        tried = subprocess.run([self.bin / "python", "-c", _NATIVE], capture_output=True, text=True, check=False)
        if tried.returncode:
            return (tried.stderr.strip().splitlines() or ["its extensions were not built"])[-1]
        self.picocorn = wanted
        self._store()
        return None

    def versions(self, packages: Iterable[str]) -> dict[str, str]:
        """Versions of those that are installed."""
        command = [str(self.bin / "python"), "-c", _VERSIONS, *packages]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        return {name: version for name, version in found.items() if version}


def compile_program(name: str, folder: Path = FOLDER, options: tuple[str, ...] = ()) -> tuple[Path, str | None]:
    """Compile one of PROGRAMS; where it is, and why it is not."""
    sources = [Path(__file__).parent / source for source in PROGRAMS[name]]
    compiler = next((found for command in ("cc", "gcc", "clang") if (found := shutil.which(command))), None)
    if compiler is None:
        return folder / name, "no C compiler"
    folder.mkdir(parents=True, exist_ok=True)
    command = [compiler, "-O2", "-o", str(folder / name), *map(str, sources), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return folder / name, (done.stderr.strip().splitlines() or ["it does not compile"])[-1] if done.returncode else None


def compile_generator(folder: Path = FOLDER, options: tuple[str, ...] = ()) -> tuple[Path, str | None]:
    """Compile the WebSocket load generator, which can compress where zlib is there to compile with."""
    target, error = compile_program(GENERATOR, folder, ("-DWITH_ZLIB", *options, "-lz"))
    return (target, None) if error is None else compile_program(GENERATOR, folder, options)


def compile_handshakes(folder: Path = FOLDER, options: tuple[str, ...] = ()) -> tuple[Path, str | None]:
    """Compile the generator of TLS handshakes, where OpenSSL is there to compile with."""
    return compile_program(HANDSHAKES, folder, (*options, "-lssl", "-lcrypto"))


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M)
    wrk = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False).stdout.split("[")[0].strip()
    tools = {}
    if shutil.which("h2load"):
        tools["h2load"] = subprocess.run(["h2load", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return {
        "cpu": cpu[1] if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "kernel": platform.release(),
        "wrk": wrk,
        **tools,
    }


def commit() -> str:
    """The commit of the checkout, with a plus sign when what picocorn is built of has changed since."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=False).stdout.strip()

    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("+" if git("status", "--porcelain", "--", *PARTS) else "")
