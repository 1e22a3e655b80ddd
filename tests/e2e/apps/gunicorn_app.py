"""What `told_app` tells, under gunicorn's worker classes; /stuck never gives the event loop back."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from told_app import app as told

from picocorn.workers import PicocornWorker


class Misconfigured(PicocornWorker):  # type: ignore[misc]
    CONFIG_KWARGS: ClassVar[dict[str, Any]] = {"limit_request_fields": 0}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") == "/stuck":
        while True:
            time.sleep(0.01)  # noqa: ASYNC251
    await told(scope, receive, send)
