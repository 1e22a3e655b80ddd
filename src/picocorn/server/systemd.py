"""What the service manager hands over and wants to hear: sockets (sd_listen_fds(3)), states and signs of life (sd_notify(3)).

Only environment variables, descriptors and one datagram socket: nothing of systemd is needed, and any manager that speaks the
same protocols serves. Knows no configuration and no server.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Mapping

__all__ = ["NOTIFY_VARIABLES", "Notifier", "has_sockets", "passed_sockets", "take_over"]

logger = logging.getLogger("picocorn.error")

#: sd_listen_fds(3): SD_LISTEN_FDS_START.
FIRST_DESCRIPTOR = 3
_LISTEN_VARIABLES = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID")
NOTIFY_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")

#: For the manager to take a message: it is busy at times, and a lost READY=1 would be a failed start.
SEND_SECONDS = 2.0

#: (descriptor, name) of what was passed to this process, once `take_over` has looked.
_taken: list[tuple[int, str]] = []
#: LISTEN_PID, as that found it: "" if it was not set
_meant_for = ""


def _passed(environment: Mapping[str, str]) -> list[tuple[int, str]]:
    """(descriptor, name) of what `environment` says was passed to this very process."""
    if environment.get("LISTEN_PID", "") != str(os.getpid()):
        # Not for us: whoever it was for has left its variables lying about.
        return []
    count = environment.get("LISTEN_FDS", "")
    if not count.isdecimal():
        return []
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    names += ["unknown"] * int(count)
    return [(FIRST_DESCRIPTOR + place, names[place]) for place in range(int(count))]


def take_over() -> None:
    """Take note of the descriptors, and see to it that no other process does: variables gone, descriptors not inherited."""
    global _meant_for
    passed = _passed(os.environ)
    _meant_for = os.environ.get("LISTEN_PID", "") or _meant_for
    for name in _LISTEN_VARIABLES:
        os.environ.pop(name, None)
    for descriptor, _name in passed:
        # One that is not open is told of when it is to be used.
        with contextlib.suppress(OSError):
            os.set_inheritable(descriptor, False)
    _taken.extend(passed)


def has_sockets() -> bool:
    """Whether descriptors were passed to this process."""
    return bool(_taken or _passed(os.environ))


def passed_sockets(name: str = "") -> list[int]:
    """The descriptors passed to this process, only those called `name` unless that is "". Raises OSError if there are none."""
    take_over()
    if not _taken:
        meant = f"LISTEN_PID means process {_meant_for}, this is {os.getpid()}" if _meant_for else "LISTEN_FDS is not set"
        raise OSError(f"no sockets were passed by systemd: {meant}")
    found = [descriptor for descriptor, called in _taken if not name or called == name]
    if not found:
        names = ", ".join(dict.fromkeys(called for _descriptor, called in _taken))
        raise OSError(f"systemd has passed no socket called {name!r}, but: {names}")
    return found


class Notifier:
    """Tells the service manager how this process is. Without one, nothing happens.

    `variables` are those of NOTIFY_VARIABLES that are set. `watchdog_seconds`: how often it wants a sign of life; 0 for never.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self.address = variables.get("NOTIFY_SOCKET", "")
        #: the last message did not get through, which has been told
        self._is_cut_off = False
        self._watchdog_usec = variables.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = 0.0
        meant_for = variables.get("WATCHDOG_PID", "") or str(os.getpid())
        if self._watchdog_usec.isdecimal() and meant_for == str(os.getpid()):
            self.watchdog_seconds = int(self._watchdog_usec) / 1_000_000
        if self.address and self.address[0] not in "/@":
            logger.warning("Cannot notify the service manager at NOTIFY_SOCKET=%s: it is no Unix socket.", self.address)
            self.address = ""

    def for_successor(self) -> dict[str, str]:
        """The variables for a process that is to take our place with the manager."""
        # Without WATCHDOG_PID, which is ours: whoever is the main process is meant.
        variables = {"NOTIFY_SOCKET": self.address, "WATCHDOG_USEC": self._watchdog_usec}
        return {name: value for name, value in variables.items() if value}

    def ready(self, status: str) -> None:
        """The server serves, or does so again after a reload."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` ends it."""
        # In one clock with the manager's, which takes an earlier message for that of another reload.
        clock = getattr(time, "CLOCK_MONOTONIC", None)
        stamp = [] if clock is None else [f"MONOTONIC_USEC={time.clock_gettime_ns(clock) // 1000}"]
        self._send("RELOADING=1", *stamp, "STATUS=Reloading")

    def stopping(self, status: str) -> None:
        """The server ends."""
        self._send("STOPPING=1", f"STATUS={status}")

    def status(self, status: str) -> None:
        """One line for people."""
        self._send(f"STATUS={status}")

    def alive(self) -> None:
        """A sign of life for the watchdog."""
        self._send("WATCHDOG=1", wait=False)

    def hand_over(self, process_id: int) -> None:
        """Another process is the service from now on: nothing more is heard from this one."""
        # With a sign of life: half the time may be over for ours, and the other's next one comes after as much again.
        alive = ["WATCHDOG=1"] if self.watchdog_seconds else []
        self._send(f"MAINPID={process_id}", *alive)
        self.address = ""
        self.watchdog_seconds = 0.0

    def _send(self, *lines: str, wait: bool = True) -> None:
        if not self.address:
            return
        # Anew each time: messages are rare, and the manager may have been restarted.
        address = "\0" + self.address[1:] if self.address[0] == "@" else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.settimeout(SEND_SECONDS if wait else 0)
                sock.sendto("\n".join(lines).encode(), address)
            self._is_cut_off = False
        except OSError as error:
            if not self._is_cut_off:
                logger.warning("Cannot notify the service manager: %s", error)
            self._is_cut_off = True
