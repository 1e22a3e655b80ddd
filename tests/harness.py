"""A running server for tests, over real sockets: in a thread of this process (`running`) or as a process (`spawned`).

    with running(app, http="pure", root_path="/api") as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n")
        assert client.response().body == b"hello"

The context complains at its end about whatever was left behind: connections, tasks, descriptors, errors in the log that no
test has looked at (`server.errors()`), a shutdown that had to cancel something. Nothing here sleeps; everything has a deadline.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import picocorn
from raw_client import DEADLINE_SECONDS, Client

__all__ = ["DEADLINE_SECONDS", "Client", "Gate", "RunningServer", "SpawnedServer", "running", "spawned", "wait_until"]

T = TypeVar("T")


def wait_until(condition: Callable[[], object], what: str = "condition") -> None:
    """For what shows itself only to somebody who looks (a process that ends, a counter of the kernel). Prefer an event."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {DEADLINE_SECONDS} s")
        time.sleep(0.005)


class Gate:
    """An event that any thread opens and that applications (`await gate.passed()`) and tests (`gate.wait()`) pass."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        self._lock = threading.Lock()

    def open(self) -> None:
        with self._lock:
            self._opened.set()
            for loop, event in self._waiters:
                if not loop.is_closed():
                    loop.call_soon_threadsafe(event.set)
            self._waiters.clear()

    def is_open(self) -> bool:
        return self._opened.is_set()

    def wait(self) -> None:
        assert self._opened.wait(DEADLINE_SECONDS), f"the gate was not opened within {DEADLINE_SECONDS} s"

    async def passed(self) -> None:
        event = asyncio.Event()
        with self._lock:
            if self._opened.is_set():
                return
            self._waiters.append((asyncio.get_running_loop(), event))
        await asyncio.wait_for(event.wait(), DEADLINE_SECONDS)


class _Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class _Server(picocorn.Server):
    """Says when it has started and on which loop."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.loop: asyncio.AbstractEventLoop | None = None
        self.up = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        self.loop = asyncio.get_running_loop()
        self.asked_to_stop = asyncio.Event()
        await super().startup(sockets=sockets)
        self.up.set()

    async def main_loop(self) -> None:
        # As it is, but without sleeping through the rest of a tick when the test is over: there are hundreds of tests.
        ticking = asyncio.ensure_future(super().main_loop())
        asked = asyncio.ensure_future(self.asked_to_stop.wait())
        await asyncio.wait((ticking, asked), return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        if not ticking.done():
            ticking.cancel()
        for ended in await asyncio.gather(ticking, asked, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


class RunningServer:
    """What `running` gives."""

    def __init__(self, config: Any) -> None:
        self.config = config
        self.server = _Server(config)
        self.log = _Records()
        self.clients: list[Client] = []
        self.failure: BaseException | None = None
        self._errors_read = 0
        self._thread = threading.Thread(target=self._run, name="server under test", daemon=True)

    # -- for tests

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        assert self.server.loop is not None
        return self.server.loop

    @property
    def state(self) -> Any:
        """`server_state`: connections, tasks, total_requests."""
        return self.server.server_state

    @property
    def address(self) -> Any:
        return self.server.servers[0].sockets[0].getsockname()

    @property
    def host(self) -> str:
        return self.address[0]

    @property
    def port(self) -> int:
        return self.address[1]

    def connect(self, **options: Any) -> Client:
        """A raw client (see `raw_client.Client`), closed at the end at the latest."""
        client = Client(self.address, **options)
        self.clients.append(client)
        return client

    def get(self, target: str = "/", *fields: bytes) -> Any:
        """One GET on a connection of its own."""
        client = self.connect()
        client.send(b"".join((b"GET ", target.encode(), b" HTTP/1.1\r\nHost: a\r\n", *(f + b"\r\n" for f in fields), b"\r\n")))
        return client.response()

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call `function` on the server's loop and return what it returns."""

        async def call() -> T:
            return function(*args)

        return self.run(call())

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` on the server's loop and return what it returns."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(DEADLINE_SECONDS)

    def wait_for_connections(self, count: int) -> None:
        """Until the server has exactly so many."""
        wait_until(lambda: len(self.state.connections) == count, f"{count} connections")

    def wait_for_tasks(self, count: int) -> None:
        """Until exactly so many requests are running."""
        wait_until(lambda: len(self.state.tasks) == count, f"{count} tasks")

    def messages(self, level: int = logging.NOTSET) -> list[str]:
        """What was logged so far, at `level` or above."""
        return [_text(record) for record in list(self.log.records) if record.levelno >= level]

    def errors(self) -> list[str]:
        """Logged errors so far, with tracebacks. Reading them says that they were expected."""
        errors = self.messages(logging.ERROR)
        self._errors_read = len(errors)
        return errors

    def stop(self) -> None:
        """Ask for a graceful end, as SIGTERM does. Returns at once; `join` waits."""
        self.server.should_exit = True
        with contextlib.suppress(RuntimeError):  # it has ended, loop and all
            self.loop.call_soon_threadsafe(self.server.asked_to_stop.set)

    def join(self) -> None:
        """Wait until the server has ended."""
        self._thread.join(DEADLINE_SECONDS)
        assert not self._thread.is_alive(), "the server has not ended"

    # -- for the context

    def _run(self) -> None:
        try:
            self.server.run()
        except BaseException as error:
            self.failure = error
        finally:
            self.server.up.set()

    def _start(self) -> None:
        for name in ("picocorn", "asyncio"):
            logging.getLogger(name).addHandler(self.log)
        self._thread.start()
        assert self.server.up.wait(DEADLINE_SECONDS), "the server has not started"
        if self.failure is not None:
            raise self.failure

    def _end(self) -> None:
        try:
            for client in self.clients:
                client.close()
            self.stop()
            self.join()
        finally:
            for name in ("picocorn", "asyncio"):
                logging.getLogger(name).removeHandler(self.log)

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure
        assert not self.state.connections, f"connections left: {self.state.connections}"
        assert not self.state.tasks, f"tasks left: {self.state.tasks}"
        cancelled = [text for text in self.messages() if "timeout graceful shutdown exceeded" in text]
        assert not cancelled, cancelled
        errors = self.messages(logging.ERROR)[self._errors_read :]
        assert not errors, "errors in the log that nobody looked at:\n" + "\n".join(errors)


def _text(record: logging.LogRecord) -> str:
    text = record.getMessage()
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text


def _descriptors() -> dict[int, str]:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return {}
    open_ones = {}
    for entry in folder.iterdir():
        with contextlib.suppress(OSError):
            open_ones[int(entry.name)] = str(entry.readlink())
    # The listing's own descriptor is among them, and gone by now.
    return {number: target for number, target in open_ones.items() if target != f"/proc/{os.getpid()}/fd"}


@functools.lru_cache
def _open_what_stays_open(loop_factory: Callable[[], asyncio.AbstractEventLoop] | None) -> None:
    # libuv keeps a pipe for signals from its first loop on.
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.get_loop()


@contextlib.contextmanager
def running(app: Any, *, check: bool = True, **config: Any) -> Iterator[RunningServer]:
    """Run `app` (application or import string) in a thread until the block ends; `config` are picocorn.Config's options.

    `check=False` for a test that leaves things behind on purpose. After the block the server has ended, and its log can
    still be read.
    """
    options: dict[str, Any] = {"port": 0, "log_config": None, "lifespan": "off", "timeout_graceful_shutdown": 5, **config}
    settings = picocorn.Config(app, **options)
    _open_what_stays_open(settings.get_loop_factory())
    gc.collect()
    before = _descriptors()
    server = RunningServer(settings)
    try:
        server._start()
        yield server
    except BaseException:
        # The block's own failure says more than what it left behind.
        server._end()
        raise
    server._end()
    if check:
        server._check()
        gc.collect()
        after = _descriptors()
        left = {number: target for number, target in after.items() if before.get(number) != target}
        assert len(after) <= len(before), f"descriptors left open: {left}"


class SpawnedServer:
    """What `spawned` gives: a server in a process of its own."""

    def __init__(self, command: list[str], cwd: Path | None, env: dict[str, str], pass_fds: tuple[int, ...] = ()) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self.clients: list[Client] = []
        self._lines: list[str] = []
        self._stdout: list[str] = []
        self._news = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, keep), daemon=True)
            for stream, keep in ((self.process.stdout, self._stdout), (self.process.stderr, None))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: Any, keep: list[str] | None) -> None:
        for line in stream:
            with self._news:
                self._lines.append(line)
                if keep is not None:
                    keep.append(line)
                self._news.notify_all()
        stream.close()
        with self._news:
            self._news.notify_all()

    @property
    def output(self) -> str:
        """Both streams so far, as they came."""
        with self._news:
            return "".join(self._lines)

    @property
    def stdout(self) -> str:
        """Standard output so far."""
        with self._news:
            return "".join(self._stdout)

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until `pattern` (re) is in the output `count` times; return the last of these matches."""

        def found() -> re.Match[str] | None:
            matches = list(re.finditer(pattern, "".join(self._lines)))
            return matches[count - 1] if len(matches) >= count else None

        def ended() -> bool:
            return not any(reader.is_alive() for reader in self._readers)

        deadline = time.monotonic() + DEADLINE_SECONDS
        with self._news:
            while (match := found()) is None:
                left = deadline - time.monotonic()
                if left <= 0 or ended():
                    raise AssertionError(f"no {pattern!r} in the output:\n{''.join(self._lines)}")
                self._news.wait(min(left, 0.1))
            return match

    @property
    def port(self) -> int:
        """The port of the line that says where it listens; waits for that line."""
        return int(self.wait_for(r"running on \S*?://\S+?:(\d+)")[1])

    def connect(self, **options: Any) -> Client:
        """As RunningServer.connect."""
        client = Client(("127.0.0.1", self.port), **options)
        self.clients.append(client)
        return client

    def send_signal(self, number: int) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def join(self) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(DEADLINE_SECONDS)
        for reader in self._readers:
            reader.join(DEADLINE_SECONDS)
        return code

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal, wait for the end, return the exit code."""
        if self.process.poll() is None:
            self.send_signal(number)
        return self.join()


@contextlib.contextmanager
def spawned(
    app: str,
    *options: str,
    cwd: Path | None = None,
    env: dict[str, str] | None = None,
    python: tuple[str, ...] = (),
    run: tuple[str, ...] = ("-m", "picocorn"),
    anywhere: bool = True,
    pass_fds: tuple[int, ...] = (),
) -> Iterator[SpawnedServer]:
    """Run `python -m picocorn app --port 0 options...` as a process, killed at the end of the block if it still runs.

    `env` is added to the environment; a value of "" removes. `python` are options of the interpreter, `run` is what it runs.
    `anywhere` adds the port unless the options say where to listen. `pass_fds` are inherited, under their numbers.
    """
    environment = {name: value for name, value in {**os.environ, **(env or {})}.items() if value != ""}
    source = str(Path(picocorn.__file__).parent.parent)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (source, environment.get("PYTHONPATH"))))
    said = not anywhere or any(option.startswith(("--port", "--uds", "--fd", "--bind")) for option in options)
    where = () if said else ("--port", "0")
    server = SpawnedServer([sys.executable, *python, *run, app, *where, *options], cwd, environment, pass_fds)
    try:
        yield server
    finally:
        for client in server.clients:
            client.close()
        if server.process.poll() is None:
            server.process.kill()
        server.join()
