"""Compares picocorn with its peers from PyPI, end to end: the command of the benchmark suite. docs/benchmarks.md explains it.

python bench/load.py                            the five-minute selection, into bench/results/quick.json and .md
python bench/load.py --full                     every server and every workload, into bench/results/full.json and .md
python bench/load.py --full --resume            goes on where that run was ended
python bench/load.py --servers picocorn uvicorn --workloads raw fastapi --name mine
python bench/load.py --websocket                every server that speaks WebSocket, into bench/results/websocket.json and .md
python bench/load.py --http2                    every server that speaks HTTP/2 or TLS, into bench/results/http2.json and .md
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import idle
import rounds
import startup
import store
import websocket_idle
import workloads
from environment import commit, fingerprint, machine
from launch import Stable
from peers import BY_NAME, FLOOR, NEWEST, PEERS, Peer
from report import detailed
from workloads import HTTP2_NAMES, IDLE, NAMES, SPECIAL_TITLES, STARTUP, WEBSOCKET_IDLE, WEBSOCKET_NAMES

TOOLS = {"wrk": "wrk", "taskset": "util-linux", "setpriv": "util-linux"}
#: what the rows of HTTP/2 and TLS need beside them
HTTP2_TOOLS = {"h2load": "nghttp2-client", "curl": "curl", "openssl": "openssl"}
QUICK_SERVERS = ("picocorn", "uvicorn", "granian", "peregrine", "weft", "h2corn", "fastpysgi")
TITLES = {**{name: workload.title for name, workload in workloads.BY_NAME.items()}, **SPECIAL_TITLES}


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line, with what depends on --full filled in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="all servers and all workloads, about 45 minutes")
    parser.add_argument("--websocket", action="store_true", help="all servers and all workloads of WebSockets")
    parser.add_argument("--http2", action="store_true", help="all servers and all workloads of HTTP/2 and TLS")
    parser.add_argument("--name", help="of the results (full, websocket, http2 or quick)")
    parser.add_argument("--resume", action="store_true", help="keep the rows that are stored, measure the others")
    parser.add_argument("--servers", nargs="+", choices=list(BY_NAME), metavar="SERVER", help=", ".join(BY_NAME))
    parser.add_argument("--workloads", nargs="+", choices=NAMES, metavar="WORKLOAD", help=", ".join(NAMES))
    parser.add_argument("--rounds", type=int, help="interleaved rounds (3, or 2 without --full); 0 only checks the answers")
    parser.add_argument("--seconds", type=int, default=2, help="of a round")
    parser.add_argument("--server-core", type=int, default=0)
    parser.add_argument("--client-core", type=int, default=1)
    parser.add_argument("--remark", default="", help="what readers of the results should know about the run")
    parser.add_argument("--upgrade", action="store_true", help="take newer peers where the package index has them")
    parser.add_argument("--no-install", action="store_true", help="measure what is installed, also an older picocorn")
    options = parser.parse_args(arguments)
    quick = [name for name, workload in workloads.BY_NAME.items() if workload.quick]
    families = {"full": NAMES, "websocket": WEBSOCKET_NAMES, "http2": HTTP2_NAMES}
    family = next((name for name in families if getattr(options, name)), None)
    everyone = family is not None
    options.name = options.name or family or "quick"
    options.servers = options.servers or list(BY_NAME if everyone else QUICK_SERVERS)
    options.workloads = options.workloads or list(families[family] if family else quick)
    if options.rounds is None:
        options.rounds = 3 if everyone else 2
    return options


def entrants(name: str, servers: list[str]) -> list[Peer]:
    """Those of `servers` that take part in the workload called `name`."""
    known = [BY_NAME[server] for server in servers]
    if name in HTTP2_NAMES:
        return [peer for peer in known if peer.speaks_http2]
    is_websocket = name in WEBSOCKET_NAMES
    wanted = [peer for peer in known if (peer.speaks_websocket if is_websocket else not peer.only_websocket)]
    if name == STARTUP:
        # These two are the same command and the same package once more.
        return [peer for peer in wanted if peer.python == NEWEST and peer.name not in {FLOOR, "uvicorn (h11)"}]
    if name in {IDLE, WEBSOCKET_IDLE}:
        return [peer for peer in wanted if peer.python == NEWEST and peer.name != FLOOR]
    workload = workloads.BY_NAME[name]
    return [peer for peer in wanted if (peer.python == NEWEST or workload.oldest) and (peer.name != FLOOR or workload.floor)]


def measure(stable: Stable, name: str, servers: list[Peer], options: argparse.Namespace) -> dict[str, Any]:
    """The cells of one row."""
    special: dict[str, Callable[[Stable, Peer], dict[str, Any]]] = {IDLE: idle.measure, STARTUP: startup.measure}
    if name in special:
        return {peer.name: special[name](stable, peer) for peer in servers}
    if name == WEBSOCKET_IDLE:
        return {peer.name: websocket_idle.measure(stable, peer, options.client_core) for peer in servers}
    effort = rounds.Effort(options.rounds, options.seconds, options.client_core)
    return rounds.measure(stable, workloads.BY_NAME[name], servers, effort, say)


def say(text: str) -> None:
    """Tell whoever waits."""
    print(text, flush=True)


def check_tools(options: argparse.Namespace) -> None:
    """End with a line when the machine cannot run the suite."""
    if sys.platform != "linux":
        raise SystemExit("bench: needs Linux: CPU time is read from /proc")
    tools = TOOLS | (HTTP2_TOOLS if not set(HTTP2_NAMES).isdisjoint(options.workloads) else {})
    for tool, package in tools.items():
        if shutil.which(tool) is None:
            raise SystemExit(f"bench: {tool} is not installed (on Debian: apt-get install {package})")
    cores = os.sched_getaffinity(0)
    if not {options.server_core, options.client_core} <= cores:
        raise SystemExit(f"bench: needs two cores, for the servers and for wrk; there are {sorted(cores)}")


def begin(path: Path, stable: Stable, options: argparse.Namespace) -> store.Results:
    """New results, or the stored ones with --resume."""
    about = {
        "commit": commit(),
        # What is measured: with --no-install that may be older than the tree.
        "fingerprint": next((e.picocorn for e in stable.environments.values() if e.picocorn), None),
        "effort": {"rounds": options.rounds, "seconds": options.seconds},
        "remark": options.remark,
        "machine": machine(),
        "versions": stable.versions(),
        "missing": stable.missing,
    }
    if options.no_install and about["fingerprint"] != fingerprint():
        about["commit"] = "unknown"
    wanted = store.new(about)
    if not (options.resume and path.exists()):
        return wanted
    try:
        return store.resume(store.load(path), wanted)
    except store.CannotResumeError as error:
        raise SystemExit(f"bench: {path.name} cannot be gone on with: {error}; run it without --resume") from None


def main() -> None:
    """Measure what the command line asks for."""
    options = parse_arguments()
    check_tools(options)
    # A polite kill ends the servers too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended; --resume goes on"))
    stable = Stable(options.server_core)
    # Who has no row needs no environment.
    taking_part = {peer.name: peer for name in options.workloads for peer in entrants(name, options.servers)}
    stable.prepare(list(taking_part.values()), install=not options.no_install, upgrade=options.upgrade)
    for server, reason in stable.missing.items():
        say(f"{server}: {reason}")
    path = store.FOLDER / f"{options.name}.json"
    stored = begin(path, stable, options)
    began = time.monotonic()
    try:
        for name in options.workloads:
            missing = store.unmeasured(stored, name, [peer.name for peer in entrants(name, options.servers)])
            if not missing:
                continue
            say(f"[{time.monotonic() - began:4.0f} s] {TITLES[name]}")
            store.add(stored, name, TITLES[name], measure(stable, name, [BY_NAME[server] for server in missing], options))
            store.save(path, stored)
    finally:
        stable.clear()
    markdown = detailed(stored, [name for name in NAMES if name in stored["rows"]], [peer.name for peer in PEERS])
    path.with_suffix(".md").write_text(markdown, encoding="utf-8")
    say(f"[{time.monotonic() - began:4.0f} s] done\n\n{markdown}")
    say(f"stored as {path} and {path.with_suffix('.md').name}")


if __name__ == "__main__":
    main()
