"""Opening and reading files only as far as that needs no disk and no network: for the event loop's own thread.

Knows descriptors and the kernel's "do not wait"; knows nothing of ASGI. Where a kernel or a file system cannot promise it, the
answer is "not known", and the caller goes the long way.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["open_cached", "read_cached"]

# Linux alone has the flag; Any because the type checker looks with the eyes of the platform it runs on.
_os: Any = os
_DO_NOT_WAIT: int | None = getattr(os, "RWF_NOWAIT", None)


def open_cached(path: str, flags: int) -> int:
    """Open `path` (absolute) with `flags` if the kernel has all of its directories at hand: a descriptor.

    -1 whenever it was not opened, for whatever reason: the ordinary open tells.
    """
    # openat2(2) can, and Python does not have it.
    return -1


def read_cached(descriptor: int, size_bytes: int, offset: int) -> bytes | None:
    """Read up to `size_bytes` at `offset` from memory: bytes, fewer when the rest is not there, b"" at the file's end.

    None whenever nothing was read, for whatever reason: the ordinary read waits or tells.
    """
    if _DO_NOT_WAIT is None or offset < 0:
        return None  # -1 would mean the file's own position
    buffer = bytearray(size_bytes)
    try:
        count = _os.preadv(descriptor, [buffer], offset, _DO_NOT_WAIT)
    except OSError:
        return None
    del buffer[count:]
    return bytes(buffer)
