"""Our own options about HTTP/2. Nothing else.

See options.py. Whether it is spoken at all is an option of uvicorn's.
"""

from __future__ import annotations

import dataclasses

from ..base.limits import HTTP2Limits
from .options_declaring import about

__all__ = ["HTTP2Options"]

_LIMITS = HTTP2Limits()


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class HTTP2Options:
    """What a client is told in SETTINGS, under the names that granian has for it."""

    http2_max_concurrent_streams: int = dataclasses.field(
        default=_LIMITS.max_concurrent_streams,
        metadata=about(
            kind="integer",
            minimum=1,
            maximum=2**31 - 1,
            group="HTTP/2",
            help="Requests of one connection at the same time; more are refused. Those that a client resets count until the "
            "application is done with them.",
        ),
    )
    http2_max_headers_size: int | str = dataclasses.field(
        default=_LIMITS.header_list_bytes,
        metadata=about(
            kind="size",
            minimum=1024,
            maximum=2**31 - 1,
            group="HTTP/2",
            help="Header fields of a request; more are answered 431.",
        ),
    )
    http2_initial_stream_window_size: int | str = dataclasses.field(
        default=_LIMITS.stream_window_bytes,
        metadata=about(
            kind="size",
            minimum=1024,
            maximum=2**31 - 1,
            group="HTTP/2",
            help="Of a request body, held until the application has read it.",
        ),
    )
    http2_initial_connection_window_size: int | str = dataclasses.field(
        default=_LIMITS.connection_window_bytes,
        metadata=about(
            kind="size",
            minimum=65535,
            maximum=2**31 - 1,
            group="HTTP/2",
            help="Of all request bodies of one connection together. It grows while some of them are not read.",
        ),
    )
    http2_lent_window_size: int | str = dataclasses.field(
        default=_LIMITS.lent_window_bytes,
        metadata=about(
            kind="size",
            minimum=0,
            group="HTTP/2",
            help="By so much the windows of all connections of a process together may grow, each by an eighth of it. 0 means that"
            " none grows.",
        ),
    )
