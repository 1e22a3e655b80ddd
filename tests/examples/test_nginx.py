"""examples/deploy/nginx.conf in a real nginx, in front of a Unix socket and of a TCP port."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from e2e.serving import free_port
from examples.deploying import DEPLOY, Front, goes_through, program, started, uploads_and_websockets_go_through
from harness import Client, running
from picocorn.server.options import DefaultNumber

#: What is left to the main configuration file.
AROUND = """
daemon off;
worker_processes 1;
error_log stderr;
pid {folder}/nginx.pid;
{user}
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {fragments}
}}
"""


def fragment(name: str, upstream: str, port: int) -> str:
    """The example with another upstream, port and name."""
    text = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("unix:/run/app.sock", upstream),
        ("upstream app ", f"upstream {name} "),
        ("http://app", f"http://{name}"),
        ("$app_connection", f"${name}_connection"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("listen [::]:80;", ""),
    ):
        assert old in text
        text = text.replace(old, new)
    return text


def test_nginx(tmp_path: Path) -> None:
    nginx = program("nginx", "nginx-light")
    path, front = f"{tmp_path}/app.sock", Front()
    options = {"bind": [f"unix:{path}", "127.0.0.1:0"], "forwarded_allow_ips": "*", "timeout_keep_alive": 15}
    with running(front, port=DefaultNumber(0), health_check_path="/healthz", **options) as server:
        tcp = server.server.servers[1].sockets[0].getsockname()[1]
        ports = free_port(), free_port()
        fragments = fragment("over_unix", f"unix:{path}", ports[0]) + fragment("over_tcp", f"127.0.0.1:{tcp}", ports[1])
        # Started as root, its workers would be somebody who may not enter our folder.
        user = "user root;" if os.geteuid() == 0 else ""
        file = tmp_path / "nginx.conf"
        file.write_text(AROUND.format(folder=tmp_path, fragments=fragments, user=user))
        checked = subprocess.run([nginx, "-t", "-p", str(tmp_path), "-c", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        with started(ports[0], nginx, "-p", str(tmp_path), "-c", str(file)):
            for port in ports:
                with Client(("127.0.0.1", port)) as client:
                    # What a client claims is not passed on.
                    shown = goes_through(front, client, b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https")
                    assert (shown["client"], shown["scheme"]) == (["127.0.0.1", 0], "http")
                    assert shown["headers"]["x-forwarded-for"] == "127.0.0.1"
                    # nginx keeps its connection.
                    kept = set(server.state.connections)
                    for _ in range(5):
                        assert client.request().status == 200
                    assert set(server.state.connections) == kept
                    assert client.request(b"/healthz").body == b"ok"
                uploads_and_websockets_go_through(port)
