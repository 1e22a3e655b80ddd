"""The two protocols of service managers: sockets that they pass, states that they are told."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from picocorn.server import systemd
from picocorn.server.systemd import Notifier, has_sockets, passed_sockets, take_over
from server.notifications import Manager, listening_manager


@pytest.fixture(autouse=True)
def nothing_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(systemd, "_taken", [])
    monkeypatch.setattr(systemd, "_meant_for", "")
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    with listening_manager(str(tmp_path / "notify")) as one:
        yield one


def pass_on(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


# -- sockets


def test_nothing_is_passed_as_a_rule() -> None:
    assert not has_sockets()
    with pytest.raises(OSError, match="no sockets were passed by systemd: LISTEN_FDS is not set"):
        passed_sockets()


def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_on(monkeypatch, LISTEN_PID=str(os.getpid()), LISTEN_FDS="3", LISTEN_FDNAMES="web:web", LISTEN_PIDFDID="1")
    # Their numbers are as they are: these are not looked at here, and not ours to change.
    monkeypatch.setattr(os, "set_inheritable", lambda descriptor, inheritable: None)
    assert has_sockets()
    assert "LISTEN_FDS" in os.environ
    assert passed_sockets() == [3, 4, 5]
    assert passed_sockets("web") == [3, 4]
    assert passed_sockets("unknown") == [5]
    assert not [name for name in os.environ if name.startswith("LISTEN_")]
    # Again, as at a restart of workers, when the variables are long gone.
    assert has_sockets()
    assert passed_sockets() == [3, 4, 5]
    with pytest.raises(OSError, match="no socket called 'api', but: web, unknown"):
        passed_sockets("api")


@pytest.mark.parametrize(
    ("pid", "count", "said"),
    [("1", "1", "LISTEN_PID means process 1, this is own"), ("", "1", "is not set"), ("own", "x", "LISTEN_PID means")],
)
def test_what_is_not_meant_for_us(pid: str, count: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pass_on(monkeypatch, LISTEN_PID=str(os.getpid()) if pid == "own" else pid, LISTEN_FDS=count)
    assert not has_sockets()
    # As the server does, before it knows whether it is to use them.
    take_over()
    for _ in range(2):
        with pytest.raises(OSError, match=said.replace("own", str(os.getpid()))):
            passed_sockets()
    # Nobody after us shall take them for his.
    assert "LISTEN_FDS" not in os.environ


def test_programs_that_we_run_inherit_nothing() -> None:
    program = """
import os, subprocess, sys
from picocorn.server.systemd import passed_sockets
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["LISTEN_FDS"] = "1"
assert os.get_inheritable(3)
assert passed_sockets() == [3]
code = "import os\\ntry: os.fstat(3)\\nexcept OSError: print('closed', 'LISTEN_FDS' in os.environ)"
subprocess.run([sys.executable, "-c", code], close_fds=False, check=True)
"""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        shim = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.executable, [sys.executable, '-c', sys.argv[2]])"
        command = [sys.executable, "-c", shim, str(sock.fileno()), program]
        source = str(Path(systemd.__file__).parents[2])
        ran = subprocess.run(
            command,
            pass_fds=[sock.fileno()],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": source},
            check=False,
        )
    assert (ran.stdout, ran.stderr) == ("closed False\n", "")


def test_descriptors_that_are_not_open(monkeypatch: pytest.MonkeyPatch) -> None:
    pass_on(monkeypatch, LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", 9999)
    take_over()
    # Told of by whoever adopts it.
    assert passed_sockets() == [9999]


# -- states


def test_states(manager: Manager) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    notifier.ready("Serving")
    assert manager.hear() == {"READY": "1", "STATUS": "Serving"}
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    heard = manager.hear()
    assert before <= int(heard.pop("MONOTONIC_USEC")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert heard == {"RELOADING": "1", "STATUS": "Reloading"}
    notifier.stopping("Draining")
    assert manager.hear() == {"STOPPING": "1", "STATUS": "Draining"}
    notifier.alive()
    assert manager.hear() == {"WATCHDOG": "1"}
    notifier.hand_over(7)
    assert manager.hear() == {"MAINPID": "7"}
    # What we do is nobody's business any more.
    notifier.stopping("Stopping")
    notifier.alive()
    assert manager.rest() == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has abstract names")
def test_an_abstract_name() -> None:
    with listening_manager(f"@picocorn-test-{os.getpid()}") as manager:
        Notifier({"NOTIFY_SOCKET": manager.address}).ready("Serving")
        assert manager.hear()["READY"] == "1"


def test_without_a_manager_nothing_happens() -> None:
    notifier = Notifier({})
    notifier.ready("")
    notifier.alive()
    assert (notifier.watchdog_seconds, notifier.for_successor()) == (0, {})


def test_a_manager_that_cannot_be_reached(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone")}).ready("Serving")
    assert "Cannot notify the service manager" in caplog.text
    caplog.clear()
    notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "later")})
    for _ in range(3):
        notifier.alive()
    # Once, until it has worked again.
    assert len(caplog.records) == 1
    with listening_manager(str(tmp_path / "later")):
        notifier.alive()
    notifier.alive()
    assert len(caplog.records) == 2
    caplog.clear()
    notifier = Notifier({"NOTIFY_SOCKET": "vsock:2:1234"})
    assert "NOTIFY_SOCKET=vsock:2:1234: it is no Unix socket" in caplog.text
    caplog.clear()
    notifier.ready("Serving")
    assert caplog.records == []


def test_a_manager_that_does_not_listen_holds_up_no_sign_of_life(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "picocorn.error")
    notifier = Notifier({"NOTIFY_SOCKET": manager.address})
    monkeypatch.setattr(systemd, "SEND_SECONDS", 3600)
    while not caplog.records:
        # Until its queue is full: then it is told at once that there is no room.
        notifier.alive()
    assert "Resource temporarily unavailable" in caplog.text


@pytest.mark.parametrize(
    ("variables", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "500000"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, 0),
        ({"WATCHDOG_USEC": "x"}, 0),
        ({"WATCHDOG_USEC": ""}, 0),
        ({"WATCHDOG_PID": str(os.getpid())}, 0),
    ],
)
def test_the_watchdog(variables: dict[str, str], seconds: float) -> None:
    assert Notifier(variables).watchdog_seconds == seconds


def test_who_takes_our_place_finds_the_manager() -> None:
    variables = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "7", "WATCHDOG_PID": str(os.getpid())}
    # Without a process id, which would be ours.
    assert Notifier(variables).for_successor() == {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "7"}


@pytest.mark.skipif(shutil.which("systemd-notify") is None, reason="systemd is not installed")
def test_as_systemds_own_tool_says_it(manager: Manager) -> None:
    Notifier({"NOTIFY_SOCKET": manager.address}).ready("Serving")
    ours = manager.hear()
    environment = {**os.environ, "NOTIFY_SOCKET": manager.address}
    with subprocess.Popen(["systemd-notify", "--ready", "--status=Serving"], env=environment) as tool:
        assert manager.hear().items() >= ours.items()
        tool.kill()
