"""What attackers do, one function each, and the bound on memory that a server must keep meanwhile. Knows no server.

The large forms are marked `abuse`: `make abuse` runs them, with their own sizes.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.serving import MIB, Served
from harness import DEADLINE_SECONDS, Client

__all__ = ["Dribble", "answered_at_once", "connections", "large", "memory_bound", "read_to_the_cut", "send_all_it_takes"]

#: A peer that takes nothing for this long is taken for one that takes no more.
STALLED_SECONDS = 0.5


def large(value: Any) -> Any:
    """A parameter for `make abuse` only; a tuple is several."""
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.abuse)


@contextlib.contextmanager
def memory_bound(server: Served, mib: float) -> Iterator[None]:
    """The block must not raise the peak of the server's resident memory by more than `mib` MiB."""
    # 5: forget the peak so far (proc(5), clear_refs).
    Path(f"/proc/{server.pid}/clear_refs").write_text("5", encoding="ascii")
    before = server.resident_bytes()
    yield
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="ascii")
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    assert peak - before < mib * MIB, f"{(peak - before) / MIB:.1f} MiB more, {mib} allowed"


def answered_at_once(server: Served, ask: Callable[[], None]) -> None:
    """The quickest of three calls of `ask`, which asks `server` and waits for the answer, takes less than a second.

    What either of them waited for a core is not the server's doing, and is taken off.
    """
    took = []
    for _ in range(3):
        began, waited = time.monotonic(), _waited_seconds(server)
        ask()
        took.append(time.monotonic() - began - (_waited_seconds(server) - waited))
    assert min(took) < 1, took


def _waited_seconds(server: Served) -> float:
    """How long this process and the server's were ready to run and did not (proc(5), the second number of schedstat)."""
    tasks = [task for pid in (os.getpid(), server.pid) for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[1]) for task in tasks) / 1e9


def send_all_it_takes(client: Client, pieces: Iterable[bytes], limit_bytes: int) -> tuple[int, bool]:
    """Send until the server answers, cuts, takes no more, or `limit_bytes` are out.

    Returns how many bytes it took, and whether it has answered or cut.
    """
    sent = 0
    sock = client.sock
    sock.setblocking(False)
    try:
        for piece in pieces:
            view = memoryview(piece)
            while view:
                readable, writable, _ = select.select([sock], [sock], [], STALLED_SECONDS)
                if readable:
                    return sent, True
                if not writable:
                    return sent, False
                try:
                    count = sock.send(view)
                except BlockingIOError:
                    continue
                except (ConnectionResetError, BrokenPipeError):
                    return sent, True
                sent += count
                view = view[count:]
            if sent >= limit_bytes:
                break
    finally:
        sock.settimeout(DEADLINE_SECONDS)
    return sent, bool(select.select([sock], [], [], 0)[0])


def read_to_the_cut(client: Client) -> bytes:
    """What the server has sent before it ended the connection, in whichever way it did."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := client.sock.recv(65536):
            received += piece
    return received


class Dribble:
    """One byte at a time on many connections, again and again, from a thread, until the server has ended each of them.

    `wait()` returns what each connection was told.
    """

    def __init__(self, socks: list[socket.socket], begin: bytes, again: bytes, pause_seconds: float = 0.05) -> None:
        self._begin = begin
        self._again = again
        self._pause_seconds = pause_seconds
        self._open = dict.fromkeys(socks, 0)
        self._answers: dict[socket.socket, bytes] = dict.fromkeys(socks, b"")
        self._stop = threading.Event()
        for sock in socks:
            sock.setblocking(False)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self._open and not self._stop.is_set():
            readable, _, _ = select.select(list(self._open), [], [], self._pause_seconds)
            for sock in readable:
                self._read(sock)
            for sock in list(self._open):
                self._send_byte(sock)

    def _read(self, sock: socket.socket) -> None:
        try:
            piece = sock.recv(65536)
        except OSError:
            piece = b""
        self._answers[sock] += piece
        if not piece:
            del self._open[sock]

    def _send_byte(self, sock: socket.socket) -> None:
        number = self._open[sock]
        size = len(self._begin)
        byte = self._begin[number : number + 1] or self._again[(number - size) % len(self._again) :][:1]
        with contextlib.suppress(OSError):
            sock.send(byte)
            self._open[sock] = number + 1

    def wait(self) -> list[bytes]:
        """Wait until the server has ended all connections."""
        self._thread.join(DEADLINE_SECONDS * 2)
        alive, self._stop = self._thread.is_alive(), self._stop
        self._stop.set()
        assert not alive, f"{len(self._open)} connections are still open"
        return list(self._answers.values())

    def stop(self) -> None:
        """Give up dribbling; the connections stay open."""
        self._stop.set()
        self._thread.join(DEADLINE_SECONDS)


@contextlib.contextmanager
def connections(server: Served, count: int, send: bytes = b"", receive_buffer_bytes: int = 0) -> Iterator[list[socket.socket]]:
    """So many connections, each having sent `send`; closed at the end, those that are still open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count + 200 > soft:
        if count + 200 > hard:
            pytest.skip(f"{count} connections need a higher limit on open files than {hard}")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
    socks: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = socket.socket()
            socks.append(sock)
            if receive_buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            sock.settimeout(DEADLINE_SECONDS)
            sock.connect(server.address)
            if send:
                sock.sendall(send)
        yield socks
    finally:
        for sock in socks:
            sock.close()


def reset(sock: socket.socket) -> None:
    """Close with a TCP RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_readable(socks: list[socket.socket]) -> None:
    """Until each of them has something to read, be it the end."""
    waiting = set(socks)
    deadline = time.monotonic() + DEADLINE_SECONDS
    poll = select.epoll()
    try:
        by_number = {sock.fileno(): sock for sock in socks}
        for number in by_number:
            poll.register(number, select.EPOLLIN)
        while waiting:
            for number, _ in poll.poll(max(0, deadline - time.monotonic())):
                waiting.discard(by_number[number])
                poll.unregister(number)
            assert time.monotonic() < deadline, f"{len(waiting)} have heard nothing"
    finally:
        poll.close()
