"""What beats what: command line, environment, configuration file, default."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server.command import ConfigMaker
from picocorn.server.config import Config
from picocorn.server.config_sources import Effective, Layer, Sources
from picocorn.server.generation import first_generation
from picocorn.server.reload_settings import read_files


def layer(name: str, values: dict[str, Any]) -> Layer:
    return Layer(values, dict.fromkeys(values, name))


def sources(folder: Path, text: str, command: dict[str, Any] | None = None, environment: dict[str, Any] | None = None) -> Sources:
    (folder / "picocorn.toml").write_text(text)
    layers = [layer("command line", command or {}), layer("environment", environment or {})]
    return Sources(layers, None, str(folder))


def test_the_strongest_wins(tmp_path: Path) -> None:
    found = sources(
        tmp_path,
        'app = "file:app"\napp-dir = "src"\nbacklog = 1\nroot-path = "/file"\ndrain-delay = 1',
        {"backlog": 3, "limit_concurrency": 3},
        {"backlog": 2, "root_path": "/environment"},
    ).read()
    assert found == Effective(
        {"app": "file:app", "backlog": 3, "limit_concurrency": 3, "root_path": "/environment", "drain_delay": 1},
        {
            "app": "picocorn.toml",
            "app_dir": "picocorn.toml",
            "backlog": "command line",
            "limit_concurrency": "command line",
            "root_path": "environment",
            "drain_delay": "picocorn.toml",
        },
        f"{tmp_path}/src",
        "picocorn.toml",
        f"{tmp_path}/picocorn.toml",
    )


def test_without_a_file(tmp_path: Path) -> None:
    (tmp_path / "picocorn.toml").write_text("port = 1")
    given = [layer("command line", {"app": "m:a"})]
    assert Sources(given, None, str(tmp_path)).read().options == {"app": "m:a", "port": 1}
    assert Sources(given, "", str(tmp_path)).read() == Effective({"app": "m:a"}, {"app": "command line"})
    with pytest.raises(ConfigError, match=r"^Missing argument 'APP'. Try --help.$"):
        Sources([], "", str(tmp_path)).read()


@pytest.mark.parametrize(
    ("file", "stronger", "found"),
    [
        ('bind = ":1"', {"port": 2}, {"port": 2}),
        ('bind = ["unix:/s"]\nuds-owner = "app"', {"host": "h"}, {"host": "h"}),
        ('uds = "/s"\nuds-permissions = "0660"', {"port": 2}, {"port": 2}),
        ("fd = 3", {"port": 2}, {"port": 2}),
        # A port alone leaves the host to the file.
        ('host = "h"\nport = 1', {"port": 2}, {"host": "h", "port": 2}),
        ('host = "h"\nport = 1', {"bind": (":2",)}, {"bind": (":2",)}),
        ('host = "h"\nport = 1', {"uds": "/s"}, {"uds": "/s"}),
        ('uds = "/s"\nuds-owner = "app"', {"uds": "/t"}, {"uds": "/t", "uds_owner": "app"}),
        ('uds = "/s"\nuds-owner = "app"', {"bind": (":1", "unix:/t")}, {"bind": (":1", "unix:/t"), "uds_owner": "app"}),
        ('bind = [":1"]\nbacklog = 5', {"backlog": 4}, {"bind": [":1"], "backlog": 4}),
    ],
)
def test_where_to_listen_is_one_decision(file: str, stronger: dict[str, Any], found: dict[str, Any], tmp_path: Path) -> None:
    for given in ((stronger, {}), ({}, stronger)):
        effective = sources(tmp_path, file, {"app": "m:a", **given[0]}, given[1])
        assert effective.read().options == {"app": "m:a", **found}


def test_variables_without_a_prefix_beat_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WEB_CONCURRENCY", raising=False)
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)

    def made(command: dict[str, Any] | None = None) -> tuple[int | None, Any, bool]:
        text = 'app = "m:a"\nlog-config = {version = 1}\nworkers = 2\nforwarded-allow-ips = ""'
        config = Config(**sources(tmp_path, text, command).read().options)
        return config.workers, config.forwarded_allow_ips, config.workers_given

    assert made() == (2, "", True)
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "10.0.0.1")
    assert made() == (3, "10.0.0.1", True)
    assert made({"workers": 4, "forwarded_allow_ips": "*"}) == (4, "*", True)


def test_the_environment_file_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Set first, so that it is put back.
    monkeypatch.setenv("WEB_CONCURRENCY", "")
    monkeypatch.delenv("WEB_CONCURRENCY")
    (tmp_path / "env").write_text("WEB_CONCURRENCY=3")
    text = 'app = "m:a"\nlog-config = {version = 1}\nworkers = 2\nenv-file = "env"'
    assert Config(**sources(tmp_path, text).read().options).workers == 3


def test_a_mistake_that_only_the_configuration_sees(tmp_path: Path) -> None:
    text = 'app = "m:a"\nlog-config = {version = 1}\nhealth-check-path = "x"'
    with pytest.raises(ConfigError, match=r"^picocorn\.toml: Invalid value for '--health-check-path': 'x' is no path"):
        ConfigMaker(sources(tmp_path, text))()
    with pytest.raises(ConfigError, match=r"^Invalid value for '--health-check-path': 'y' is no path"):
        ConfigMaker(sources(tmp_path, text, {"health_check_path": "y"}))()


def test_it_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", ["before"])
    quiet = "log-config = {version = 1}\n"
    given = sources(tmp_path, f'{quiet}app = "m:a"\napp-dir = "one"\nbacklog = 1', {"port": 1})
    make_config = ConfigMaker(given)
    generation = first_generation(make_config(), make_config, dict(os.environ))
    assert sys.path == [f"{tmp_path}/one", "before"]

    (tmp_path / "picocorn.toml").write_text("port 2")
    with pytest.raises(ConfigError, match=r"^picocorn\.toml: .*line 1"):
        generation.renewed()
    (tmp_path / "picocorn.toml").write_text(f'{quiet}app = "m:a"\napp-dir = "two"\nheaders = ["x"]')
    with pytest.raises(ConfigError, match="is not of the form NAME:VALUE"):
        generation.renewed()
    assert sys.path == [f"{tmp_path}/one", "before"]

    (tmp_path / "picocorn.toml").write_text(f'{quiet}app = "m:b"\napp-dir = "two"\nport = 2')
    config = generation.renewed().config
    assert (config.app, config.app_dir, config.port, config.backlog) == ("m:b", f"{tmp_path}/two", 1, 2048)
    # A reloader has an eye on it.
    assert read_files(config) == [f"{tmp_path}/picocorn.toml"]
    assert sys.path == [f"{tmp_path}/two", "before"]
