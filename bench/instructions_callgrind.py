"""Runs a conversation under callgrind and reads what it cost. Knows valgrind and its file format; no stored figure.

The difference of a long run and a short one, divided by the requests between them, is the cost of a request: the start-up is in
both and cancels out.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Cost", "cost_per_request", "play_native"]

SCRIPT = Path(__file__).parent / "instructions_conversations.py"

#: Requests of the short and of the long run; multiples of the sockets that a turn serves. By the end of the short one every cache
#: is warm and every bytecode specialised.
FEW = 320
MANY = 1920

#: `(12) name` defines a number, `(12)` uses it; after `'` comes the level of a recursion.
COMPRESSED = re.compile(r"\((\d+)\)(?: (.*?)(?:'\d+)?)?$")


@dataclass
class Cost:
    """What a run, or one request, took. Functions are (object file, name) pairs; "self" is without what they call."""

    self_instructions: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    calls: defaultdict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))

    @property
    def total(self) -> float:
        """All instructions."""
        return sum(self.self_instructions.values())

    def below(self, folder: Path) -> float:
        """The instructions of object files below `folder`."""
        return sum(count for (path, _), count in self.self_instructions.items() if Path(path).is_relative_to(folder))


def read_callgrind(path: Path) -> Cost:
    """Add up a callgrind output file by function (valgrind manual, "Callgrind Format Specification")."""
    cost = Cost()
    names: dict[tuple[str, str], str] = {}

    def spelled(kind: str, text: str) -> str:
        found = COMPRESSED.match(text)
        if found is None:
            return text
        number, name = found.groups()
        return names.setdefault((kind, number), name) if name else names[kind, number]

    here = callee_object = ""
    function = callee = ("", "")
    is_call_cost = False
    with path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            key, _, value = line.rstrip("\n").partition("=")
            if key == "ob":
                here = callee_object = spelled("object", value)
            elif key == "fn":
                function = (here, spelled("function", value))
            elif key == "cob":
                callee_object = spelled("object", value)
            elif key == "cfn":
                callee = (callee_object, spelled("function", value))
                callee_object = here
            elif key == "calls":
                cost.calls[callee] += int(value.split()[0])
                is_call_cost = True
            elif line[0] in "+-*0123456789":
                # The line after `calls=` says what the callee cost with all that it called: its own lines say the same.
                if not is_call_cost:
                    cost.self_instructions[function] += int(line.split()[1])
                is_call_cost = False
    return cost


def environment(package: Path) -> dict[str, str]:
    """The same for everybody: its size and its contents would show in the counts."""
    return {"PYTHONPATH": str(package.parent), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}


def play_native(package: Path, conversation: str, way: str) -> None:
    """Play without valgrind: shows that it works, and leaves every module's bytecode behind for the runs that count.

    Raises SystemExit when it does not work.
    """
    command = [sys.executable, "-S", str(SCRIPT), conversation, way, str(FEW)]
    if subprocess.run(command, env=environment(package), check=False).returncode:
        raise SystemExit(f"instructions: {conversation} cannot be played (see above)")


def count(package: Path, conversation: str, way: str, requests: int) -> Cost:
    """What the whole process costs. Raises SystemExit with what it printed when it fails."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", sys.executable, "-S", str(SCRIPT)]
        command += [conversation, way, str(requests)]
        variables = {**environment(package), "PATH": os.environ["PATH"]}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return read_callgrind(out)


def cost_per_request(package: Path, conversation: str, way: str) -> Cost:
    """What one more request of `conversation` costs. `package` is the folder of the picocorn that is imported."""
    # Side by side: what else the machine does changes no count.
    with ThreadPoolExecutor(2) as pool:
        few, many = pool.map(lambda requests: count(package, conversation, way, requests), (FEW, MANY))
    cost = Cost()
    for name in ("self_instructions", "calls"):
        before, after, result = getattr(few, name), getattr(many, name), getattr(cost, name)
        for function in before.keys() | after.keys():
            if after[function] != before[function]:
                result[function] = (after[function] - before[function]) / (MANY - FEW)
    return cost
