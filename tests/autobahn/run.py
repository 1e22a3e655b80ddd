"""Runs the Autobahn test suite (https://github.com/crossbario/autobahn-testsuite) against an echo application: `make autobahn`.

    run.py                       every case against both bodies
    run.py --quick               a part of them that takes less than a minute
    run.py --cases '7.*' 9.1.1   these
    run.py --testees uvicorn     another server, in this interpreter's environment

Ends with 0 when every case is OK or allowed (allowed.toml), 1 when one is not, 2 when the servers or the arguments were not in
order, 3 when the suite cannot run on this machine (0 with --may-skip, and a line that begins with SKIPPED).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from judge import Outcome, explain, failures, load_allowed, read_outcomes, table
from testees import TESTEES, Served, TesteeFailure, serving
from wstest import FOLDER, Shard, SuiteMissing, deal, list_cases, open_environment, select

EXIT_FAILED = 1
EXIT_TROUBLE = 2
EXIT_SKIPPED = 3

#: Everything but most of 9.*, 12.* and 13.*, of which each kind is there in a size that is quickly done.
QUICK = (
    *("1.*", "2.*", "3.*", "4.*", "5.*", "6.*", "7.*", "10.*"),
    *("9.1.[1-3]", "9.2.[1-3]", "9.3.[6-9]", "9.4.[6-9]", "9.5.[5-6]", "9.6.[5-6]", "9.7.[1-4]", "9.8.[1-4]"),
    *("12.*.1", "12.*.4", "12.1.11", "13.*.2", "13.*.11"),
)
#: What a faulty application must be caught with, every one of them.
CONTROL_CASES = ("1.1.2", "1.2.2", "1.2.3", "5.3", "6.2.1")

#: A shard that has not ended by then never will.
SHARD_SECONDS = {True: 300.0, False: 3600.0}


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    deselected = os.environ.get("PICOCORN_NO_EXTENSIONS", "") not in ("", "0")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="only cases that are quickly done")
    parser.add_argument("--cases", nargs="+", metavar="PATTERN", help="only these cases")
    parser.add_argument(
        "--testees", nargs="+", choices=TESTEES, default=["pure"] if deselected else ["native", "pure"],
        help="the servers (default: both bodies, or the pure one under PICOCORN_NO_EXTENSIONS=1)",
    )  # fmt: skip
    parser.add_argument("--jobs", type=int, default=0, help="clients side by side (default: by the number of cores)")
    parser.add_argument("--may-skip", action="store_true", help="a machine without the suite is no failure")
    parser.add_argument("--no-control", action="store_true", help="do not prove first that faults are found")
    return parser.parse_args()


def new_folder() -> Path:
    """A folder for logs and reports, which stay until the next run. Those of runs that are over go."""
    for old in FOLDER.glob("run-*"):
        if not _is_alive(int(old.name.removeprefix("run-"))):
            shutil.rmtree(old, ignore_errors=True)
    return FOLDER / f"run-{os.getpid()}"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def shards_of(served: Served, cases: list[str], count: int, folder: Path) -> list[Shard]:
    """`cases` against one server, in about `count` parts."""
    return [
        Shard(served.name, served.url, hand, folder / served.name / str(number))
        for number, hand in enumerate(deal(cases, count), 1)
    ]  # fmt: skip


def run_shards(shards: list[Shard], python: Path, jobs: int, timeout_seconds: float) -> tuple[list[Outcome], list[str]]:
    """Run all of them, `jobs` at a time; what came of each case, and what went wrong with the clients."""
    outcomes: list[Outcome] = []
    troubles = []
    began = time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(shard.run, python, timeout_seconds): shard for shard in shards}
        for number, future in enumerate(as_completed(running), 1):
            shard = running[future]
            if trouble := future.result():
                troubles.append(f"the client of {shard.testee} {trouble}")
            outcomes += read_outcomes(shard.testee, shard.cases, shard.reports)
            print(f"autobahn: {number} of {len(shards)} parts done, {time.monotonic() - began:.0f} s", file=sys.stderr)
    outcomes.sort(key=lambda outcome: (outcome.testee, [int(part) for part in outcome.case.split(".")]))
    return outcomes, troubles


def prove(testee: str, python: Path, folder: Path) -> None:
    """A faulty application must fail: otherwise nothing that follows means anything. Raises TesteeFailure."""
    with serving(testee, folder, application="faulty_app", label="faulty") as served:
        [shard] = shards_of(served, list(CONTROL_CASES), 1, folder)
        if trouble := shard.run(python, SHARD_SECONDS[True]):
            raise TesteeFailure(f"the client of the control run {trouble}")
    outcomes = read_outcomes(shard.testee, shard.cases, shard.reports)
    passed = [outcome.case for outcome in outcomes if outcome.behavior != "FAILED"]
    if passed:
        raise TesteeFailure(f"a faulty application passed or was not tested: {', '.join(passed)}")
    print(f"autobahn: a faulty application fails all of its {len(outcomes)} cases, as it must", file=sys.stderr)


def run(arguments: argparse.Namespace) -> int:
    """Everything; the exit code. Raises SuiteMissing and TesteeFailure."""
    allowed = load_allowed()
    python = open_environment()
    every = list_cases(python)
    cases = select(every, arguments.cases or (QUICK if arguments.quick else ("*",)))
    folder = new_folder()
    cores = os.cpu_count() or 1
    # Quick cases mostly wait for a second to pass; the others keep a core busy.
    jobs = arguments.jobs or (4 * cores if arguments.quick else cores + 1)
    if not arguments.no_control:
        prove(arguments.testees[0], python, folder)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(serving(testee, folder)) for testee in arguments.testees]
        parts = [shards_of(served, cases, jobs if arguments.quick else 4 * jobs, folder) for served in servers]
        # Alternating, so that the servers are busy together to the end.
        shards = [part[number] for number in range(max(map(len, parts))) for part in parts if number < len(part)]
        outcomes, troubles = run_shards(shards, python, jobs, SHARD_SECONDS[arguments.quick])
    troubles += [f"{served.name}: {trouble}" for served in servers for trouble in served.troubles]
    return report(outcomes, troubles, allowed, f"{len(cases)} of {len(every)} cases in {time.monotonic() - began:.0f} s")


def report(outcomes: list[Outcome], troubles: list[str], allowed: dict[str, str], summary: str) -> int:
    """Say what came of it; the exit code."""
    failed = failures(outcomes, allowed)
    for outcome in failed:
        print(explain(outcome) + "\n")
    for trouble in troubles:
        print(f"trouble: {trouble}")
    print(table(outcomes))
    not_ok = sorted({outcome.case for outcome in outcomes if outcome.case in allowed and outcome not in failed})
    if not_ok:
        print(f"allowed (allowed.toml says why): {', '.join(not_ok)}")
    names = ", ".join(dict.fromkeys(outcome.testee for outcome in outcomes))
    print(f"autobahn: {summary} against {names}: {len(failed)} failed")
    return EXIT_FAILED if failed or troubles else 0


def main() -> int:
    """The exit code."""
    arguments = parse_arguments()
    try:
        return run(arguments)
    except SuiteMissing as missing:
        print(f"{'SKIPPED ' if arguments.may_skip else ''}autobahn: {missing}", flush=True)
        return 0 if arguments.may_skip else EXIT_SKIPPED
    except (TesteeFailure, ValueError) as failure:
        print(f"autobahn: {failure}", file=sys.stderr)
        return EXIT_TROUBLE


if __name__ == "__main__":
    raise SystemExit(main())
