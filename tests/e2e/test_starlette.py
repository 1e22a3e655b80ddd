"""Starlette end to end: streams, uploads, background tasks, BaseHTTPMiddleware, GZip, sessions, static files."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from e2e.serving import MIB, Served, fetch_all, serving, until_true
from raw_client import Response, get

PAGE = b"<p>a page</p>" * 20
BLOB = bytes(range(256)) * 4096


@pytest.fixture(scope="module")
def server(body: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("static")
    (folder / "page.html").write_bytes(PAGE)
    (folder / "blob.bin").write_bytes(BLOB)
    (folder / "empty.txt").write_bytes(b"")
    with serving("starlette_app", "--no-access-log", body=body, env={"E2E_STATIC_FOLDER": str(folder)}) as server:
        yield server


def test_index_passes_the_middleware(client: httpx.Client) -> None:
    answer = client.get("/")
    assert answer.text == "Hello, world!"
    assert answer.headers["x-middleware"] == "passed"


def test_date_and_server_are_there_once(client: httpx.Client) -> None:
    answer = client.get("/")
    assert len(answer.headers.get_list("date")) == 1
    assert len(answer.headers.get_list("server")) == 1


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 2 * MIB])
def test_echo(client: httpx.Client, size: int) -> None:
    assert client.post("/echo", content=b"x" * size).content == b"x" * size


@pytest.mark.parametrize("target", [b"/bare/echo-stream", b"/echo-stream"])
def test_request_and_response_stream_at_the_same_time(server: Served, nothing_left: None, target: bytes) -> None:
    with server.connect() as client:
        client.send(b"POST " + target + b" HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"5\r\nfirst\r\n")
        assert client.head().status == 200
        assert client.read_until(b"first")
        # Only now the second piece is sent: the first must have come back before.
        client.send(b"6\r\nsecond\r\n0\r\n\r\n")
        assert client.read_until(b"second")
        assert client.read_until(b"0\r\n\r\n")


def test_forms(client: httpx.Client) -> None:
    assert client.post("/form", data={"a": "1", "b": "zwölf"}).json() == {"a": "1", "b": "zwölf"}
    files = {"small": b"s" * 10, "large": b"l" * (2 * MIB)}
    assert client.post("/form", files=files, data={"a": "1"}).json() == {"a": "1", "small": 10, "large": 2 * MIB}


def test_streamed_response(client: httpx.Client) -> None:
    assert client.get("/stream?count=500").text.split() == [str(number) for number in range(500)]


def test_large_streamed_response(client: httpx.Client) -> None:
    size = 0
    with client.stream("GET", "/large?pieces=256", headers={"Accept-Encoding": "identity"}) as answer:
        for piece in answer.iter_raw():
            size += len(piece)
    assert size == 256 * 65536


def test_http10_gets_no_chunks(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        answer = client.request(b"/stream?count=3", version=b"1.0")
        assert answer.get(b"transfer-encoding") is None
        assert answer.until_close
        assert answer.body == b"0\n1\n2\n"


def test_background_task_runs_after_its_response(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        assert client.request(b"/background").body == b"started"
        assert client.request(b"/release").body == b"released"


def test_pipelined_requests_are_not_held_up_by_a_background_task(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        client.send(get(b"/background") + get(b"/release"))
        assert [client.response().body, client.response().body] == [b"started", b"released"]


def test_session_cookie(client: httpx.Client) -> None:
    assert [client.get("/session").json()["visits"] for _ in range(3)] == [1, 2, 3]


def test_contextvars_do_not_leak_between_requests_of_a_connection(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        client.send(b"".join(get(b"/context?user=%d" % number) for number in range(5)))
        assert [client.response().body for _ in range(5)] == [b"nobody"] * 5
        assert client.request(b"/context?user=last").body == b"nobody"


def test_gzip(server: Served, client: httpx.Client) -> None:
    zipped = server.request(b"/stream?count=1000", b"Accept-Encoding: gzip")
    assert zipped.get(b"content-encoding") == b"gzip"
    plain = server.request(b"/stream?count=1000")
    assert gzip.decompress(zipped.body) == plain.body
    assert client.get("/stream?count=1000").text == plain.body.decode()


def static(client: httpx.Client, method: str = "GET", name: str = "blob.bin", **headers: str) -> httpx.Response:
    return client.request(method, f"/static/{name}", headers={"accept-encoding": "identity", **headers})


def test_static_file(client: httpx.Client) -> None:
    answer = static(client)
    assert answer.content == BLOB
    assert answer.headers["content-length"] == str(len(BLOB))
    assert static(client, name="empty.txt").content == b""
    assert static(client, name="missing").status_code == 404
    assert static(client, name="../conftest.py").status_code == 404


def test_static_head(server: Served, client: httpx.Client) -> None:
    answer = static(client, "HEAD")
    assert (answer.content, answer.headers["content-length"]) == (b"", str(len(BLOB)))
    with server.connect() as raw:
        # Were content sent for the HEAD, the next response could not be read.
        raw.send(get(b"/static/blob.bin", method=b"HEAD") + get(b"/static/empty.txt"))
        assert raw.response(method=b"HEAD").status == 200
        assert raw.response().body == b""


def test_static_not_modified(server: Served, client: httpx.Client) -> None:
    etag = static(client).headers["etag"]
    answer = static(client, **{"if-none-match": etag})
    assert (answer.status_code, answer.content) == (304, b"")
    with server.connect() as raw:
        raw.send(get(b"/static/blob.bin", b"If-None-Match: " + etag.encode()) + get(b"/"))
        assert raw.response().status == 304
        assert raw.response().body == b"Hello, world!"


def test_static_ranges(client: httpx.Client) -> None:
    answer = static(client, range="bytes=100-199")
    assert (answer.status_code, answer.content) == (206, BLOB[100:200])
    assert answer.headers["content-range"] == f"bytes 100-199/{len(BLOB)}"
    assert static(client, range="bytes=-10").content == BLOB[-10:]
    beyond = static(client, range=f"bytes={len(BLOB)}-")
    assert beyond.status_code == 416
    parts = static(client, range="bytes=0-1,1000-1009")
    assert parts.status_code == 206
    assert BLOB[1000:1010] in parts.content


def test_file_response(client: httpx.Client) -> None:
    answer = client.get("/file")
    assert answer.content == PAGE
    assert "page.html" in answer.headers["content-disposition"]


def test_head_and_redirect(client: httpx.Client) -> None:
    answer = client.head("/head")
    assert (answer.content, answer.headers["x-method"]) == (b"", "HEAD")
    assert client.get("/redirect", follow_redirects=True).text == "Hello, world!"


def test_bug_before_the_response(server: Served) -> None:
    answer: Response = server.request(b"/broken")
    assert (answer.status, answer.body) == (500, b"Internal Server Error")


def test_bug_in_the_middle_is_no_clean_end(server: Served, nothing_left: None) -> None:
    with server.connect() as client:
        client.send(get(b"/bare/broken-stream"))
        assert client.head().get(b"transfer-encoding") == b"chunked"
        try:
            rest = client.read_to_end()
        except ConnectionResetError:
            rest = b""
        assert not rest.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("target", [b"/until-disconnect", b"/bare/until-disconnect"])
def test_stream_ends_quietly_when_its_client_leaves(server: Served, nothing_left: None, how: str, target: bytes) -> None:
    name = how.encode() + target[1:5]
    client = server.connect()
    client.send(get(target + b"?name=" + name))
    client.read_until(b"tick\n")
    getattr(client, how)()
    assert server.request(b"/left?name=" + name).body == b"left"
    server.settle()
    # ASGI E9, also in what Starlette makes of it.
    assert "Disconnect" not in server.server.output


@pytest.mark.parametrize("how", ["close", "reset"])
def test_upload_that_breaks_off_is_a_client_disconnect(server: Served, nothing_left: None, how: str) -> None:
    name = how.encode() + b"upload"
    client = server.connect()
    client.send(b"POST /aborted-upload?name=%b HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nbegun" % name)
    # Else a reset might overtake the request itself.
    until_true(lambda: server.left_behind().get("tasks"), "the application reads")
    getattr(client, how)()
    assert server.request(b"/left?name=" + name).body == b"left"


def test_many_at_once(server: Served, nothing_left: None) -> None:
    targets = ["/", "/stream?count=20", "/static/page.html", "/file"] * 75
    answers = fetch_all(server.url, targets)
    assert [answer.status_code for answer in answers] == [200] * len(targets)
    assert {answer.text for answer in answers[::4]} == {"Hello, world!"}
    assert {answer.content for answer in answers[2::4]} == {PAGE}
