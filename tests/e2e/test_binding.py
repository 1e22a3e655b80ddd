"""Where a server listens, with and without workers: many addresses, Unix sockets, sockets that were passed on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.binding import MODES, listening, passed_on
from e2e.serving import APPS
from harness import Client, SpawnedServer


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def given() -> Iterator[socket.socket]:
    """A socket that somebody else has bound."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            return False
    return True


# -- many addresses


def test_all_addresses_serve(mode: str, body: str, tmp_path: Path, given: socket.socket) -> None:
    path = str(tmp_path / "s")
    six = ["--bind", "[::1]:0"] if has_ipv6() else []
    binds = ["--bind", "127.0.0.1:0", "--bind", f"unix:{path}", *six, "--bind", f"fd://{given.fileno()}"]
    env = {"PICOCORN_NO_EXTENSIONS": "1" if body == "pure" else ""}
    with listening(mode, *binds, env=env, pass_fds=(given.fileno(),)) as server:
        first, unix, *rest = server.announced(3 + len(six) // 2)
        port = int(first.rpartition(":")[2])
        assert (first, unix) == (f"http://127.0.0.1:{port}", f"unix socket {path}")
        assert rest[-1] == f"http://127.0.0.1:{given.getsockname()[1]}"
        assert server.ask(("127.0.0.1", port))["server"] == ["127.0.0.1", port]
        assert server.ask(path)["server"] == [path, None]
        assert server.ask(given.getsockname())["server"] == list(given.getsockname())
        if six:
            port = int(rest[0].rpartition(":")[2])
            assert rest[0] == f"http://[::1]:{port}"
            assert server.ask(("::1", port))["server"] == ["::1", port]
        server.stop()
        assert not os.path.exists(path)


def test_every_interface(mode: str) -> None:
    if not has_ipv6():
        pytest.skip("there is no IPv6 here")
    with listening(mode, "--bind", ":0") as server:
        port = server.port()
        assert sorted(server.announced(2)) == [f"http://0.0.0.0:{port}", f"http://[::]:{port}"]
        assert server.ask(("127.0.0.1", port))["server"] == ["127.0.0.1", port]
        assert server.ask(("::1", port))["server"] == ["::1", port]
        server.stop()


def test_by_the_environment(mode: str, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with listening(mode, env={"PICOCORN_BIND": f"127.0.0.1:0 unix:{path}"}, anywhere=False) as server:
        assert server.announced(2)[1:] == [f"unix socket {path}"]
        assert server.ask(("127.0.0.1", server.port()))["server"] == ["127.0.0.1", server.port()]
        server.stop()


def test_one_socket_for_each_worker() -> None:
    with listening("workers", "--bind", "127.0.0.1:0", "--bind", "127.0.0.2:0", "--socket-balance", "reuseport") as server:
        # Each address is told of once, however many sockets it has.
        assert [re.sub(r"\d+$", "PORT", where) for where in server.announced(2)] == [
            "http://127.0.0.1:PORT",
            "http://127.0.0.2:PORT",
        ]
        for number, host in enumerate(("127.0.0.1", "127.0.0.2")):
            assert server.ask((host, server.port(number)))["parent"] == server.pid
        server.stop()


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--bind", ":1", "--port", "8000"], "Invalid value for '--bind': it stands for --port as well; leave one of them out."),
        (["--bind", ":1", "--uds", "s"], "Invalid value for '--bind': it stands for --uds as well; leave one of them out."),
        (["--bind", "::1:80"], "Invalid value for '--bind': '::1:80' is no address: "),
        (["--uds-permissions", "660"], "Invalid value for '--uds-permissions': it needs --uds, or --bind unix:path."),
        (["--uds", "s", "--uds-permissions", "0888"], "Invalid value for '--uds-permissions': '0888' is no octal number"),
        (["--uds", "s", "--uds-owner", "no-such-user"], "Invalid value for '--uds-owner': 'no-such-user'"),
        (["--health-check-path", "healthz"], "Invalid value for '--health-check-path': 'healthz' is no path"),
        (["--drain-delay", "-1"], "Invalid value for '--drain-delay': -1 is less than 0."),
    ],
)
def test_mistakes_are_one_line(options: list[str], line: str) -> None:
    with listening("single", *options, anywhere=False) as server:
        assert server.server.join() == 2
        (said,) = server.server.output.splitlines()
        assert said.startswith(f"Error: {line}")


@pytest.mark.parametrize("bind", ["fd://{fd}", "systemd", "systemd:web"])
def test_sockets_that_are_not_there(mode: str, bind: str, tmp_path: Path) -> None:
    with open(tmp_path / "file", "w") as file:
        options = ["--bind", bind.format(fd=file.fileno())]
        with listening(mode, *options, pass_fds=(file.fileno(),)) as server:
            assert server.server.join() == 3
            (line,) = server.errors
            assert ("is no socket" if "fd" in bind else "no sockets were passed by systemd: LISTEN_FDS is not set") in line
            assert "Traceback" not in server.server.output


def test_an_address_in_use_takes_none(mode: str, tmp_path: Path, given: socket.socket) -> None:
    path = tmp_path / "s"
    port = given.getsockname()[1]
    with listening(mode, "--bind", f"unix:{path}", "--bind", f"127.0.0.1:{port}") as server:
        assert server.server.join() == 3
        (line,) = server.errors
        assert line.endswith(f"error while attempting to bind on address ('127.0.0.1', {port}): address already in use")
        assert not path.exists()


# -- Unix sockets


def test_permissions_and_owner(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    ids = f"{os.getuid()}:{os.getgid()}"
    with listening(mode, "--uds", str(path), "--uds-permissions", "0640", "--uds-owner", ids) as server:
        assert server.announced() == [f"unix socket {path}"]
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o640, os.getuid(), os.getgid())
        server.ask(str(path))
        server.stop()
    assert not path.exists()


def test_a_socket_on_which_somebody_accepts_is_not_taken_away(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening("single", "--uds", str(path)) as first:
        first.wait_until_up()
        with listening(mode, "--bind", f"unix:{path}") as second:
            assert second.server.join() == 3
            (line,) = second.errors
            assert line.endswith(f"Address already in use: {path}, on which another process accepts connections")
            assert "Traceback" not in second.server.output
        assert first.ask(str(path))["pid"] == first.pid
        first.stop()


def test_the_socket_of_a_dead_server_is_replaced(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening("single", "--uds", str(path)) as first:
        first.wait_until_up()
        first.server.stop(signal.SIGKILL)
    assert path.exists()
    with listening(mode, "--uds", str(path)) as second:
        second.wait_until_up()
        second.ask(str(path))
        second.stop()
    assert not path.exists()


def test_the_socket_of_somebody_else_stays(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "s"
    with listening(mode, "--uds", str(path)) as server:
        server.wait_until_up()
        path.unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            server.stop()
            assert path.exists()


# -- sockets passed by systemd


@pytest.mark.parametrize("options", [(), ("--bind", "systemd")])
def test_activation(mode: str, options: tuple[str, ...], given: socket.socket, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(path)
        unix.listen()
        with passed_on(mode, {"web": given, "admin": unix}, *options) as server:
            assert server.announced(2) == [f"http://127.0.0.1:{given.getsockname()[1]}", f"unix socket {path}"]
            # Nobody after the server shall take these for his.
            assert server.ask(given.getsockname())["environment"] == {}
            assert server.ask(path)["server"] == [path, None]
            server.stop()
        # It is not ours to remove: it waits for the next one.
        assert os.path.exists(path)


def test_who_connects_before_the_server_is_there(mode: str, given: socket.socket) -> None:
    with Client(given.getsockname()) as early:
        early.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        with passed_on(mode, {"web": given}) as server:
            assert early.response().status == 200
            server.wait_until_up()
            server.stop()


def test_one_of_them_by_name(mode: str, given: socket.socket) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        passed_on(mode, {"a": other, "b": given}, "--bind", "systemd:b") as server,
    ):
        assert server.announced() == [f"http://127.0.0.1:{given.getsockname()[1]}"]
        server.ask(given.getsockname())
        server.stop()


def test_what_is_said_beats_what_is_passed(mode: str, given: socket.socket) -> None:
    with passed_on(mode, {"web": given}, "--port", "0") as server:
        assert server.port() != given.getsockname()[1]
        assert server.ask(("127.0.0.1", server.port()))["environment"] == {}
        server.stop()


@pytest.mark.skipif(shutil.which("systemd-socket-activate") is None, reason="systemd is not installed")
def test_systemds_own_tool(mode: str, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    keep = [f"--setenv={name}" for name in ("PYTHONPATH", "PYTHONWARNINGS")]
    picocorn = [sys.executable, "-m", "picocorn", "told_app:app", "--app-dir", str(APPS), *MODES[mode]]
    source = os.pathsep.join(sys.path)
    server = SpawnedServer(
        ["systemd-socket-activate", "-l", path, *keep, *picocorn],
        None,
        {**os.environ, "PYTHONPATH": source, "WEB_CONCURRENCY": ""},
    )
    try:
        server.wait_for("Listening on")
        with Client(path) as client:
            assert client.request().status == 200
        server.wait_for(f"running on unix socket {re.escape(path)}")
        assert server.stop() == (0 if mode == "workers" else -signal.SIGTERM)
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.join()


def test_a_descriptor_that_is_a_connection(mode: str) -> None:
    one, other = socket.socketpair()
    with one, other, passed_on(mode, {"web": one}) as server:
        assert server.server.join() == 3
        (line,) = server.errors
        assert "a server needs a listening socket, and file descriptor 3 is a connection" in line
