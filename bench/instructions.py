"""Instructions per request of recorded conversations, counted by callgrind, against the figures stored in bench/results/.

    python bench/instructions.py                            count, and fail if a conversation costs 5% more than stored
    python bench/instructions.py --update                   count, and store: commit the file with the change that explains it
    python bench/instructions.py --profile raw-get poller   where the instructions of one conversation go, by function

Unlike times, instructions are the same on a busy machine and on a slow one. They do depend on how the interpreter and the
extensions were built, so figures are stored for each build that has been counted, under all that is known to change them:

- the same build is stored: the total and the part in picocorn's own object files may each grow by 5%;
- another build of the same minor Python is stored: only the own part is compared, with 10%, because it depends on the
  interpreter through inlined code and compiler flags (measured between two builds of 3.11: 4.5%, the totals 13%);
- neither: the figures are printed, nothing is compared, and a line says so.

`--update` replaces this build's figures. If one has grown beyond its tolerance, the change has made the figures of other builds
untrue as well: they are dropped, and a line says which to count anew.

The way "stack" goes from `data_received` to the transport's `write`, for a peer that is trusted as a proxy (one on 127.0.0.1 is,
by default). The way "poller" is the whole of it from `epoll_wait` to `send`, 16 connections a turn, for a peer that is not.

Exit status: 0 if nothing costs too much, 1 if something does, 3 if there is nothing to count with: no valgrind (installed with
apt-get where that is allowed) or no native extensions. With --optional the latter is only said, and the status is 0.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import picocorn
from instructions_callgrind import Cost, cost_per_request, play_native
from instructions_conversations import CONVERSATIONS, WAYS
from picocorn.base.native import NATIVE
from picocorn.http2.engine import ENGINE

if NATIVE:
    from picocorn.asgi import scope_c  # type: ignore[attr-defined]
else:
    scope_c = None

PACKAGE = Path(picocorn.__file__).parent
STORED = Path(__file__).parent / "results" / "instructions.json"

TOLERANCE = 0.05
OTHER_BUILD_TOLERANCE = 0.10
NOTHING_TO_COUNT_WITH = 3

Figures = dict[str, dict[str, int]]
#: `build`: the facts, `figures`: the figures.
Entry = dict[str, Any]


# --- what the counts depend on -------------------------------------------------------------------------------------------


def interpreter_build() -> str:
    """A short name for how the interpreter was configured and compiled, wherever it was installed to."""
    words = [platform.python_compiler()]
    for variable in ("CONFIG_ARGS", "CFLAGS", "PY_CORE_LDFLAGS"):
        words += (word for word in (sysconfig.get_config_var(variable) or "").split() if "/" not in word)
    return hashlib.sha256(" ".join(words).encode()).hexdigest()[:12]


def vector_instructions() -> str:
    """What the scanner and libc choose their kernels by."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""
    return next((name for name in ("avx2", "sse4_2", "asimd") if re.search(rf"\b{name}\b", flags)), "")


def extension_build() -> dict[str, str]:
    """The compiler and the Cython that made the extensions, as they have left their names in one."""
    binary = Path(scope_c.__file__).read_bytes()
    compiler = re.search(rb"GCC: \([^)\0]*\) [\d.]+|clang version [\d.]+", binary)
    cython = re.search(rb"_cython_(\d+_\d+_\w+)", binary)
    return {
        "compiler": compiler[0].decode() if compiler else "",
        "cython": cython[1].decode().replace("_", ".") if cython else "",
    }


def nghttp2_build() -> str:
    """The file of libnghttp2 that is in use, whose name ends with its version; nothing without its engine."""
    if ENGINE != "nghttp2":
        return ""
    importlib.import_module("picocorn.http2.engine_nghttp2_c")
    found = re.search(r"libnghttp2\S*", Path("/proc/self/maps").read_text(encoding="utf-8"))
    return found[0] if found else ""


def build_facts() -> dict[str, str]:
    """All that is known to change a count, beside picocorn itself."""
    valgrind = subprocess.run(["valgrind", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return {
        "python": platform.python_version(),
        "interpreter": interpreter_build(),
        "machine": f"{platform.machine()} {vector_instructions()}".strip(),
        **extension_build(),
        "libc": " ".join(platform.libc_ver()),
        "openssl": ssl.OPENSSL_VERSION,
        "nghttp2": nghttp2_build(),
        "valgrind": valgrind,
    }


# --- counting ------------------------------------------------------------------------------------------------------------


def install_valgrind() -> bool:
    """Whether valgrind is there, after an attempt to install it where apt-get may."""
    if shutil.which("valgrind"):
        return True
    if Path("/etc/debian_version").exists() and os.geteuid() == 0 and shutil.which("apt-get"):
        print("instructions: installing valgrind with apt-get", file=sys.stderr)
        variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in ("apt-get update -qq", "apt-get install -y -qq --no-install-recommends valgrind"):
            if subprocess.run(command.split(), env=variables, stdout=subprocess.DEVNULL, check=False).returncode:
                return False
    return shutil.which("valgrind") is not None


def count_all() -> Figures:
    """Instructions per request of every conversation in every way, `total` and in our own object files (`ours`)."""
    figures = {}
    for conversation in CONVERSATIONS:
        for way in WAYS:
            play_native(PACKAGE, conversation, way)
            cost = cost_per_request(PACKAGE, conversation, way)
            figures[f"{conversation} {way}"] = {"total": round(cost.total), "ours": round(cost.below(PACKAGE))}
    return figures


# --- comparing -----------------------------------------------------------------------------------------------------------


def read_stored() -> list[Entry]:
    stored: list[Entry] = json.loads(STORED.read_text(encoding="utf-8")) if STORED.exists() else []
    return stored


def minor(build: dict[str, str]) -> list[str]:
    return build["python"].split(".")[:2]


@dataclass
class Basis:
    """What to compare with: figures, the tolerance of each part that may be compared, and a line that says why these."""

    figures: Figures
    tolerances: dict[str, float]
    reason: str

    def grown(self, counted: Figures) -> list[str]:
        """A line for each figure that has grown beyond its tolerance."""
        lines = []
        for name, parts in counted.items():
            for part, tolerance in self.tolerances.items():
                known = self.figures.get(name, {}).get(part)
                if known is not None and parts[part] > known * (1 + tolerance):
                    change = parts[part] / known - 1
                    lines.append(f"{name}: {part} {parts[part]:,}, stored {known:,}: {change:+.1%}, allowed {tolerance:.0%}")
        return lines


def choose_basis(stored: list[Entry], facts: dict[str, str]) -> Basis:
    """The stored figures that say most about this build."""
    for entry in stored:
        if entry["build"] == facts:
            tolerances = {"total": TOLERANCE, "ours": TOLERANCE}
            return Basis(entry["figures"], tolerances, "compared with what is stored for this very build")
    alike = [entry for entry in stored if minor(entry["build"]) == minor(facts) and entry["build"]["machine"] == facts["machine"]]
    if not alike:
        reason = f"NOT compared: nothing is stored for any Python {'.'.join(minor(facts))} on {facts['machine']}"
        return Basis({}, {}, reason)
    nearest = max(alike, key=lambda entry: sum(entry["build"][name] == facts[name] for name in facts))
    differing = [name for name in facts if nearest["build"][name] != facts[name]]
    differences = ", ".join(f"{name} {nearest['build'][name]} there, {facts[name]} here" for name in differing)
    reason = f"only our own part is compared, the nearest build stored is another: {differences}"
    return Basis(nearest["figures"], {"ours": OTHER_BUILD_TOLERANCE}, reason)


def print_table(counted: Figures, stored: Figures) -> None:
    """A row for each conversation and way: counted, stored, change."""
    print(f"{'instructions per request':26}{'total':>9}{'stored':>9}{'change':>8}{'ours':>9}{'stored':>9}{'change':>8}")
    for name, parts in counted.items():
        row = f"{name:26}"
        for part in ("total", "ours"):
            known = stored.get(name, {}).get(part)
            row += f"{parts[part]:9,}" + (f"{known:9,}{parts[part] / known - 1:+8.1%}" if known else f"{'-':>9}{'-':>8}")
        print(row)


def store(counted: Figures, facts: dict[str, str], has_grown: bool) -> None:
    """Put `counted` in the place of what was stored for the same interpreter on the same kind of machine."""
    identity = ("python", "interpreter", "machine")
    others = [entry for entry in read_stored() if any(entry["build"][name] != facts[name] for name in identity)]
    if has_grown:
        for entry in others:
            build = entry["build"]
            print(f"instructions: dropped, count anew: Python {build['python']} ({build['interpreter']}) on {build['machine']}")
        others = []
    entries = [*others, {"build": facts, "figures": counted}]
    entries.sort(key=lambda entry: [entry["build"][name] for name in identity])
    STORED.parent.mkdir(exist_ok=True)
    STORED.write_text(json.dumps(entries, indent=1) + "\n", encoding="utf-8")


# --- profiling -----------------------------------------------------------------------------------------------------------


def readable(function: str) -> str:
    """`__pyx_f_8picocorn_5http1_8parser_c_13RequestParser_feed` -> `RequestParser_feed (f)`, as far as Cython's names allow."""
    found = re.match(r"__pyx_(\w+?)_8picocorn_", function)
    if found is None:
        return function
    rest = function[found.end() :]
    while step := re.match(r"(\d+)", rest):
        rest = rest[step.end() :]
        piece, rest = rest[: int(step[1])], rest[int(step[1]) :].removeprefix("_")
        if piece[:1].isupper():
            rest = f"{piece}.{rest}"
            break
    return f"{rest} [{found[1]}]"


def print_profile(cost: Cost, lines: int) -> None:
    """The functions that cost most by themselves, and the object files."""
    print(f"{cost.total:9,.0f} instructions per request, {cost.below(PACKAGE):,.0f} of them in our own object files")
    objects: dict[str, float] = {}
    for (path, _), instructions in cost.self_instructions.items():
        objects[Path(path).name] = objects.get(Path(path).name, 0) + instructions
    print("\n   object file")
    for name, instructions in sorted(objects.items(), key=lambda item: -item[1])[:20]:
        print(f"{instructions:9,.0f}            {name}")
    print("\n     self    calls   function")
    for (path, function), instructions in sorted(cost.self_instructions.items(), key=lambda item: -item[1])[:lines]:
        name = Path(path).name.partition(".")[0]
        print(f"{instructions:9,.0f} {cost.calls[path, function]:8.2f}   {name}: {readable(function)}")


# --- the command ---------------------------------------------------------------------------------------------------------


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help=f"store the figures in {STORED.name}")
    parser.add_argument("--optional", action="store_true", help="exit with 0 if there is nothing to count with")
    parser.add_argument(
        "--profile", nargs=2, metavar=("CONVERSATION", "WAY"), help=f"{', '.join(CONVERSATIONS)}; {', '.join(WAYS)}"
    )
    parser.add_argument("--lines", type=int, default=60, help="functions that --profile prints")
    options = parser.parse_args()
    if options.profile and (options.profile[0] not in CONVERSATIONS or options.profile[1] not in WAYS):
        parser.error(f"--profile takes one of {', '.join(CONVERSATIONS)} and one of {', '.join(WAYS)}")
    return options


def main() -> int:
    """Do what the command line asks for; returns the exit status."""
    options = parse_arguments()
    missing = ""
    if scope_c is None:
        missing = "no native extensions are in use: nothing to count"
    elif not install_valgrind():
        missing = "no valgrind here: nothing was counted (Debian: apt-get install valgrind)"
    if missing:
        print(f"instructions: {missing}", file=sys.stderr)
        return 0 if options.optional else NOTHING_TO_COUNT_WITH
    if options.profile:
        play_native(PACKAGE, *options.profile)
        print_profile(cost_per_request(PACKAGE, *options.profile), options.lines)
        return 0
    facts = build_facts()
    counted = count_all()
    basis = choose_basis(read_stored(), facts)
    grown = basis.grown(counted)
    print_table(counted, basis.figures)
    print(f"instructions: {basis.reason}")
    if ENGINE != "nghttp2":
        print("instructions: no libnghttp2 was built in: h2-get was not counted")
    for line in grown:
        print(f"instructions: grown too much: {line}", file=sys.stderr)
    if options.update:
        store(counted, facts, bool(grown))
        print(f"instructions: stored for Python {facts['python']} ({facts['interpreter']}) on {facts['machine']}")
        return 0
    if grown:
        print("instructions: if that is the price of this change, commit it with the output of --update", file=sys.stderr)
    return bool(grown)


if __name__ == "__main__":
    sys.exit(main())
