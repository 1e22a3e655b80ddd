"""Our own options about what stands in front of the server. Nothing else.

See options.py.
"""

from __future__ import annotations

import dataclasses

from .options_declaring import about

__all__ = ["ProxyOptions"]


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class ProxyOptions:
    """The PROXY protocol."""

    proxy_protocol: bool = dataclasses.field(
        default=False,
        metadata=about(
            kind="flag",
            group="Proxies",
            help="Connections of trusted proxies begin with a PROXY protocol header (version 1 or 2) that names the client.",
        ),
    )
    proxy_protocol_allow_ips: list[str] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            joined_by=",",
            shown_default="$FORWARDED_ALLOW_IPS, or 127.0.0.1,::1",
            group="Proxies",
            help="Whose connections these are: addresses and networks with commas between them, unix: for the peers of Unix "
            "sockets; * for everybody's.",
        ),
    )
