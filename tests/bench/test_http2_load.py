"""Answers over HTTP/2 and TLS count when they are right: h2load, curl and the generator of handshakes are read closely."""

from __future__ import annotations

import asyncio
import json
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tls_server import serving

import environment
import http2_generator
import http2_verify
import launch
import tls_certificate
from failure import BenchFailure, Unsupported
from http2_generator import parse, percentiles
from workloads import BY_NAME, HTTP2Workload, TLSWorkload

WORKLOADS: dict[str, Any] = {**BY_NAME}
RAW: HTTP2Workload = WORKLOADS["h2-raw"]
HANDSHAKES: TLSWorkload = WORKLOADS["tls-handshakes"]

OUTPUT = """starting benchmark...
Application protocol: h2c
Main benchmark duration is over for thread #0. Stopping all clients.

finished in 1.00s, 35408.00 req/s, 1.35MB/s
requests: 1000 total, 1256 started, 1000 done, {succeeded} succeeded, {failed} failed, 0 errored, 0 timeout
status codes: {succeeded} 2xx, {redirects} 3xx, 0 4xx, {errors} 5xx
traffic: 1.35MB (1413038) total, 280.22KB (286948) headers (space savings 89.43%), 12.7KB ({data}) data
                     min         max         mean         sd        +/- sd
time for request:       61us      7.53ms       208us       293us    99.14%
"""
RIGHT = {"succeeded": 1000, "failed": 0, "redirects": 0, "errors": 0, "data": 13000}


def output(**different: int) -> str:
    return OUTPUT.format(**{**RIGHT, **different})


def test_what_h2load_prints_is_read() -> None:
    assert parse(output(), RAW) == (1000, 35408.0)
    # All 256 that were on their way have had their content, and not yet their end.
    assert parse(output(data=13000 + 256 * 13), RAW) == (1000, 35408.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (output(succeeded=990, failed=10, errors=10), "answers that are not 2xx: {'5xx': 10}"),
        (output(redirects=3), "answers that are not 2xx: {'3xx': 3}"),
        (output(failed=1), "requests that went wrong: {'failed': 1}"),
        (output(data=12999), "12999 bytes of content in 1000 answers"),
        (output(data=13001 + 256 * 13), "bytes of content in 1000 answers"),
        (output(succeeded=0, data=0), "not one answer"),
        ("could not connect to the host\n", "h2load printed no result"),
    ],
)
def test_what_is_wrong_does_not_count(text: str, message: str) -> None:
    with pytest.raises(BenchFailure) as failure:
        parse(text, RAW)
    assert message in str(failure.value)


def test_percentiles_are_of_the_third_column() -> None:
    assert percentiles("".join(f"1795296147349618\t200\t{time}\n" for time in range(100, 0, -1))) == [51, 100]
    with pytest.raises(BenchFailure, match="no answer"):
        percentiles("")


def told(**different: object) -> dict[str, object]:
    return {"http_version": "2", "response_code": 200, "num_connects": 1, **different}


def test_what_curl_says_is_looked_at() -> None:
    http2_verify.compare(told(), RAW.content, RAW, is_first=True)
    with pytest.raises(Unsupported, match=r"HTTP/1\.1, not in HTTP/2"):
        http2_verify.compare(told(http_version="1.1"), RAW.content, RAW, is_first=True)
    with pytest.raises(BenchFailure, match="answers 404"):
        http2_verify.compare(told(response_code=404), RAW.content, RAW, is_first=True)
    with pytest.raises(BenchFailure, match="5 bytes of content"):
        http2_verify.compare(told(), b"Hello", RAW, is_first=True)
    with pytest.raises(BenchFailure, match="does not keep"):
        http2_verify.compare(told(), RAW.content, RAW, is_first=False)
    closing = told(http_version="1.1", num_connects=0)
    with pytest.raises(BenchFailure, match="does not end"):
        http2_verify.compare(closing, HANDSHAKES.content, HANDSHAKES, is_first=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl")
    made: Path = tmp_path_factory.mktemp("tls")
    return made


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_the_server_is_asked_in_the_version_of_the_row(folder: Path) -> None:
    with serving(tls_certificate.pair(folder), b"Hello, World!") as port:
        for name in ("tls-raw", "tls-handshakes"):
            agreed = http2_verify.check(port, WORKLOADS[name], folder)
            assert agreed["tls"].startswith("TLSv1.3 TLS_")
        with pytest.raises(Unsupported, match=r"answers in HTTP/1\.1"):
            http2_verify.check(port, WORKLOADS["h2-tls-raw"], folder)
    with pytest.raises(BenchFailure, match="curl: "):
        http2_verify.check(port, WORKLOADS["tls-raw"], folder)


def test_handshakes_are_counted(folder: Path) -> None:
    strict = ("-Wall", "-Wextra", "-fsanitize=undefined", "-fno-sanitize-recover")
    program, error = environment.compile_handshakes(folder, strict)
    if error and ("openssl" in error or "lssl" in error or "compiler" in error):
        pytest.skip(error)
    assert error is None

    def run(port: int) -> dict[str, Any]:
        command = [str(program), "--port", str(port), "--connections", "2", "--seconds", "0.2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        printed: dict[str, Any] = json.loads(done.stdout)
        return printed

    with serving(tls_certificate.pair(folder), b"Hello, World!") as port:
        printed = run(port)
    assert (printed["errors"], printed["resumed"], printed["protocol"]) == (0, 0, "TLSv1.3"), printed["first_error"]
    assert printed["connections"] > 0
    assert 0 < printed["p50_us"] <= printed["p99_us"]
    assert "connect" in run(port)["first_error"] or "handshake" in run(port)["first_error"], "nobody is there any more"
    with serving(tls_certificate.pair(folder), b"Hello, Wodan!") as port:
        assert run(port)["first_error"] == "answer: HTTP/1.1 200 OK"


@pytest.mark.parametrize(
    ("printed", "message"),
    [
        ({"errors": 2, "first_error": "handshake: no"}, "2 connections went wrong: handshake: no"),
        ({"connections": 0}, "not one connection"),
        ({"resumed": 1}, "1 of 9 handshakes resume"),
    ],
)
def test_handshakes_that_are_none(printed: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    right = {"errors": 0, "connections": 9, "resumed": 0}
    monkeypatch.setattr(http2_generator, "program", lambda: Path("tls_load"))
    monkeypatch.setattr(http2_generator, "_run", lambda command, seconds: json.dumps({**right, **printed}))
    with pytest.raises(BenchFailure, match=message):
        http2_generator.handshakes(1, HANDSHAKES, seconds=1, core=0)


def test_an_upload_is_compared_with_what_should_have_come() -> None:
    application = runpy.run_path(str(launch.APPS / "plain.py"))["upload"]
    row: HTTP2Workload = WORKLOADS["h2-upload"]

    def answered(pieces: list[bytes]) -> tuple[int, bytes]:
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces] + [{"type": "http.request"}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        asyncio.run(application({"type": "http"}, receive, send))
        return sent[0]["status"], sent[1]["body"]

    body = row.request.body
    assert answered([body[:70000], body[70000:]]) == (200, row.content)
    assert answered([body[:70000], body[70001:]])[0] == 400
