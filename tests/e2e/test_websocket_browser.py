"""A real browser opens pages served by picocorn, which talk to it over WebSockets. Skipped where there is no Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.browser import Browser, chromium, find_chromium
from e2e.serving import Served, serving
from harness import spawned

pytestmark = pytest.mark.skipif(find_chromium() is None, reason="no Chromium found (Debian: apt-get install chromium)")

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture(scope="module")
def server(body: str) -> Iterator[Served]:
    # An idle browser keeps connections open, and connects ahead: the server must end them soon.
    with serving("websocket_app", "--timeout-keep-alive", "1", "--timeout-request-header", "1", body=body) as server:
        yield server


def test_page_that_talks_over_websockets(server: Served, browser: Browser) -> None:
    page = browser.open(f"{server.url}/pages/websocket_page.html")
    page.evaluate("finished")
    assert page.evaluate("document.title") == "finished"
    result = dict(line.split(": ", 1) for line in page.evaluate("document.getElementById('result').innerText").splitlines())
    assert set(result.values()) == {"ok"}, result
    assert {"text", "binary", "refused", "together"} <= set(result)


def test_page_that_leaves(server: Served, browser: Browser) -> None:
    """A browser that closes or reloads a page says 1001."""
    page = browser.open(f"{server.url}/")
    page.evaluate(
        "new Promise(resolve => { const socket = new WebSocket('ws://' + location.host + '/listen'); socket.onopen = resolve })"
    )
    page.evaluate("location.reload()")
    server.server.wait_for("end: /listen 1001 ''")


def test_example_of_a_chat(body: str, browser: Browser) -> None:
    env = {"PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else ""}
    options = ("--app-dir", str(EXAMPLES), "--timeout-graceful-shutdown", "5")
    with spawned("chat:app", *options, env=env) as server:
        url = f"http://127.0.0.1:{server.port}/"
        pages = [browser.open(url) for _ in range(3)]
        for page, name in zip(pages, ("Ann", "Bob", "<b>Eve</b>"), strict=True):
            page.evaluate(f"by('join').name.value = {name!r}; by('join').requestSubmit()")
            page.evaluate(until("by('state').textContent === 'Connected.' && by('log').lastChild"))
        pages[1].evaluate("by('say').text.value = 'hello, all'; by('say').requestSubmit()")
        for page in pages:
            page.evaluate(until("by('log').lastChild.textContent === 'Bob: hello, all'"))
        # Names are shown, not interpreted.
        assert pages[0].evaluate("by('log').innerText").splitlines() == [
            "Ann is here.",
            "Bob is here.",
            "<b>Eve</b> is here.",
            "Bob: hello, all",
        ]
        pages[2].evaluate("socket.close()")
        pages[0].evaluate(until("by('log').lastChild.textContent === '<b>Eve</b> has left.'"))
        assert server.stop() == -15
        pages[0].evaluate(until("by('state').textContent.startsWith('Not connected (1012')"))
        assert not re.search("Traceback", server.output), server.output


def until(condition: str) -> str:
    """A promise that resolves when the condition holds, which is looked at after every change of the page."""
    return (
        f"new Promise(resolve => {{ const look = () => ({condition}) && resolve(true); look(); "
        "const all = {subtree: true, childList: true, characterData: true, attributes: true}; "
        "new MutationObserver(look).observe(document, all) })"
    )
