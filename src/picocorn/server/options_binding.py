"""Our own options about where to listen. Nothing else.

See options.py.
"""

from __future__ import annotations

import dataclasses

from .options_declaring import about

__all__ = ["BindingOptions"]


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class BindingOptions:
    """Several addresses, and the files of Unix sockets."""

    bind: list[str] | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="list",
            flag="bind",
            path=True,
            path_prefix="unix:",
            metavar="ADDRESS",
            group="Binding",
            help="Where to listen, instead of the above; may be repeated: host:port, [v6]:port, :port (all interfaces), "
            "unix:path, fd://number, systemd.",
        ),
    )
    uds_permissions: int | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="octal",
            minimum=0,
            maximum=0o777,
            shown_default="0666, or those of the socket that lies there",
            group="Binding",
            help="Permissions of the files of Unix sockets, as 0660.",
        ),
    )
    uds_owner: str | None = dataclasses.field(
        default=None,
        metadata=about(metavar="USER[:GROUP]", group="Binding", help="Owner of the files of Unix sockets, by names or numbers."),
    )
