"""What wrk prints is read with its units, and its errors are failures; its script sends what was asked for."""

from __future__ import annotations

import pytest

import wrk
from failure import BenchFailure
from workloads import Request

OUTPUT = """Running 2s test @ http://127.0.0.1:9001/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   644.37us  156.82us   5.22ms   92.30%
    Req/Sec    97.31k     3.34k  101.23k    85.00%
  Latency Distribution
     50%  623.00us
     75%  670.00us
     90%  733.00us
     99%    1.21ms
  193602 requests in 2.00s, 27.33MB read
{extra}Requests/sec:  96722.49
Transfer/sec:     13.65MB
"""


def test_output_is_read() -> None:
    assert wrk.parse(OUTPUT.format(extra="")) == wrk.Load(193602, 96722.49, 623.0, 1210.0)


@pytest.mark.parametrize(
    ("text", "value"), [("0.00us", 0), ("12.5us", 12.5), ("1.20ms", 1200), ("2.00s", 2e6), ("1.50m", 90e6), ("1.00h", 3.6e9)]
)
def test_durations(text: str, value: float) -> None:
    assert wrk.microseconds(text) == pytest.approx(value)


def test_no_duration() -> None:
    with pytest.raises(BenchFailure, match="12parsec"):
        wrk.microseconds("12parsec")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("  Socket errors: connect 0, read 3, write 0, timeout 0\n", "socket errors: connect 0, read 3"),
        ("  Non-2xx or 3xx responses: 17\n", "17 answers that are not 2xx"),
    ],
)
def test_errors_are_failures(extra: str, message: str) -> None:
    with pytest.raises(BenchFailure, match=message):
        wrk.parse(OUTPUT.format(extra=extra))


def test_nothing_and_no_answer_are_failures() -> None:
    with pytest.raises(BenchFailure, match="printed no result"):
        wrk.parse("unable to connect to 127.0.0.1:9001 Connection refused\n")
    with pytest.raises(BenchFailure, match="not one answer"):
        wrk.parse(OUTPUT.format(extra="").replace("193602 requests", "0 requests"))


def lua_strings(script: str) -> str:
    """The script with its strings written plainly."""
    parts = script.split('"')
    for index in range(1, len(parts), 2):
        parts[index] = "".join(chr(int(code)) for code in parts[index].split("\\")[1:])
    return "'".join(parts)


def test_script_of_a_get_needs_no_lua_while_it_runs() -> None:
    assert lua_strings(wrk.script(Request())) == "wrk.method = 'GET'\n"


def test_script_sends_method_fields_and_every_byte_of_a_body() -> None:
    script = wrk.script(Request("POST", fields=(("X-A", 'say "hi"'),), body=b'\x00"\\\n\xff'))
    assert lua_strings(script).splitlines()[:2] == ["wrk.method = 'POST'", "wrk.headers['X-A'] = 'say \"hi\"'"]
    assert r'wrk.body = "\000\034\092\010\255"' in script


def test_script_of_a_pipeline_and_of_a_close() -> None:
    assert "string.rep(wrk.format(), 16)" in wrk.script(Request(pipeline=16))
    assert "wrk.headers['Connection'] = 'close'" in lua_strings(wrk.script(Request(closes=True)))
