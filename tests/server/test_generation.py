"""Configurations with their environment, read anew while the server runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from picocorn.base.errors import ConfigError
from picocorn.server.config import Config
from picocorn.server.generation import Generation, apply_environment, first_generation


@pytest.fixture(autouse=True)
def environment_as_it_was() -> Iterator[None]:
    before = dict(os.environ)
    yield
    apply_environment(before)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text("WEB_CONCURRENCY=2\nGENERATION_TEST=first\nGENERATION_GONE=yes\n")
    return path


def made(env_file: Path) -> tuple[Generation, Callable[[], Config]]:
    os.environ.pop("WEB_CONCURRENCY", None)
    base = dict(os.environ)

    def make_config() -> Config:
        return Config("module:app", env_file=env_file, log_config=None)

    return first_generation(make_config(), make_config, base), make_config


def test_the_environment_file_is_read_anew(env_file: Path) -> None:
    first, _ = made(env_file)
    assert first.config.workers == 2
    assert first.environment["GENERATION_TEST"] == "first"
    env_file.write_text("WEB_CONCURRENCY=3\nGENERATION_TEST=second\n")
    second = first.renewed()
    assert second.config.workers == 3
    assert os.environ["GENERATION_TEST"] == "second"
    # What the file says no more is no more.
    assert "GENERATION_GONE" not in os.environ
    first.apply()
    assert (os.environ["GENERATION_TEST"], os.environ["GENERATION_GONE"]) == ("first", "yes")
    assert second.renewed().environment == second.environment


def test_whatever_reading_anew_raises_is_a_mistake_of_who_wrote_it(env_file: Path) -> None:
    """A server that runs is not ended by it."""
    first, _ = made(env_file)
    original = first._make_config

    def make_config() -> Config:
        original()
        raise LookupError("in a class that the log configuration names")

    first._make_config = make_config
    env_file.write_text("GENERATION_TEST=second\n")
    with pytest.raises(ConfigError, match="LookupError: in a class that the log configuration names"):
        first.renewed()
    assert os.environ["GENERATION_TEST"] == "first"


def test_a_file_that_is_gone_changes_nothing(env_file: Path) -> None:
    first, _ = made(env_file)
    env_file.unlink()
    with pytest.raises(ConfigError, match="--env-file"):
        first.renewed()
    assert os.environ["GENERATION_TEST"] == "first"


def test_a_variable_that_workers_shall_not_see(env_file: Path) -> None:
    os.environ["GENERATION_SECRET"] = "x"
    first, _ = made(env_file)
    first.forget("GENERATION_SECRET")
    first.apply()
    assert "GENERATION_SECRET" not in os.environ
    assert "GENERATION_SECRET" not in first.renewed().environment


def test_what_a_running_server_cannot_follow() -> None:
    def make(**options: object) -> Generation:
        return Generation(Config("module:app", log_config=None, **options), Config, {})  # type: ignore[arg-type]

    assert make(port=1, root_path="/a").fixed_differences(make(port=1)) == []
    assert make(port=1, host="::1").fixed_differences(make(port=2)) == ["host", "port"]


def test_what_cannot_be_handed_to_workers_is_named() -> None:
    async def notify() -> None: ...

    def make() -> Config:
        return Config("module:app", callback_notify=notify, log_config=None)

    with pytest.raises(ConfigError, match="'callback_notify' cannot be handed to worker processes: "):
        first_generation(make(), make, {})
