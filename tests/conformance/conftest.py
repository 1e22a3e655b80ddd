"""What the conformance tests share: a real server for an application, with the body whose turn it is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from harness import RunningServer, running


@pytest.fixture
def serve(twin: str) -> Callable[..., AbstractContextManager[RunningServer]]:
    """`with serve(app, **config) as server`: see `harness.running`."""
    return lambda app, **config: running(app, **{"http": twin, **config})
