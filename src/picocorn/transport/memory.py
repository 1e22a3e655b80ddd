"""What the C library does with memory that bodies leave behind. Knows nothing of sockets."""

from __future__ import annotations

import functools

__all__ = ["keep_freed_memory"]

#: Blocks smaller than this come from the heap, and twice this much of its free end stays with the process.
KEPT_BLOCK_BYTES = 8 * 1024 * 1024


@functools.cache
def keep_freed_memory() -> None:
    """Let the process keep the memory of a burst for the next one, up to 16 MiB. Once a process; does nothing but in glibc.

    glibc starts out giving the free end of its heap back as soon as that is longer than 128 KiB, and every block as large as
    that at once; the next bodies then fault each page in anew, which costs more than sending them. It learns better when a
    large block is freed for the first time: its size becomes the limit for blocks, and twice its size that for the free end
    (mallopt(3), M_MMAP_THRESHOLD). So one is made, never touched, and freed. Whoever has set a limit by the C library's own
    environment variables has switched the learning off, and keeps the limit.
    """
    bytes(KEPT_BLOCK_BYTES)
