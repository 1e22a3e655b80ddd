"""Applications of `apps/` in a process of their own, and what may be asked about such a process while it serves.

Builds on `harness.spawned`: adds the choice of the body, the probe that every application carries, and the check that nothing
is left behind. Knows no framework and no test.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx

from harness import DEADLINE_SECONDS, Client, SpawnedServer, spawned

__all__ = ["APPS", "BODIES", "MIB", "Served", "fetch_all", "serving", "until_true"]

APPS = Path(__file__).parent / "apps"
MIB = 1024 * 1024

#: Under PICOCORN_NO_EXTENSIONS the native body has been deselected openly; otherwise its absence must fail.
BODIES = ("pure",) if os.environ.get("PICOCORN_NO_EXTENSIONS", "") not in ("", "0") else ("native", "pure")

#: What Python prints about things that were forgotten rather than ended.
FORGOTTEN = re.compile(
    r".*(?:ResourceWarning|was never awaited|never retrieved|was destroyed but|Exception ignored|Exception in callback"
    r"|Exception in a connection|Fatal error|Segmentation fault|socket\.send\(\) raised).*"
)


def until_true(condition: Callable[[], object], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Ask again and again, for what only another process knows. Asking is work enough: no pause but a short one."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.01)


class Served:
    """A server process with an application of `apps/`."""

    def __init__(self, server: SpawnedServer, uds: str | None = None) -> None:
        self.server = server
        self.pid = server.process.pid
        self._uds = uds
        self._port = 0 if uds else server.port
        if uds:
            server.wait_for("running on unix socket")
        self.probe()
        #: what is alive when nobody is connected but the probe
        self.at_rest = self.probe()

    @property
    def port(self) -> int:
        return self._port

    @property
    def address(self) -> Any:
        return self._uds or ("127.0.0.1", self._port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def connect(self, **options: Any) -> Client:
        """A raw client; the caller closes it, or the end of the server does."""
        client = Client(self.address, **options)
        self.server.clients.append(client)
        return client

    def request(self, target: bytes = b"/", *fields: bytes, **options: Any) -> Any:
        """One request on a connection of its own."""
        with Client(self.address) as client:
            return client.request(target, *fields, **options)

    def probe(self, target: bytes = b"/__probe__") -> dict[str, Any]:
        """What is alive in the process (see `apps/probe.py`), asked on a new connection: also the proof that it serves."""
        with Client(self.address) as client:
            response = client.request(target, b"Connection: close")
            assert response.status == 200, response
            answer: dict[str, Any] = json.loads(response.body)
            return answer

    def is_native(self) -> bool:
        """Whether compiled rooms are loaded in the process."""
        return "parser_c." in Path(f"/proc/{self.pid}/maps").read_text(encoding="utf-8")

    def resident_bytes(self) -> int:
        """Resident memory as the kernel sees it: needs no answer from the process."""
        fields = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    def left_behind(self) -> dict[str, Any]:
        """What is alive now beyond what was alive at rest."""
        now = self.probe()
        left: dict[str, Any] = {
            name: now[name] - self.at_rest[name] for name in ("sockets", "tasks") if now[name] > self.at_rest[name]
        }
        files, files_at_rest = now["kinds"].get("file", 0), self.at_rest["kinds"].get("file", 0)
        if files > files_at_rest:
            left["files"] = files - files_at_rest
        for name, count in now["objects"].items():
            if count > self.at_rest["objects"].get(name, 0):
                left[name] = count - self.at_rest["objects"].get(name, 0)
        if "tasks" in left:
            left["task_names"] = now["task_names"][:3]
        return left

    def settle(self, seconds: float = DEADLINE_SECONDS) -> None:
        """Wait until nothing is left of what tests have started."""
        left: dict[str, Any] = {}

        def nothing_left() -> bool:
            nonlocal left
            left = self.left_behind()
            return not left

        try:
            until_true(nothing_left, "at rest again", seconds)
        except AssertionError as error:
            raise AssertionError(f"left behind: {left}\n{self.server.output[-4000:]}") from error


@contextlib.contextmanager
def serving(
    app: str, *options: str, body: str, env: Mapping[str, str] | None = None, uds: str | None = None, check: bool = True
) -> Iterator[Served]:
    """Serve `apps/APP.py` with the given body, natively or pure; at the end nothing may be left and SIGTERM must end it.

    `check=False`: the block ends the server itself, in its own way.
    """
    environment = {
        "PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else "",
        # So that sockets and files that nobody closed are told of.
        "PYTHONWARNINGS": "default",
        "PYTHONUNBUFFERED": "1",
        **(env or {}),
    }
    where = ("--uds", uds) if uds else ("--port", "0")
    with spawned(
        f"{app}:app", "--app-dir", str(APPS), "--timeout-graceful-shutdown", "5", *where, *options, env=environment
    ) as server:
        served = Served(server, uds)
        # A body that was asked for and is not there must not pass for tested.
        assert served.is_native() is (body == "native"), f"{body} was asked for"
        yield served
        if not check:
            return
        served.settle()
        code = server.stop()
        assert code == -15, f"ended with {code}:\n{server.output[-4000:]}"
        forgotten = FORGOTTEN.findall(server.output)
        assert not forgotten, "\n".join(forgotten) + "\n" + server.output[-4000:]
        assert "graceful shutdown exceeded" not in server.output, server.output[-4000:]


def fetch_all(url: str, targets: list[str], connections: int = 16) -> list[httpx.Response]:
    """GET all targets at once over so many keep-alive connections; answers in the order of the targets."""

    async def fetch() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=DEADLINE_SECONDS, trust_env=False) as client:
            return await asyncio.gather(*(client.get(target) for target in targets))

    return asyncio.run(fetch())


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
