"""What a configuration file says, and how it is told what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from picocorn.server.config_file import ConfigFileError, find_config_file, read_config_file
from picocorn.server.options import declared, flag_of


def read(folder: Path, text: str, name: str = "picocorn.toml") -> dict[str, Any]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_config_file(str(path), "FILE")


def problems(folder: Path, text: str, name: str = "picocorn.toml") -> list[str]:
    with pytest.raises(ConfigFileError) as caught:
        read(folder, text, name)
    assert str(caught.value).splitlines() == [str(caught.value)]
    assert str(caught.value).startswith(caught.value.problems[0])
    assert all(problem.startswith("FILE: ") for problem in caught.value.problems)
    return [problem.removeprefix("FILE: ") for problem in caught.value.problems]


def test_every_kind_of_option(tmp_path: Path) -> None:
    (tmp_path / "log.ini").touch()
    values = read(
        tmp_path,
        """
        app = "main:app"
        port = 80
        timeout-keep-alive = 0.5
        """,
    )
    assert values == {"app": "main:app", "port": 80, "timeout_keep_alive": 0.5}
    values = read(
        tmp_path,
        """
        http = "package.module:Protocol"
        log-level = "INFO"
        drain_delay = 3
        limit-request-body = "16M"
        limit-worker-rss = 1073741824
        uds-permissions = "0660"
        access-log = false
        factory = true
        ws-per-message-deflate = false
        log-config = "log.ini"
        bind = ["127.0.0.1:80", "unix:run/app.sock", "unix:/run/app.sock"]
        header = "X-A: 1"
        forwarded-allow-ips = ["10.0.0.0/8", "::1"]
        pidfile = "./app.pid"
        app-dir = "."
        root-path = "api"
        """,
    )
    assert values == {
        "http": "package.module:Protocol",
        "log_level": "INFO",
        "drain_delay": 3,
        "limit_request_body": "16M",
        "limit_worker_rss": 1 << 30,
        "uds_permissions": "0660",
        "access_log": False,
        "factory": True,
        "ws_per_message_deflate": False,
        # Paths are relative to the file. A path of URLs is none of these.
        "log_config": f"{tmp_path}/log.ini",
        "bind": ["127.0.0.1:80", f"unix:{tmp_path}/run/app.sock", "unix:/run/app.sock"],
        "headers": ["X-A: 1"],
        "forwarded_allow_ips": "10.0.0.0/8,::1",
        "pidfile": f"{tmp_path}/app.pid",
        "app_dir": str(tmp_path),
        "root_path": "api",
    }


def test_tables(tmp_path: Path) -> None:
    values = read(
        tmp_path,
        """
        [headers]
        X-A = "1"
        X-B = ["2", "3"]
        [log-config]
        version = 1
        [log-config.root]
        level = "INFO"
        """,
    )
    assert values == {
        "headers": [("X-A", "1"), ("X-B", "2"), ("X-B", "3")],
        "log_config": {"version": 1, "root": {"level": "INFO"}},
    }


def test_each_option_under_all_of_its_names(tmp_path: Path) -> None:
    samples = {"switch": "true", "flag": "true", "boolean": "true", "octal": '"1"'}
    for name, (_, details) in declared().items():
        sample = f'"{details.choices[0]}"' if details.choices else samples.get(details.kind, '"/"')
        if details.kind in ("integer", "seconds", "size"):
            sample = str(int(details.minimum or 1))
        for key in (name, name.replace("_", "-"), flag_of(name, details)[2:]):
            assert list(read(tmp_path, f"{key} = {sample}")) == [name]


def test_what_is_wrong_is_told_all_at_once(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """
        timeout-keep-alife = 5
        graceful_timeout = 5
        no-access-log = true
        xyzzy = 1
        tool.picocorn.port = 1
        port = "80"
        backlog = 1.5
        workers = true
        drain-delay = "3s"
        limit-request-body = "16 apples"
        limit-request-line = 0.5
        uds-permissions = 660
        access-log = "false"
        factory = 1
        lifespan = "maybe"
        root-path = 2026-01-01
        uds = ""
        header = "X: 1"
        headers = ["X: 1"]
        forwarded-allow-ips = [1]
        log-config = "no-such-file"
        env-file = {}
        bind = ["unix:"]
        limit-concurrency = 0
        """,
    )
    assert found == [
        "'timeout-keep-alife': there is no such option; did you mean 'timeout-keep-alive'?",
        "'graceful_timeout': there is no such option; did you mean 'timeout-graceful-shutdown'?",
        "'no-access-log': there is no such option; write access-log = false.",
        "'xyzzy': there is no such option.",
        "'tool': there is no such option.",
        "'port': expected a number, not text '80'.",
        "'backlog': 1.5 is not a number.",
        "'workers': expected a number, not a boolean true.",
        "'drain-delay': expected a number, not text '3s'.",
        "'limit-request-body': '16 apples' is not a size such as 65536, 64k or 1m.",
        "'limit-request-line': expected a size such as 65536 or \"64k\", not a number 0.5.",
        "'uds-permissions': expected an octal number in quotes, such as \"0660\", not a number 660.",
        "'access-log': expected true or false, not text 'false'.",
        "'factory': expected true or false, not a number 1.",
        "'lifespan': 'maybe' is not one of auto, on, off.",
        "'root-path': expected text, not a date or time 2026-01-01.",
        "'uds': '' names no path.",
        "'headers': 'headers' is there twice, under two names.",
        "'forwarded-allow-ips': expected a list of text, not a number 1.",
        f"'log-config': File '{tmp_path}/no-such-file' does not exist.",
        "'env-file': expected text, not a table.",
        "'bind': 'unix:' names no path.",
        "'limit-concurrency': 0 is less than 1.",
    ]


def test_a_contradiction(tmp_path: Path) -> None:
    assert problems(tmp_path, 'bind = ":80"\nport = 80') == ["'bind': it stands for 'port' as well; leave one of them out."]
    with pytest.raises(ConfigFileError, match=r"there is no such option. \(1 more: --check-config shows them all\)$"):
        read(tmp_path, "x = 1\ny = 1")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    # Behind the quoted text stands what the TOML parser says, whose words are its own.
    (syntax,) = problems(tmp_path, "port = 80\nworkers 2")
    assert "line 2" in syntax
    assert problems(tmp_path, "port = " + "9" * 5000)
    (tmp_path / "latin").write_bytes(b'app = "\xe9"')
    for path, said in ((tmp_path, "cannot be read: Is a directory."), (tmp_path / "latin", "is not UTF-8: byte 7.")):
        with pytest.raises(ConfigFileError) as caught:
            read_config_file(str(path))
        assert str(caught.value) == f"{path}: {said}"
    with pytest.raises(ConfigFileError, match=r"^nowhere: there is no such file\.$"):
        read_config_file(str(tmp_path / "nowhere"), "nowhere")


def test_pyproject(tmp_path: Path) -> None:
    name = "pyproject.toml"
    assert read(tmp_path, '[project]\nname = "x"\n[tool.picocorn]\nport = 80', name) == {"port": 80}
    assert problems(tmp_path, "[tool.picocorn]\nprot = 80", name) == ["'prot': there is no such option; did you mean 'port'?"]
    assert problems(tmp_path, "tool.picocorn = 80", name) == ["'tool.picocorn' is a number, not a table."]
    assert problems(tmp_path, "port = 80", name) == ["there is no table [tool.picocorn]."]


def test_the_file_that_nobody_names(tmp_path: Path) -> None:
    folder, ours, theirs = str(tmp_path), tmp_path / "picocorn.toml", tmp_path / "pyproject.toml"
    assert find_config_file(folder) is None
    theirs.write_text("[tool.other]\nbroken =")
    # Not ours, so its mistakes are not either.
    assert find_config_file(folder) is None
    theirs.write_text('[project]\ndependencies = ["picocorn"]')
    assert find_config_file(folder) is None
    theirs.write_text("[tool.picocorn]\nbroken = =")
    with pytest.raises(ConfigFileError, match=r"^pyproject\.toml: .*line 2"):
        find_config_file(folder)
    theirs.write_text("[tool.picocorn]")
    assert find_config_file(folder) == str(theirs)
    ours.touch()
    assert find_config_file(folder) == str(ours)
