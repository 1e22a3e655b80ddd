"""Our own options about requests: limits, timeouts, and what the server says by itself. Nothing else.

See options.py.
"""

from __future__ import annotations

import dataclasses

from ..base.limits import HTTP1Limits
from .options_declaring import about

__all__ = ["RequestOptions"]

_LIMITS = HTTP1Limits()


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class RequestOptions:
    """Limits and timeouts that uvicorn does not have, and the health check."""

    limit_request_line: int | str = dataclasses.field(
        default=_LIMITS.request_line_bytes,
        metadata=about(kind="size", minimum=1, group="Limits", help="Request line; more is answered 414."),
    )
    limit_request_fields: int = dataclasses.field(
        default=_LIMITS.request_fields,
        metadata=about(kind="integer", minimum=1, group="Limits", help="Number of header fields; more are answered 431."),
    )
    limit_request_head: int | str = dataclasses.field(
        default=_LIMITS.request_head_bytes,
        metadata=about(
            kind="size", minimum=1, group="Limits", help="Request line and header fields together; more is answered 431."
        ),
    )
    limit_request_body: int | str = dataclasses.field(
        default=_LIMITS.request_body_bytes,
        metadata=about(kind="size", minimum=0, group="Limits", help="Request body; more is answered 413. 0 means no limit."),
    )
    timeout_request_header: float = dataclasses.field(
        default=10,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="For the head of a request to arrive, also on a new connection. 0 means for ever.",
        ),
    )
    timeout_request_body: float = dataclasses.field(
        default=60,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="Without a byte of a request body that the application waits for. 0 means for ever.",
        ),
    )
    drain_delay: float = dataclasses.field(
        default=0,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Timeouts",
            help="To serve on after a SIGTERM, so that load balancers see the health check fail and send requests elsewhere.",
        ),
    )
    health_check_path: str | None = dataclasses.field(
        default=None,
        metadata=about(
            metavar="PATH",
            group="Server",
            help="Path that the server answers by itself: 200, and 503 once it was told to end. Not in the access log.",
        ),
    )
