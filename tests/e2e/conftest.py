"""Fixtures of the end-to-end tests: the body under test, and clients with the deadline of the house."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from e2e.serving import BODIES, Served
from harness import DEADLINE_SECONDS


@pytest.fixture(scope="module", params=BODIES)
def body(request: pytest.FixtureRequest) -> str:
    """The body that serves: "native" or "pure"."""
    return str(request.param)


@pytest.fixture
def client(server: Served) -> Iterator[httpx.Client]:
    """A sync keep-alive client of the module's `server`."""
    with httpx.Client(base_url=server.url, timeout=DEADLINE_SECONDS, trust_env=False) as client:
        yield client


@pytest.fixture
def async_client(server: Served) -> Callable[[], Any]:
    """Makes async clients of the module's `server`, to be opened inside a loop."""
    return lambda: httpx.AsyncClient(base_url=server.url, timeout=DEADLINE_SECONDS, trust_env=False)


@pytest.fixture
def nothing_left(server: Served) -> Iterator[None]:
    """Fails the test after which connections, tasks or descriptors stay."""
    yield
    server.settle()
