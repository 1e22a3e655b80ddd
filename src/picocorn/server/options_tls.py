"""Our own options about TLS. Nothing else.

See options.py.
"""

from __future__ import annotations

import dataclasses

from .options_declaring import about

__all__ = ["TLSOptions"]


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class TLSOptions:
    """Times, and what becomes of plain HTTP."""

    ssl_handshake_timeout: float = dataclasses.field(
        default=10,
        metadata=about(
            kind="seconds", minimum=0, group="TLS", help="From the connection to the end of its handshake. 0 means for ever."
        ),
    )
    ssl_shutdown_timeout: float = dataclasses.field(
        default=30,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="TLS",
            help="For a client to take anything of what is left to send on a connection that closes. 0 means for ever.",
        ),
    )
    redirect_http: int | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="integer",
            minimum=1,
            maximum=65535,
            metavar="PORT",
            group="TLS",
            help="Listen on this port as well, for plain HTTP, and answer everything with a redirect to https.",
        ),
    )
    hsts: int | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="integer",
            minimum=0,
            metavar="SECONDS",
            group="TLS",
            help="Send Strict-Transport-Security with this max-age: browsers come by https alone.",
        ),
    )
