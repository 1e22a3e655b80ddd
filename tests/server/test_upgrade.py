"""Sockets that a running server hands over to a new one."""

from __future__ import annotations

import os
import signal
import socket
import sys

import pytest

from picocorn.server.upgrade import VARIABLE, Successor, inherited_sockets


def test_nothing_is_inherited_as_a_rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert inherited_sockets() == []


@pytest.mark.parametrize("value", ["", "nonsense", "1:2", "own:0"])
def test_what_is_not_meant_for_us(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, value.replace("own", str(os.getpid())))
    monkeypatch.setattr(os, "getppid", lambda: 7)
    assert inherited_sockets() == []
    assert VARIABLE not in os.environ


def test_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    addresses = [sock.getsockname() for sock in made]
    one, two, three = (sock.detach() for sock in made)
    monkeypatch.setenv(VARIABLE, f"{os.getppid()}:{one},{two};{three}")
    groups = inherited_sockets()
    assert [[sock.getsockname() for sock in group] for group in groups] == [addresses[:2], addresses[2:]]
    assert not any(sock.get_inheritable() for group in groups for sock in group)
    for group in groups:
        for sock in group:
            sock.close()


def test_the_same_command_gets_the_sockets(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import os, sys; from picocorn.server.upgrade import inherited_sockets;"
        "print([[s.getsockname() for s in group] for group in inherited_sockets()], sys.argv[1], os.environ['EXTRA'])"
    )
    monkeypatch.setattr(sys, "orig_argv", ["whatever", "-c", program, "argument"])
    with socket.create_server(("127.0.0.1", 0)) as sock:
        successor = Successor([[sock], [sock]], {**os.environ, "EXTRA": "extra"})
        os.waitid(os.P_PID, successor.pid, os.WEXITED | os.WNOWAIT)
        name = sock.getsockname()
    assert successor.exit_code == 0
    assert capfd.readouterr().out == f"{[[name], [name]]} argument extra\n"


def test_a_successor_that_outlives_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "orig_argv", ["whatever", "-c", "import time; time.sleep(3600)"])
    successor = Successor([], dict(os.environ))
    assert successor.exit_code is None
    successor.leave()
    # No ResourceWarning: that would fail the test.
    pid = successor.pid
    del successor
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
