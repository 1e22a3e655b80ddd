"""Is the answer right? A plain HTTP/1.1 client over a blocking socket, which takes answers apart and compares them.

Knows nothing of servers and processes.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import BinaryIO

from failure import BenchFailure
from workloads import Request

TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Answer:
    """A response, and how its end was marked: "length", "chunked" or "close"."""

    status: int
    headers: dict[str, str]
    body: bytes
    framing: str


def read_answer_head(stream: BinaryIO) -> tuple[int, dict[str, str]]:
    """Take the head of one response from `stream`: status, and fields by lower-case names. Raise BenchFailure when it is none."""
    line = stream.readline(65536)
    parts = line.split(None, 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/1.1") or not parts[1].isdigit():
        raise BenchFailure(f"no status line: {line[:60]!r}" if line else "the connection is closed without an answer")
    headers: dict[str, str] = {}
    while (line := stream.readline(65536)) not in {b"\r\n", b""}:
        name, colon, value = line.partition(b":")
        if not colon:
            raise BenchFailure(f"no header field: {line[:60]!r}")
        headers[name.decode("latin-1").lower()] = value.strip().decode("latin-1")
    return int(parts[1]), headers


def read_answer(stream: BinaryIO) -> Answer:
    """Take one response from `stream`; raise BenchFailure when it is not one."""
    status, headers = read_answer_head(stream)
    if "transfer-encoding" in headers:
        if "content-length" in headers:
            raise BenchFailure("both Content-Length and Transfer-Encoding")
        return Answer(status, headers, _read_chunks(stream), "chunked")
    if "content-length" in headers:
        length = int(headers["content-length"])
        body = stream.read(length)
        if len(body) != length:
            raise BenchFailure(f"{len(body)} bytes of content, Content-Length says {length}")
        return Answer(status, headers, body, "length")
    return Answer(status, headers, stream.read(), "close")


def _read_chunks(stream: BinaryIO) -> bytes:
    body = b""
    while True:
        line = stream.readline(1024)
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError:
            raise BenchFailure(f"no chunk size: {line[:60]!r}") from None
        piece = stream.read(size)
        if len(piece) != size:
            raise BenchFailure("a chunk that ends early")
        end = stream.readline(1024)
        if end != b"\r\n":
            raise BenchFailure(f"no end of a chunk: {end[:60]!r}")
        if size == 0:
            return body
        body += piece


def compare(answer: Answer, status: int, content: bytes) -> None:
    """Raise BenchFailure unless `answer` is what was asked for."""
    if answer.status != status:
        raise BenchFailure(f"answers {answer.status}, not {status}")
    if answer.body != content:
        sample = answer.body[:40]
        raise BenchFailure(f"{len(answer.body)} bytes of content ({sample!r}...), not the expected {len(content)}")


def check(port: int, request: Request, content: bytes) -> str:
    """Ask as wrk will, and look at every answer; raise BenchFailure, or return how the end of content is marked."""
    try:
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS) as sock, sock.makefile("rb") as stream:
            framing = ""
            # Two turns: the second shows whether the connection is kept.
            for turn in range(1 if request.closes else 2):
                sock.sendall(request.wire() * request.pipeline)
                for _ in range(request.pipeline):
                    answer = read_answer(stream)
                    compare(answer, 200, content)
                    framing = answer.framing
                if framing == "close" and turn == 0 and not request.closes:
                    raise BenchFailure("does not keep the connection: content ends with a close")
            if request.closes and stream.read(1):
                raise BenchFailure("bytes after the end")
    except TimeoutError:
        raise BenchFailure(f"no whole answer within {TIMEOUT_SECONDS} s") from None
    except OSError as error:
        raise BenchFailure(f"{error.strerror or error}") from None
    return framing
