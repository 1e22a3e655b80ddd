"""A server as seen from outside, apart from a server."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from picocorn.server.service import Service
from picocorn.server.systemd import Notifier
from server.notifications import listening_manager


def test_nothing_to_see() -> None:
    service = Service()
    service.check()
    service.listening()
    service.ready("")
    service.beat(1.0)
    assert service.beat_at is None
    service.make_room()
    service.take_back()
    service.hand_over(1)
    service.end()


def test_signs_of_life_come_twice_as_often_as_asked_for(tmp_path: Path) -> None:
    with listening_manager(str(tmp_path / "notify")) as manager:
        service = Service(notifier=Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "4000000"}))
        service.beat(100.0)
        assert manager.hear() == {"WATCHDOG": "1"}
        assert service.beat_at == 102.0
        service.beat(101.9)
        assert manager.rest() == []
        service.beat(102.5)
        assert manager.hear() == {"WATCHDOG": "1"}
        assert service.beat_at == 104.5
        service.hand_over(7)
        service.beat(200.0)
        assert service.beat_at is None
        assert manager.hear() == {"MAINPID": "7", "WATCHDOG": "1"}
        assert manager.rest() == []


def test_signs_of_life_of_a_loop(tmp_path: Path) -> None:
    async def main() -> None:
        service = Service(notifier=Notifier({"NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "1000"}))
        service.beat_on(asyncio.get_running_loop())
        for _ in range(3):
            assert await asyncio.to_thread(manager.hear) == {"WATCHDOG": "1"}
        service.end()

    with listening_manager(str(tmp_path / "notify")) as manager:
        asyncio.run(main())
        assert all(message == {"WATCHDOG": "1"} for message in manager.rest())


def test_a_reload(tmp_path: Path) -> None:
    with listening_manager(str(tmp_path / "notify")) as manager:
        service = Service(notifier=Notifier({"NOTIFY_SOCKET": manager.address}))
        assert not service.is_reloading
        service.reloading()
        assert service.is_reloading
        assert manager.hear()["RELOADING"] == "1"
        service.ready("Serving")
        assert not service.is_reloading


def test_what_goes_wrong_with_the_pid_file_later_ends_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    service = Service(folder / "pid")
    service.check()
    service.listening()
    assert (folder / "pid").read_text() == f"{os.getpid()}\n"
    (folder / "pid").unlink()
    (folder / "pid").mkdir()
    service.make_room()
    assert "Cannot rename the pid file" in caplog.text
    service.end()
    assert "Cannot remove the pid file" in caplog.text
