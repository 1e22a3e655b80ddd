"""Writes the lines of the access log: once per turn of the event loop, and without ever making the loop wait for a reader.

A stream that is the process's own standard output or error is written at its descriptor: pipes, terminals and sockets only as
far as they take it now, in pieces that end with a line and that a pipe takes whole (so lines of several processes do not mix).
What they do not take waits in a backlog of bounded size. Any other stream is a text stream, and gets the lines as text.

Knows log handlers, streams and descriptors; no connection, and nothing of what is in a line.
"""

from __future__ import annotations

import asyncio
import atexit
import codecs
import contextlib
import contextvars
import errno
import io
import logging
import os
import select
import stat
import sys
import time
import weakref
from typing import Any

__all__ = ["BACKLOG_BYTES", "CLOSE_SECONDS", "LineOutput"]

logger = logging.getLogger("picocorn.error")

#: Lines that wait for a slow reader, beyond those of one turn. What comes when it is full is dropped, and counted.
BACKLOG_BYTES = 1024 * 1024
#: How long the end of the server waits for a slow reader.
CLOSE_SECONDS = 1.0
#: Between two tries to get rid of the backlog; every turn with new lines tries as well.
RETRY_SECONDS = 0.02
#: How long it is taken for granted what a descriptor leads to: dup2() can change it under our hands.
LOOK_SECONDS = 1.0
#: What a pipe takes whole or not at all (POSIX write()).
PIECE_BYTES = getattr(select, "PIPE_BUF", 512)

#: Encodings in which ASCII text is its own encoding, and which keep no state from one text to the next.
_PLAIN_CODECS = {"ascii", "utf-8", "iso8859-1", "iso8859-15", "cp1252"}
#: A disk that is full may be emptied: the lines wait for that.
_PASSING = {errno.ENOSPC, errno.EDQUOT} if hasattr(errno, "EDQUOT") else {errno.ENOSPC}
_GONE = getattr(select, "POLLERR", 0) | getattr(select, "POLLHUP", 0) | getattr(select, "POLLNVAL", 0)

LOST = "%d lines of the access log are lost: they could not be written."

_outputs: weakref.WeakSet[LineOutput] = weakref.WeakSet()


class LineOutput:
    """The way out for the lines of one handler. `lines` (list of str, each with its end) are those of this turn."""

    def __init__(self, handler: logging.StreamHandler[Any], loop: asyncio.AbstractEventLoop) -> None:
        self.handler = handler
        self.stream: Any = handler.stream
        self.lines: list[str] = []
        self._loop = loop
        # That of a request has no business here.
        self._context = contextvars.Context()
        self._backlog = bytearray()
        self._dropped = 0
        self._failing = False
        self._retry: asyncio.TimerHandle | None = None
        self._target = _Target(self.stream)
        _outputs.add(self)

    @property
    def is_busy(self) -> bool:
        """Whether anything waits to be written."""
        return bool(self.lines or self._backlog)

    def schedule(self) -> None:
        """Have the lines written with the loop's next callbacks."""
        try:
            self._loop.call_soon(self.flush, context=self._context)
        except RuntimeError:
            # The loop is closed: there will be no next callbacks.
            self.flush()

    def flush(self) -> None:
        """Write the lines now, as far as nobody has to be waited for."""
        lines = self.lines
        count = len(lines)
        if not count:
            return
        taken = lines[:count]
        # In place: whoever fills it holds the list itself.
        del lines[:count]
        if not self._target.is_descriptor(self.stream):
            self._give_up_backlog()
            self._write_text(taken)
            return
        text = "".join(taken)
        data = text.encode("ascii") if text.isascii() else self._encoded(taken)
        if self._backlog and (self._dropped or len(self._backlog) + len(data) > BACKLOG_BYTES):
            self._write_backlog()
        if self._backlog and (self._dropped or len(self._backlog) + len(data) > BACKLOG_BYTES):
            # From the first drop on until the backlog is gone, so that the gap is one, and where the notice says.
            self._dropped += count
            return
        self._backlog += data
        self._write_backlog()

    def close(self) -> None:
        """Write everything, waiting up to CLOSE_SECONDS for a slow reader; what it has not taken then is lost, and counted."""
        self.flush()
        deadline = time.monotonic() + CLOSE_SECONDS
        while self._backlog and time.monotonic() < deadline:
            time.sleep(RETRY_SECONDS / 4)
            self._write_backlog()
        self._stop_retrying()
        self._give_up_backlog()

    def forget(self) -> None:
        """Drop everything, silently: in a forked process it is the parent's to write."""
        self.lines.clear()
        self._backlog.clear()
        self._dropped = 0

    # -- descriptors

    def _encoded(self, lines: list[str]) -> bytes:
        # One by one: what cannot be encoded costs its own line only.
        encoding, errors = self.stream.encoding, self.stream.errors
        encoded = []
        for line in lines:
            try:
                encoded.append(line.encode(encoding, errors))
            except UnicodeError as error:
                self._failed(error)
        return b"".join(encoded)

    def _write_backlog(self) -> None:
        """Write as much as goes. What is left is tried again later."""
        try:
            self._write_pieces()
        except BlockingIOError:
            # Somebody has made the descriptor non-blocking.
            self._try_later()
        except (OSError, ValueError) as error:
            # ValueError: the stream is closed.
            self._failed(error)
            if getattr(error, "errno", None) in _PASSING:
                self._try_later()
            else:
                self._backlog.clear()
                self._dropped = 0
        else:
            if self._backlog:
                self._try_later()
            else:
                self._failing = False
                self._stop_retrying()

    def _write_pieces(self) -> None:
        backlog, target = self._backlog, self._target
        flushed = False
        while backlog or self._dropped:
            if not backlog:
                backlog += b"WARNING:  %d lines of the access log were dropped here: nobody read them.\n" % self._dropped
                self._dropped = 0
            if not target.takes_all and not target.has_room():
                return
            if not flushed:
                # What print() has left in the stream's own buffers was first. That takes room: look again.
                self.stream.flush()
                flushed = True
                continue
            size = len(backlog) if target.takes_all else _piece_size(backlog)
            written = os.write(target.fd, backlog if size == len(backlog) else backlog[:size])
            del backlog[:written]

    def _try_later(self) -> None:
        if self._retry is None and not self._loop.is_closed():
            self._retry = self._loop.call_later(RETRY_SECONDS, self._try_again, context=self._context)

    def _try_again(self) -> None:
        self._retry = None
        if not self._target.is_descriptor(self.stream):
            self._give_up_backlog()
        elif self._backlog:
            self._write_backlog()

    def _give_up_backlog(self) -> None:
        """Nobody will take the lines that still wait: say how many they are."""
        lost = self._backlog.count(b"\n") + self._dropped
        if lost:
            self._backlog.clear()
            self._dropped = 0
            logger.warning(LOST, lost)

    def _stop_retrying(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    # -- other streams

    def _write_text(self, lines: list[str]) -> None:
        try:
            self._put("".join(lines))
        except UnicodeError:
            for line in lines:
                try:
                    self._put(line)
                except Exception as error:
                    self._failed(error)
        except Exception as error:
            self._failed(error)
        else:
            self._failing = False

    def _put(self, text: str) -> None:
        self.handler.acquire()
        try:
            self.stream.write(text)
            self.stream.flush()
        finally:
            self.handler.release()

    def _failed(self, error: Exception) -> None:
        # As logging does, and like it only where that is wanted; but not for every line of a broken stream.
        if not self._failing and logging.raiseExceptions:
            logger.error("The access log cannot be written: %s: %s", type(error).__name__, error)
        self._failing = True


class _Target:
    """What the descriptor of a stream leads to, looked at once a second."""

    def __init__(self, stream: Any) -> None:
        self.fd = -1
        #: a disk, or a device that takes everything: never waited for
        self.takes_all = False
        self._encoding: Any = None
        self._attributes = 0
        self._look_again = 0.0
        self._pipe_bytes = 0
        self._poll: Any = None

    def is_descriptor(self, stream: Any) -> bool:
        """Whether to write to `fd` rather than to `stream`."""
        try:
            if stream.closed:
                # Its number may be somebody else's by now.
                self.fd = -1
            elif (
                time.monotonic() >= self._look_again
                or stream.encoding is not self._encoding
                # Somebody may have given it a `write` of his own.
                or (self.fd >= 0 and len(vars(stream)) != self._attributes)
            ):
                self._look(stream)
        except (OSError, ValueError, AttributeError):
            # Closed, or no file at all: writing to it will say so.
            self.fd = -1
        return self.fd >= 0

    def _look(self, stream: Any) -> None:
        self._look_again = time.monotonic() + LOOK_SECONDS
        self._encoding = getattr(stream, "encoding", None)
        self.fd = -1
        if not _is_standard(stream) or codecs.lookup(stream.encoding).name not in _PLAIN_CODECS:
            return
        fd = stream.fileno()
        status = os.fstat(fd)
        self.takes_all = stat.S_ISREG(status.st_mode) or _is_memory_device(status)
        if not self.takes_all:
            self._pipe_bytes = _pipe_size(fd) if stat.S_ISFIFO(status.st_mode) else 0
            self._poll = select.poll()
            self._poll.register(fd, select.POLLOUT)
        self._attributes = len(vars(stream))
        self.fd = fd

    def has_room(self) -> bool:
        """Whether a piece can be written without waiting, or writing would fail at once."""
        if self._pipe_bytes:
            # POLLOUT promises one piece, and other processes may write to the same pipe between the question and the write.
            # So it has to be three quarters empty. What has been written piece by piece may take twice its size in there.
            import fcntl
            import termios

            unread = int.from_bytes(fcntl.ioctl(self.fd, termios.FIONREAD, b"\0\0\0\0"), sys.byteorder)
            if unread <= (self._pipe_bytes // 4 if self._pipe_bytes > 2 * PIECE_BYTES else 0):
                return True
            return any(events & _GONE for _, events in self._poll.poll(0))
        return bool(self._poll.poll(0))


def _is_standard(stream: Any) -> bool:
    """Whether `stream` is standard output or error as Python has made it: what is written to it comes out unchanged."""
    if os.name != "posix" or type(stream) is not io.TextIOWrapper or not (stream is sys.__stdout__ or stream is sys.__stderr__):
        return False
    if vars(stream).keys() & {"write", "flush", "fileno"}:
        return False
    # Python -u has no buffer in between.
    buffer: Any = stream.buffer
    return type(buffer) is io.FileIO or (type(buffer) is io.BufferedWriter and type(buffer.raw) is io.FileIO)


def _is_memory_device(status: os.stat_result) -> bool:
    """/dev/null and its like."""
    return stat.S_ISCHR(status.st_mode) and sys.platform == "linux" and os.major(status.st_rdev) == 1


def _pipe_size(fd: int) -> int:
    """The capacity of a pipe in bytes, 0 where the system does not tell."""
    import fcntl

    get_pipe_size = getattr(fcntl, "F_GETPIPE_SZ", None)
    return 0 if get_pipe_size is None else fcntl.fcntl(fd, get_pipe_size)


def _piece_size(data: bytearray) -> int:
    """How many bytes to write at once: whole lines, as many as a pipe takes together; a longer line in parts."""
    if len(data) <= PIECE_BYTES:
        return len(data)
    return data.rfind(b"\n", 0, PIECE_BYTES) + 1 or PIECE_BYTES


def _forget_all() -> None:
    for output in list(_outputs):
        output.forget()


def _close_all() -> None:
    for output in list(_outputs):
        with contextlib.suppress(Exception):
            output.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)
atexit.register(_close_all)
