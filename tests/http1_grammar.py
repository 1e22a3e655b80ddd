"""Makes byte streams that are nearly HTTP/1, to set the twins against each other. Knows the grammar, not the verdicts.

Everything is drawn from one `random.Random`, so that hypothesis (which can shrink its own), a plain seed and a fuzzer's bytes
can all be the source.
"""

from __future__ import annotations

from random import Random

__all__ = ["limits", "pieces", "stream"]

METHODS = [b"GET", b"POST", b"HEAD", b"OPTIONS", b"get", b"CONNECT", b"M" * 32, b"M" * 33, b"G(T", b""]
TARGETS = [
    b"/",
    b"/a?b=c",
    b"/%41",
    b"*",
    b"http://b/x?y",
    b"HTTPS://b:8",
    b"http://u@b/",
    b"a",
    b"/#",
    b"/\x80",
    b"//b",
    b"?q",
    b"",
]
VERSIONS = [b"HTTP/1.1"] * 6 + [b"HTTP/1.0"] * 2 + [b"HTTP/2.0", b"http/1.1", b"HTTP/1.", b"RTSP/1.0", b""]
HOSTS = [b"a", b"a:80", b"[::1]:8", b"", b"a b", b"a:99999", b"a@b", b"[::1", b"[:]", b"a%41", b"a%4", b":80", b"\xe4"]
LENGTHS = [b"0", b"1", b"5", b"05", b"+5", b"5, 5", b"", b"9223372036854775807", b"9223372036854775808", b"0x5", b"99"]
CODINGS = [b"chunked"] * 8 + [
    b"Chunked",
    b"gzip",
    b"gzip, chunked",
    b"chunked, chunked",
    b"chunked;q=1",
    b"",
    b",chunked",
    b"identity",
]
CONNECTIONS = [b"close", b"keep-alive", b"upgrade", b"close, Upgrade", b"x,CLOSE ,y", b"closed", b"", b","]
EXPECTATIONS = [b"100-continue", b"100-Continue", b"100", b"", b"100-continue, x"]
VALUES = [b"", b"x", b" y\t", b"\xff", b"a:b", b"\x00", b"a\x7f", b"\t", b"z" * 40, b"q\x0bq"]
NAMES = [b"X", b"x-Y_z", b"~", b"X ", b"", b"\xe4", b"a(b", b"N" * 33, b"Cookie", b"user-agent"]
SIZES = [
    b"0",
    b"5",
    b"05",
    b"a",
    b"1F",
    b"",
    b"0x5",
    b"-1",
    b"8000000000000000",
    b"7fffffffffffffff",
    b"0" * 16,
    b"0" * 17,
    b" 5",
    b"g",
]
EXTENSIONS = [b""] * 6 + [
    b";a",
    b";a=b",
    b' ; a = "b\\"c"',
    b";",
    b";a=",
    b";a=\x01",
    b" ",
    b';a="',
    b"x",
    b";a;b=\xff",
    b';"\xff"',
]
ENDINGS = [b"\r\n"] * 30 + [b"\n", b"\r", b"\r\r\n", b"", b" \r\n"]
NOISE = [b"\r", b"\n", b"\r\n", b" ", b"\t", b":", b"\x00", b"0", b";", b",", b"\x80", b"\x0b", b'"', b"GET / HTTP/1.1\r\n"]


def _field(rng: Random) -> bytes:
    name, values = rng.choice(
        [
            (b"Host", HOSTS),
            (b"Content-Length", LENGTHS),
            (b"Transfer-Encoding", CODINGS),
            (b"Connection", CONNECTIONS),
            (b"Expect", EXPECTATIONS),
            (b"Upgrade", [b"websocket", b"h2c", b""]),
            (rng.choice(NAMES), VALUES),
            (rng.choice(NAMES[:3]), VALUES[:6]),
        ]
    )
    space = rng.choice([b" "] * 8 + [b"", b"\t", b"  "])
    return (name.lower() if rng.random() < 0.2 else name) + b":" + space + rng.choice(values) + rng.choice(ENDINGS)


def _head(rng: Random, framing: bytes) -> bytes:
    if rng.random() < 0.6:
        line = rng.choice(
            [b"GET / HTTP/1.1\r\n", b"POST /p?q HTTP/1.1\r\n", b"GET http://b/ HTTP/1.1\r\n", b"GET / HTTP/1.0\r\n"]
        )
    else:
        line = b" ".join((rng.choice(METHODS), rng.choice(TARGETS), rng.choice(VERSIONS))) + rng.choice(ENDINGS)
    fields = [b"Host: a\r\n", framing] + [_field(rng) for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 4]))]
    if rng.random() < 0.15:
        rng.shuffle(fields)
        del fields[0]
    return line + b"".join(fields) + (b"\r\n" if rng.random() < 0.95 else rng.choice(ENDINGS))


def _chunks(rng: Random) -> bytes:
    parts = []
    for _ in range(rng.choice([0, 1, 1, 2, 5])):
        if rng.random() < 0.8:
            data = b"d" * rng.choice([1, 5, 10, 31])
            parts += [b"%x" % len(data), rng.choice(EXTENSIONS[:8]), b"\r\n", data, rng.choice(ENDINGS)]
        else:
            parts += [rng.choice(SIZES), rng.choice(EXTENSIONS), rng.choice(ENDINGS), b"hello", rng.choice(ENDINGS)]
    parts += [b"0", rng.choice(EXTENSIONS), rng.choice(ENDINGS)]
    parts += [_field(rng) for _ in range(rng.choice([0, 0, 0, 1, 2, 3]))]
    return b"".join(parts) + rng.choice(ENDINGS)


def _request(rng: Random) -> bytes:
    kind = rng.random()
    empty = rng.choice([b""] * 8 + [b"\r\n", b"\r\n" * 8, b"\r\n" * 9, b"\n"])
    if kind < 0.4:
        return empty + _head(rng, b"")
    if kind < 0.65:
        data = b"c" * rng.choice([0, 1, 5, 40])
        return empty + _head(rng, b"Content-Length: %d\r\n" % len(data)) + data
    return empty + _head(rng, b"Transfer-Encoding: chunked\r\n") + _chunks(rng)


def _mutate(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    kind = rng.randrange(4)
    if kind == 0:
        return data[:at] + rng.choice(NOISE) + data[at:]
    if kind == 1:
        return data[:at] + data[at + rng.choice([1, 1, 2, 8]) :]
    if kind == 2:
        return data[:at] + bytes((rng.randrange(256),)) + data[at + 1 :]
    return data[:at] + data[max(0, at - rng.randrange(30)) : at] + data[at:]


def stream(rng: Random) -> bytes:
    """One to four requests, most of them well formed, some with a few bytes changed, some cut short."""
    data = b"".join(_request(rng) for _ in range(rng.choice([1, 1, 2, 4])))
    for _ in range(rng.choice([0, 0, 1, 1, 2, 3])):
        data = _mutate(rng, data)
    # The end of the stream may come anywhere.
    return data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data


def limits(rng: Random) -> dict[str, int]:
    """HTTP1Limits to parse with: the defaults half of the time, else small ones around what `stream` makes."""
    if rng.random() < 0.5:
        return {}
    small = {
        "request_line_bytes": 30,
        "request_fields": 4,
        "request_head_bytes": 120,
        "request_body_bytes": 40,
        "leading_empty_lines": 3,
        "chunk_line_bytes": 16,
        "chunk_extension_total_bytes": 20,
        "trailer_bytes": 40,
    }
    names = rng.sample(sorted(small), rng.randrange(1, 4))
    return {name: rng.randrange(small[name]) for name in names}


def pieces(rng: Random, data: bytes) -> list[bytes]:
    """`data` cut somehow: whole, in bytes, or at a few places; sometimes with an empty piece."""
    kind = rng.randrange(4)
    if kind == 0:
        return [data]
    if kind == 1:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 6)))
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]
