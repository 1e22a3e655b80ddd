"""Our own options about worker processes and the files that tell of them. Nothing else.

See options.py.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .options_declaring import about

if TYPE_CHECKING:
    import os

__all__ = ["ProcessOptions"]


@dataclasses.dataclass(eq=False, repr=False, kw_only=True)
class ProcessOptions:
    """What uvicorn's supervisor does not have."""

    socket_balance: str = dataclasses.field(
        default="shared",
        metadata=about(
            choices=("shared", "reuseport"),
            group="Processes",
            help="How connections get to workers: all accept on shared sockets, or the kernel spreads them over one socket each.",
        ),
    )
    limit_worker_lifetime: float | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Processes",
            help="Time after which a worker is replaced, plus up to a tenth. 0 means no limit.",
        ),
    )
    limit_worker_rss: int | str | None = dataclasses.field(
        default=None,
        metadata=about(
            kind="size", minimum=0, group="Processes", help="Resident memory beyond which a worker is replaced. 0 means no limit."
        ),
    )
    timeout_worker_hung: float = dataclasses.field(
        default=0,
        metadata=about(
            kind="seconds",
            minimum=0,
            group="Processes",
            help="Without a sign of life from a worker's event loop; then the worker is killed and replaced. 0 means never.",
        ),
    )
    pidfile: str | os.PathLike[str] | None = dataclasses.field(
        default=None,
        metadata=about(
            metavar="FILE", path=True, group="Processes", help="File to write the process id into, once the server listens."
        ),
    )
