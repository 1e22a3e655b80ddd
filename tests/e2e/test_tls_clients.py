"""HTTPS as its clients know it: curl, OpenSSL, httpx and a browser's protocols, against a server in a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from bodies import TWINS
from certificates import Pair, authority, client_context, write_pair
from e2e.serving import APPS
from harness import DEADLINE_SECONDS, Client, SpawnedServer, spawned


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Pair]:
    """The authority, and the pair of a server."""
    folder = tmp_path_factory.mktemp("certificates")
    (folder / "ca.pem").write_bytes(authority().cert_pem.bytes())
    return folder / "ca.pem", write_pair(folder, "localhost")


@pytest.fixture(scope="module", params=TWINS)
def server(request: pytest.FixtureRequest, files: tuple[Path, Pair]) -> Iterator[SpawnedServer]:
    certificate, key = files[1]
    options = ("--app-dir", str(APPS), "--ssl-certfile", certificate, "--ssl-keyfile", key)
    with spawned("told_app:app", *options, env={"PICOCORN_NO_EXTENSIONS": "1" if request.param == "pure" else ""}) as server:
        assert server.wait_for(r"running on (\w+)://")[1] == "https"
        yield server
        assert server.stop() == -signal.SIGTERM
        assert "Traceback" not in server.output


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here")
    return path


def test_curl(server: SpawnedServer, files: tuple[Path, Pair]) -> None:
    for version in ("1.2", "1.3"):
        command = [program("curl"), "-sS", "--http1.1", "--cacert", str(files[0]), "--tls-max", version, f"--tlsv{version}"]
        told = subprocess.run(
            [*command, "-w", "%{http_version} %{ssl_verify_result}", f"https://localhost:{server.port}/"],
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            check=True,
        )
        assert told.stdout.endswith(b"1.1 0"), told
    old = subprocess.run(
        [program("curl"), "-sS", "--tls-max", "1.1", "--tlsv1.0", "--cacert", str(files[0]), f"https://localhost:{server.port}/"],
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    assert old.returncode == 35, old


def test_httpx(server: SpawnedServer) -> None:
    with httpx.Client(verify=client_context(), trust_env=False, timeout=DEADLINE_SECONDS) as client:
        for _ in range(3):
            response = client.get(f"https://localhost:{server.port}/")
            assert (response.status_code, response.http_version) == (200, "HTTP/1.1")


def s_client(server: SpawnedServer, said: dict[bytes, bytes], *options: str) -> bytes:
    """What `openssl s_client` shows of a conversation: `said` are what to wait for in what it shows, and what to type then."""
    process = subprocess.Popen(
        [program("openssl"), "s_client", "-connect", f"localhost:{server.port}", "-servername", "localhost", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        bufsize=0,
    )
    assert process.stdin
    assert process.stdout
    too_late = threading.Timer(DEADLINE_SECONDS, process.kill)
    too_late.start()
    shown, waits = b"", list(said)
    try:
        while piece := process.stdout.read(65536):
            shown += piece
            while waits and waits[0] in shown:
                process.stdin.write(said[waits.pop(0)])
        return shown
    finally:
        too_late.cancel()
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_openssl(server: SpawnedServer, files: tuple[Path, Pair]) -> None:
    trust = ("-CAfile", str(files[0]))
    request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    for version in ("-tls1_2", "-tls1_3"):
        shown = s_client(server, {b"ALPN protocol": request}, version, *trust, "-alpn", "http/1.1,spdy/1")
        assert b"Verify return code: 0 (ok)" in shown
        assert b"ALPN protocol: http/1.1" in shown
        assert b"HTTP/1.1 200 OK" in shown
        # The end is told: without a close_notify, it says "unexpected eof".
        assert b"closed" in shown.splitlines()[-1]
        assert b"unexpected eof" not in shown
    # K asks for new keys on both sides; then the connection goes on.
    shown = s_client(server, {b"No ALPN": b"K\n", b"KEYUPDATE": request}, "-tls1_3", *trust)
    assert b"HTTP/1.1 200 OK" in shown


def test_renegotiation_is_refused(server: SpawnedServer, files: tuple[Path, Pair]) -> None:
    shown = s_client(server, {b"No ALPN": b"R\n"}, "-tls1_2", "-CAfile", str(files[0]))
    assert b"RENEGOTIATING" in shown
    assert b"no renegotiation" in shown
    with Client(("127.0.0.1", server.port), tls=client_context()) as client:
        assert client.request().status == 200


# -- signals


def certificate_of(port: int) -> bytes:
    """The certificate that a new connection is shown; a request on it is answered."""
    with Client(("127.0.0.1", port), tls=client_context()) as client:
        assert client.request(b"/", b"Connection: close").status == 200
        der = client.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        assert der
        return bytes(der)


def expected_of(pair: Pair) -> bytes:
    text = Path(pair[0]).read_text()
    return ssl.PEM_cert_to_DER_cert(text[: text.index("-----END") + 26])


def renew(pair: Pair) -> None:
    write_pair(Path(pair[0]).parent, stem="new", certificate=authority().issue_cert("localhost"))
    for name in pair:
        os.replace(name.replace("server.", "new."), name)


@pytest.mark.parametrize("workers", [(), ("--workers", "2")], ids=["single", "workers"])
def test_a_hangup_reads_certificates_again(workers: tuple[str, ...], tmp_path: Path) -> None:
    pair = write_pair(tmp_path, "localhost", certificate=authority().issue_cert("localhost"))
    options = ("--app-dir", str(APPS), "--ssl-certfile", pair[0], "--ssl-keyfile", pair[1], *workers)
    done: Callable[[SpawnedServer, int], object] = lambda server, count: (  # noqa: E731
        server.wait_for(r"Application startup complete", 2 + 2 * count) if workers else server.wait_for("Read the cert", count)
    )
    with spawned("told_app:app", *options) as server:
        server.wait_for(r"Application startup complete", 2 if workers else 1)
        assert certificate_of(server.port) == expected_of(pair)
        before = expected_of(pair)
        renew(pair)
        assert expected_of(pair) != before
        server.send_signal(signal.SIGHUP)
        done(server, 1)
        if workers:
            server.wait_for(r"Finished server process", 2)
        assert certificate_of(server.port) == expected_of(pair)
        # A pair that does not fit: what there was goes on.
        good, key = expected_of(pair), Path(pair[1]).read_bytes()
        Path(pair[1]).write_text("broken")
        server.send_signal(signal.SIGHUP)
        server.wait_for("aborting the restart" if workers else "Serving with the certificates from before")
        server.wait_for("Cannot serve with the certificate")
        assert certificate_of(server.port) == good
        Path(pair[1]).write_bytes(key)
        with Client(("127.0.0.1", server.port), tls=client_context()) as idle:
            assert idle.request().status == 200
            server.send_signal(signal.SIGTERM)
            # An orderly end: told by a close_notify.
            assert idle.read_to_end() == b""
        assert server.join() == (0 if workers else -signal.SIGTERM)


def test_check_of_options() -> None:
    with spawned("told_app:app", "--ssl-certfile", os.devnull, "--app-dir", str(APPS)) as server:
        assert server.join() == 3
        assert f"Cannot serve with the certificate {os.devnull}" in server.output
        assert "Traceback" not in server.output
