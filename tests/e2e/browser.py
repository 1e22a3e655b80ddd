"""A headless Chromium, driven over the DevTools protocol. Knows no server.

with chromium(tmp_path) as browser:
    page = browser.open("http://127.0.0.1:8000/")
    assert page.evaluate("document.title") == "..."
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from e2e.serving import until_true
from harness import DEADLINE_SECONDS

__all__ = ["Browser", "Page", "chromium", "find_chromium"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: The first start of a browser on a busy machine.
START_SECONDS = 60.0
OPTIONS = (
    "--headless",
    "--remote-debugging-port=0",
    # In containers: tests run as root there, and /dev/shm is small.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    # It asks nobody but the servers under test.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
)


def find_chromium() -> str | None:
    """The path of a Chromium, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise. An exception there is an AssertionError here."""
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        answer = self._browser.call("Runtime.evaluate", parameters, self._session)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")


class Browser:
    """A running Chromium."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self._events: list[dict[str, Any]] = []

    def call(self, method: str, parameters: dict[str, Any] | None = None, session: str = "") -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        number = next(self._numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters or {}}
        if session:
            message["sessionId"] = session
        self._connection.send(json.dumps(message))
        while (answer := self._next()).get("id") != number:
            self._events.append(answer)
        assert "error" not in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def _next(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(self._connection.recv(START_SECONDS))
        return message

    def open(self, url: str) -> Page:
        """A new tab with that page, loaded."""
        target = self.call("Target.createTarget", {"url": "about:blank"})["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        self.call("Page.enable", session=session)
        answer = self.call("Page.navigate", {"url": url}, session)
        assert "errorText" not in answer, answer
        while not any(
            event.get("method") == "Page.loadEventFired" and event.get("sessionId") == session for event in self._events
        ):
            self._events.append(self._next())
        self._events.clear()
        return Page(self, session)


@contextlib.contextmanager
def chromium(folder: Path, *options: str) -> Iterator[Browser]:
    """A headless Chromium whose profile lives in `folder`; ended with the block."""
    path = find_chromium()
    assert path is not None, "no Chromium"
    # Chromium writes it once it listens: port and path.
    told = folder / "profile" / "DevToolsActivePort"
    with (folder / "log").open("wb") as log:
        command = [path, *OPTIONS, *options, f"--user-data-dir={folder / 'profile'}", "about:blank"]
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, "HOME": str(folder)})
    try:
        until_true(
            lambda: process.poll() is not None or (told.exists() and told.read_text().count("\n")), "started", START_SECONDS
        )
        assert process.poll() is None, (folder / "log").read_text(errors="replace")[-4000:]
        port, target = told.read_text().split("\n")[:2]
        with connect(f"ws://127.0.0.1:{port}{target}", proxy=None, max_size=None, ping_interval=None) as connection:
            browser = Browser(connection)
            yield browser
            browser.call("Browser.close")
        process.wait(DEADLINE_SECONDS)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(DEADLINE_SECONDS)
