"""examples/deploy/haproxy.cfg in a real HAProxy, which tells picocorn by the PROXY protocol who asks, and looks how it is."""

from __future__ import annotations

import subprocess
from pathlib import Path

from e2e.serving import free_port
from examples.deploying import DEPLOY, Front, goes_through, program, started, uploads_and_websockets_go_through
from harness import Client, running, wait_until


def test_haproxy(tmp_path: Path) -> None:
    haproxy, front, port = program("haproxy", "haproxy"), Front(), free_port()
    with running(front, proxy_protocol=True, health_check_path="/healthz") as server:
        text = (DEPLOY / "haproxy.cfg").read_text()
        for old, new in (
            ("bind :80", f"bind 127.0.0.1:{port}"),
            ("app1 127.0.0.1:8000", f"app1 127.0.0.1:{server.port}"),
            ("inter 2s", "inter 50ms"),
            # Two descriptors each.
            ("maxconn 10000", "maxconn 100"),
        ):
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "haproxy.cfg"
        file.write_text(text)
        checked = subprocess.run([haproxy, "-c", "-f", str(file)], capture_output=True, text=True)
        assert checked.returncode == 0, checked.stderr
        assert "WARNING" not in checked.stderr

        def status() -> int:
            with Client(("127.0.0.1", port)) as client:
                code: int = client.request(b"/", b"Connection: close").status
                return code

        with started(port, haproxy, "-db", "-f", str(file)):
            with Client(("127.0.0.1", port)) as client:
                # Of client and port nobody but HAProxy can have told; and a claim is not passed on.
                shown = goes_through(front, client, b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https")
                assert (shown["client"], shown["scheme"]) == (list(client.address), "http")
            uploads_and_websockets_go_through(port)
            # A server that is about to end gets nothing new.
            server.state.draining = True
            wait_until(lambda: status() == 503, "HAProxy has noticed")
            server.state.draining = False
            wait_until(lambda: status() == 200, "HAProxy has noticed")
