"""What a supervisor and its workers say to each other: lines over a pair of sockets, one pair for each worker.

A line that begins with MARK is a message. Any other line is text for the log, which a worker writes when it can do nothing
else any more (its stack, from a signal handler in C). Knows neither what the messages lead to, nor processes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

__all__ = [
    "BEAT",
    "DRAIN",
    "ENDING_APPLICATION",
    "LEAVING",
    "READY",
    "RECYCLE",
    "REOPEN_LOGS",
    "RETIRE",
    "SupervisorEnd",
    "WorkerEnd",
]

MARK = "\x01"

#: From a worker: it accepts connections.
READY = "ready"
#: From a worker: its event loop goes round.
BEAT = "beat"
#: From a worker: it has reached one of its limits and would like to be replaced; it serves on until then.
RECYCLE = "recycle"
#: From a worker: it is winding up, whoever told it to.
LEAVING = "leaving"
#: From a worker: no request runs any more, its application's shutdown begins.
ENDING_APPLICATION = "ending application"
#: To a worker: the server will end soon; serve on, but let load balancers and clients know.
DRAIN = "drain"
#: To a worker: another one has taken its place; wind up, and let no client feel it.
RETIRE = "retire"
#: To a worker: the log files were moved away.
REOPEN_LOGS = "reopen logs"

_PIECE_BYTES = 65536


class _Lines:
    """Puts lines together from pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode("utf-8", "backslashreplace") for line in lines]


def _send(sock: socket.socket, message: str) -> None:
    # Not worth waiting for: who does not read is stopped or stuck, and a closed end is noticed by whoever reads from it.
    with contextlib.suppress(OSError):
        sock.send(f"{MARK}{message}\n".encode(), getattr(socket, "MSG_DONTWAIT", 0))


class SupervisorEnd:
    """The supervisor's end, never waited for. `is_closed` once the worker's end is."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._lines = _Lines()
        self.is_closed = False

    def fileno(self) -> int:
        """For selectors."""
        return self._sock.fileno()

    def send(self, message: str) -> None:
        """Tell the worker something. One that is gone does not hear it."""
        _send(self._sock, message)

    def receive(self) -> tuple[list[str], list[str]]:
        """What has come in: messages, and lines for the log."""
        messages: list[str] = []
        text: list[str] = []
        while not self.is_closed:
            try:
                data = self._sock.recv(_PIECE_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.is_closed = True
            for line in self._lines.feed(data):
                if line.startswith(MARK):
                    messages.append(line[len(MARK) :])
                else:
                    text.append(line)
        return messages, text

    def close(self) -> None:
        """Close. A worker that still lives takes that for the end of its supervisor."""
        self._sock.close()


class WorkerEnd:
    """The worker's end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(True)
        self._sock = sock

    def fileno(self) -> int:
        """For what writes text to the supervisor's log past us."""
        return self._sock.fileno()

    def send(self, message: str) -> None:
        """Tell the supervisor something, never waiting for it."""
        _send(self._sock, message)

    def listen(self, told: Callable[[str], object], abandoned: Callable[[], object]) -> None:
        """Call `told(message)` for each message, then once `abandoned()` when the supervisor is gone: in a thread.

        A thread and not the event loop, so that a worker whose loop is stuck or does not run yet does not outlive its supervisor.
        """
        threading.Thread(target=self._listen, args=(told, abandoned), name="picocorn supervisor", daemon=True).start()

    def _listen(self, told: Callable[[str], object], abandoned: Callable[[], object]) -> None:
        lines = _Lines()
        while True:
            try:
                data = self._sock.recv(_PIECE_BYTES)
            except OSError:
                data = b""
            if not data:
                abandoned()
                return
            for line in lines.feed(data):
                told(line.removeprefix(MARK))
