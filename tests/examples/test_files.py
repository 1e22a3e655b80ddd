"""The files of examples/deploy agree with the server: options that exist, times that fit into each other, commands that run."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.serving import APPS, free_port
from examples.deploying import DEPLOY, is_listening, program
from harness import DEADLINE_SECONDS, Client, spawned, wait_until
from picocorn.server.options import declared, flag_of
from server.notifications import listening_manager


def directives(name: str) -> dict[str, str]:
    """What a unit file sets; of what is set several times, the last."""
    lines = (DEPLOY / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def instructions() -> dict[str, str]:
    """The last of each kind of instruction in the Dockerfile."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    return dict(line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#"))


def container() -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod of the Deployment, and its container."""
    deployment = next(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text()))
    pod = deployment["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


def commands() -> dict[str, list[str]]:
    return {
        "systemd": shlex.split(directives("app.service")["ExecStart"]),
        "docker": json.loads(instructions()["CMD"]),
        "kubernetes": container()[1]["args"],
    }


def options(command: list[str]) -> dict[str, str]:
    """Option -> value, of a command in either spelling."""
    text = " ".join(command).replace("=", " ")
    return {found[1]: found[2] for found in re.finditer(r"(--[\w-]+) (\S+)", text)}


@pytest.mark.parametrize("where", commands())
def test_options_exist(where: str) -> None:
    given = options(commands()[where])
    assert given
    assert set(given) <= {flag_of(name, details) for name, (_, details) in declared().items()}
    assert given["--health-check-path"] == "/healthz"


def test_times_fit_into_each_other() -> None:
    unit, (pod, app) = directives("app.service"), container()
    before_seconds = app["lifecycle"]["preStop"]["sleep"]["seconds"]
    limits = ("systemd", int(unit["TimeoutStopSec"])), ("kubernetes", pod["terminationGracePeriodSeconds"] - before_seconds)
    for where, seconds in limits:
        given = options(commands()[where])
        assert seconds >= float(given["--drain-delay"]) + float(given["--timeout-graceful-shutdown"]) + 5
    nginx = re.search(r"^ *keepalive_timeout (\d+)s;", (DEPLOY / "nginx.conf").read_text(), re.MULTILINE)
    assert nginx is not None
    assert int(nginx[1]) < float(options(commands()["systemd"])["--timeout-keep-alive"])


def test_probes_ask_where_there_is_an_answer() -> None:
    given, asked = options(commands()["kubernetes"]), container()[1]
    ports = {port["name"]: port["containerPort"] for port in asked["ports"]}
    for name in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert asked[name]["httpGet"] == {"path": given["--health-check-path"], "port": "http"}
    assert ports["http"] == int(given["--bind"].rpartition(":")[2])
    patience = asked["livenessProbe"]["periodSeconds"] * asked["livenessProbe"]["failureThreshold"]
    assert patience > container()[0]["terminationGracePeriodSeconds"]


def test_systemd_understands_the_units(tmp_path: Path) -> None:
    analyze = program("systemd-analyze", "systemd")
    for name in ("app.service", "app.socket"):
        text = (DEPLOY / name).read_text()
        # It looks for the program.
        (tmp_path / name).write_text(text.replace("/srv/app/venv/bin/picocorn", "/bin/true"))
    units = [str(tmp_path / name) for name in ("app.service", "app.socket")]
    checked = subprocess.run([analyze, "verify", *units], capture_output=True, text=True, env={"PATH": os.environ["PATH"]})
    about_ours = [line for line in checked.stderr.splitlines() if str(tmp_path) in line or line.startswith("app.")]
    assert not about_ours, checked.stderr


def test_the_service_starts_on_its_socket(tmp_path: Path) -> None:
    activate = program("systemd-socket-activate", "systemd")
    path = str(tmp_path / "app.sock")
    command = [sys.executable, "-m", "picocorn", *commands()["systemd"][1:], "--app-dir", str(APPS)]
    for old, new in (("main:app", "told_app:app"), ("4", "1")):
        command[command.index(old)] = new
    command[command.index("--drain-delay") + 1] = "0.1"
    with listening_manager(str(tmp_path / "notify")) as manager:
        passed = {"NOTIFY_SOCKET": manager.address, "PYTHONPATH": os.environ.get("PYTHONPATH", ""), "WATCHDOG_USEC": "200000"}
        passing = [word for name, value in passed.items() for word in ("-E", f"{name}={value}")]
        service = subprocess.Popen([activate, "--listen", path, *passing, *command], stderr=subprocess.DEVNULL)
        try:
            wait_until(lambda: os.path.exists(path), "systemd listens")
            # It is started by its first client, who waits.
            with Client(path) as client:
                told = json.loads(client.request().body)
                assert told["server"] == [path, None]
                assert client.request(b"/healthz").body == b"ok"
            assert manager.hear_until("READY")["STATUS"] == "Serving"
            manager.hear_until("WATCHDOG")
            # ExecReload
            service.send_signal(signal.SIGHUP)
            manager.hear_until("RELOADING")
            manager.hear_until("READY")
            service.terminate()
            manager.hear_until("STOPPING")
            assert service.wait(DEADLINE_SECONDS) == 0
        finally:
            service.kill()
            service.wait()
        # The socket is systemd's.
        assert os.path.exists(path)


def test_the_container_runs_and_tells_how_it_is() -> None:
    port = str(free_port())
    command = [word.replace("8000", port) for word in commands()["docker"]]
    command[command.index("--drain-delay") + 1] = "20"
    check = json.loads(instructions()["HEALTHCHECK"].partition("CMD ")[2].replace("8000", port))

    def is_healthy() -> bool:
        return subprocess.run([sys.executable, *check[1:]], stderr=subprocess.DEVNULL).returncode == 0

    assert command[0] == "picocorn"
    with spawned("told_app:app", *command[2:], "--app-dir", str(APPS)) as server:
        wait_until(lambda: is_listening(int(port)), "it listens")
        assert is_healthy()
        server.send_signal(signal.SIGTERM)
        server.wait_for("Serving on for 20 seconds")
        # It still serves, but shall get nothing new.
        assert not is_healthy()
        with socket.create_connection(("127.0.0.1", int(port))):
            assert server.stop() == -signal.SIGTERM
