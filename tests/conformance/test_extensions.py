"""Extensions of HTTP/1.1: X3 to X7."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from conformance.applications import Recorder, answer, body, start
from raw_client import get

CONTENT = os.urandom(3 * 262144 + 17)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def file(path: Path) -> Iterator[BinaryIO]:
    with path.open("rb") as file:
        yield file
        # Whoever opened it closes it: the server must not have.
        assert os.fstat(file.fileno()).st_size == len(CONTENT)


def zerocopysend(file: Any, **window: Any) -> dict[str, Any]:
    return {"type": "http.response.zerocopysend", "file": file, **window}


def pathsend(path: Path) -> dict[str, Any]:
    return {"type": "http.response.pathsend", "path": str(path)}


def application(*messages: dict[str, Any], headers: Any = (), **more: Any) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, headers, **more))
        for message in messages:
            await send(message)

    return app


# -- X3 -----------------------------------------------------------------------------------------------------------------


def test_x3_whole_file(serve: Any, file: BinaryIO) -> None:
    with serve(application(zerocopysend(file))) as server:
        assert server.get("/").body == CONTENT


def test_x3_windows_between_bodies(serve: Any, file: BinaryIO) -> None:
    messages = [
        body(b"<", True),
        zerocopysend(file, offset=10, count=20, more_body=True),
        body(b"|", True),
        zerocopysend(file, offset=300_000, count=None, more_body=True),
        body(b">"),
    ]
    with serve(application(*messages)) as server:
        assert server.get("/").body == b"<" + CONTENT[10:30] + b"|" + CONTENT[300_000:] + b">"


def test_x3_position_of_the_file(serve: Any, file: BinaryIO) -> None:
    file.seek(100)
    messages = [zerocopysend(file, count=50, more_body=True), zerocopysend(file, count=50)]
    with serve(application(*messages)) as server:
        assert server.get("/").body == CONTENT[100:200]
    assert file.tell() == 200


def test_x3_head_has_no_content(serve: Any, file: BinaryIO) -> None:
    headers = [(b"content-length", b"%d" % len(CONTENT))]
    with serve(application(zerocopysend(file), headers=headers)) as server:
        client = server.connect()
        for _ in range(2):
            assert client.request(method=b"HEAD").get(b"content-length") == b"%d" % len(CONTENT)


# -- X4 -----------------------------------------------------------------------------------------------------------------


def test_x4_file(serve: Any, path: Path) -> None:
    headers = [(b"content-length", b"%d" % len(CONTENT)), (b"content-type", b"x/y")]
    with serve(application(pathsend(path), headers=headers)) as server:
        client = server.connect()
        for _ in range(2):
            response = client.request()
            assert response.body == CONTENT
            assert response.get(b"content-type") == b"x/y"


def test_x4_file_without_a_length(serve: Any, path: Path) -> None:
    with serve(application(pathsend(path))) as server:
        assert server.get("/").body == CONTENT
        client = server.connect()
        client.send(get(version=b"1.0"))
        assert client.response().body == CONTENT


def test_x4_empty_file(serve: Any, path: Path) -> None:
    path.write_bytes(b"")
    with serve(application(pathsend(path))) as server:
        assert server.get("/").body == b""


def test_x4_head_has_no_content(serve: Any, path: Path) -> None:
    headers = [(b"content-length", b"%d" % len(CONTENT))]
    with serve(application(pathsend(path), headers=headers)) as server:
        client = server.connect()
        for _ in range(2):
            assert client.request(method=b"HEAD").get(b"content-length") == b"%d" % len(CONTENT)


def test_x4_missing_file_is_the_applications_error(serve: Any, tmp_path: Path) -> None:
    with serve(application(pathsend(tmp_path / "missing"))) as server:
        assert server.get("/").status == 500
        assert "FileNotFoundError" in server.errors()[0]


def test_x4_missing_file_can_be_caught(serve: Any, tmp_path: Path) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(404))
        try:
            await send(pathsend(tmp_path / "missing"))
        except FileNotFoundError:
            await send(body(b"not here"))

    with serve(app) as server:
        assert server.get("/").body == b"not here"


def test_x4_file_that_differs_from_its_length(serve: Any, path: Path) -> None:
    headers = [(b"content-length", b"%d" % (len(CONTENT) + 1))]
    with serve(application(pathsend(path), headers=headers)) as server:
        client = server.connect()
        client.send(get())
        client.head()
        # All that there is, and then no clean end.
        assert len(client.read_to_end()) <= len(CONTENT)
        assert "shorter than Content-Length" in server.errors()[0]


# -- X5 -----------------------------------------------------------------------------------------------------------------

HINT = {"type": "http.response.early_hint", "links": [b"</a>; rel=preload", b"</b>"]}


@pytest.mark.parametrize("after_start", [False, True])
@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
def test_x5_early_hint(serve: Any, after_start: bool, version: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["extensions"]["http.response.early_hint"] == {}
        for message in (start(), HINT) if after_start else (HINT, start()):
            await send(message)
        await send({**HINT, "links": iter([b"</c>"])})
        await send(body(b"all", True))
        # Too late for the wire, and no mistake.
        await send(HINT)
        await send(body())

    with serve(app) as server:
        client = server.connect()
        client.send(get(version=version))
        response = client.response()
    assert (response.status, response.body) == (200, b"all")
    links = [[value for _, value in interim.headers] for interim in response.interim]
    assert links == ([[b"</a>; rel=preload", b"</b>"], [b"</c>"]] if version == b"1.1" else [])
    assert all(interim.status == 103 for interim in response.interim)


@pytest.mark.parametrize("link", [b"</a>\r\nx: y", b"</a>\nx", "</a>"])
def test_x5_wrong_link(serve: Any, link: Any) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError):
            await send({**HINT, "links": [link]})
        await answer(send, b"caught")

    with serve(app) as server:
        assert server.get("/").body == b"caught"


# -- X6 -----------------------------------------------------------------------------------------------------------------

TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"7")]}


@pytest.mark.parametrize(("fields", "wanted"), [([b"TE: trailers"], True), ([b"TE: gzip,trailers;q=1"], False), ([], False)])
def test_x6_trailers(serve: Any, fields: list[bytes], wanted: bool) -> None:
    with serve(application(body(b"all"), TRAILERS, trailers=True)) as server:
        client = server.connect()
        for _ in range(2):
            response = client.request(b"/", *fields)
            assert response.body == b"all"
            assert response.trailers == ([(b"x-sum", b"7")] if wanted else [])


def test_x6_trailers_where_there_is_no_room(serve: Any) -> None:
    with serve(application(body(b"all"), TRAILERS, trailers=True)) as server:
        client = server.connect()
        assert client.request(b"/", b"TE: trailers", method=b"HEAD").trailers == []
        client.send(get(b"/", b"TE: trailers", version=b"1.0"))
        assert client.response().body == b"all"


# -- what is offered ----------------------------------------------------------------------------------------------------


def test_x7_and_others_that_this_wire_cannot_carry_are_absent(serve: Any) -> None:
    app = Recorder()
    with serve(app) as server:
        server.get("/")
    assert set(app.scope["extensions"]) == {
        "http.response.early_hint",
        "http.response.pathsend",
        "http.response.trailers",
        "http.response.zerocopysend",
    }


@pytest.mark.parametrize("kind", ["debug", "push"])
def test_x7_what_is_not_offered_is_refused(serve: Any, kind: str) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(RuntimeError):
            await send({"type": f"http.response.{kind}", "info": {}, "path": "/", "headers": []})
        await answer(send, b"caught")

    with serve(app) as server:
        assert server.get("/").body == b"caught"
