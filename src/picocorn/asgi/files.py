"""The two file extensions of ASGI: `http.response.pathsend` and `http.response.zerocopysend`.

Knows the cycle only by its `write_body`. What the kernel has in memory is read on the spot; everything else in a thread, because
a disk or a network file system may stall.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Awaitable
from typing import Any, Protocol

from ..base.errors import LocalProtocolError
from .files_cached import open_cached, read_cached

__all__ = ["FILE_CHUNK_BYTES", "send_opened_file", "send_path"]

# O_NONBLOCK: opening a named pipe would hold the thread until somebody writes to it. Regular files do not care.
OPEN_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)

#: One read and one write; large enough that the hop to the thread does not dominate.
FILE_CHUNK_BYTES = 262144


class BodyWriter(Protocol):
    """The part of the request cycle that files need."""

    @property
    def is_head(self) -> bool: ...

    def write_body(self, body: bytes, more_body: bool) -> Awaitable[None]: ...


async def send_path(cycle: BodyWriter, message: dict[str, Any]) -> None:
    """`http.response.pathsend`: send the whole file at the absolute `path` (str) and end the response.

    Raises LocalProtocolError for a path that is not absolute, OSError when the file cannot be opened or is no regular one:
    the head is still held then, so the application can answer something else.
    """
    path = message.get("path")
    if not isinstance(path, str) or not os.path.isabs(path):
        raise LocalProtocolError(f"'http.response.pathsend' needs an absolute 'path', not {path!r}.")
    descriptor = open_cached(path, OPEN_FLAGS)
    if descriptor < 0:
        descriptor = await _open_in_thread(path)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            number = errno.EISDIR if stat.S_ISDIR(status.st_mode) else errno.EINVAL
            raise OSError(number, os.strerror(number) + ", not a regular file", path)
        await _send_window(cycle, descriptor, 0, status.st_size, more_body=False)
    finally:
        os.close(descriptor)


async def _open_in_thread(path: str) -> int:
    opening = asyncio.get_running_loop().run_in_executor(None, os.open, path, OPEN_FLAGS)
    try:
        return await asyncio.shield(opening)
    except BaseException:  # a cancellation, or the end of a coroutine that nobody steps any more
        # The thread cannot be called back: what it opens is closed when it comes.
        opening.add_done_callback(_close_opened)
        raise


def _close_opened(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


async def send_opened_file(cycle: BodyWriter, message: dict[str, Any]) -> None:
    """`http.response.zerocopysend`: send `count` bytes (to the end when None) from `offset` of the open `file`.

    Without `offset` the file's position is where it starts, and the position moves on as it does with `os.sendfile`. The file is
    the application's: never closed here. Raises LocalProtocolError for an object that is no file.
    """
    file = message.get("file")
    try:
        descriptor: int = file.fileno()  # type: ignore[union-attr]  # duck-typed on purpose: whatever has a descriptor
    except (AttributeError, OSError) as error:
        raise LocalProtocolError("'http.response.zerocopysend' needs an open file in 'file'.") from error
    offset = message.get("offset")
    count = message.get("count")
    start = file.tell() if offset is None else offset  # type: ignore[union-attr]
    rest = max(os.fstat(descriptor).st_size - start, 0)
    size_bytes = rest if count is None else min(count, rest)
    await _send_window(cycle, descriptor, start, size_bytes, more_body=bool(message.get("more_body", False)))
    if offset is None:
        file.seek(start + size_bytes)  # type: ignore[union-attr]


async def _send_window(cycle: BodyWriter, descriptor: int, start: int, size_bytes: int, *, more_body: bool) -> None:
    if cycle.is_head:
        size_bytes = 0
    end = start + size_bytes
    while start < end:
        wanted = min(FILE_CHUNK_BYTES, end - start)
        data = read_cached(descriptor, wanted, start)
        if data is None:
            data = await asyncio.get_running_loop().run_in_executor(None, os.pread, descriptor, wanted, start)
        if not data:
            # The file has shrunk. What is missing shows as a length error, or the response simply ends here.
            break
        start += len(data)
        last = start >= end
        await cycle.write_body(data, more_body or not last)
        if last:
            return
        # A client that takes all at once, of a file that is all in memory, would not let go of the loop.
        await asyncio.sleep(0)
    await cycle.write_body(b"", more_body)
