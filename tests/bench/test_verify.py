"""Right answers pass, wrong ones are named: status, framing, content, connection. Against a socket that answers by the book."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
from collections.abc import Iterator

import pytest

from failure import BenchFailure
from verify import Answer, check, compare, read_answer
from workloads import Request

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def answer(data: bytes) -> Answer:
    return read_answer(io.BytesIO(data))


def test_content_of_a_stated_length() -> None:
    assert answer(HELLO + b"more") == Answer(200, {"content-length": "5"}, b"hello", "length")


def test_chunks_are_undone() -> None:
    read = answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n")
    assert (read.body, read.framing) == (b"hello", "chunked")


def test_content_up_to_the_close() -> None:
    read = answer(b"HTTP/1.1 200 \r\n\r\nhello")
    assert (read.body, read.framing) == (b"hello", "close")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "closed without an answer"),
        (b"hello\r\n\r\n", "no status line"),
        (b"HTTP/1.0 200 OK\r\n\r\n", "no status line"),
        (b"HTTP/1.1 200 OK\r\nnonsense\r\n\r\n", "no header field"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", "3 bytes of content, Content-Length says 5"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "both"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "no chunk size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "a chunk that ends early"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", "no end of a chunk"),
    ],
)
def test_what_is_no_answer(data: bytes, message: str) -> None:
    with pytest.raises(BenchFailure, match=message):
        answer(data)


def test_status_and_content_are_compared() -> None:
    with pytest.raises(BenchFailure, match="answers 500, not 200"):
        compare(Answer(500, {}, b"hello", "length"), 200, b"hello")
    with pytest.raises(BenchFailure, match="4 bytes of content"):
        compare(Answer(200, {}, b"hell", "length"), 200, b"hello")


@contextlib.contextmanager
def serving(*answers: bytes, close: bool) -> Iterator[int]:
    """A server for one connection: an answer for every piece that is received, then a close or patience."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            for data in answers:
                connection.recv(65536)
                connection.sendall(data)
            if not close:
                connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_two_turns_on_a_kept_connection() -> None:
    with serving(HELLO, HELLO, close=False) as port:
        assert check(port, Request(), b"hello") == "length"


def test_all_answers_of_a_pipeline() -> None:
    second = HELLO * 15 + HELLO.replace(b"hello", b"wrong")
    with serving(HELLO * 16, second, close=False) as port, pytest.raises(BenchFailure, match="wrong"):
        check(port, Request(pipeline=16), b"hello")


def test_a_connection_that_is_not_kept() -> None:
    answer = b"HTTP/1.1 200 OK\r\n\r\nhello"
    with serving(answer, close=True) as port, pytest.raises(BenchFailure, match="does not keep the connection"):
        check(port, Request(), b"hello")


def test_a_close_that_was_asked_for() -> None:
    with serving(HELLO, close=True) as port:
        assert check(port, Request(closes=True), b"hello") == "length"
    with serving(HELLO + b"x", close=True) as port, pytest.raises(BenchFailure, match="bytes after the end"):
        check(port, Request(closes=True), b"hello")


def test_nobody_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(BenchFailure, match="refused"):
            check(unused.getsockname()[1], Request(), b"hello")
