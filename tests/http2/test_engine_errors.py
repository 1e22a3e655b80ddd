"""Handlers that raise, callers that are wrong, connections that end at any time: errors come out, and nothing crashes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
from hpack import Encoder

from http2.engines import ALL, ENGINES, GET, POST, PREFACE, Peer, frame, settings, uint32
from picocorn.base.errors import HTTP2Error
from picocorn.base.limits import HTTP2Limits
from picocorn.http2 import codes

pytestmark = pytest.mark.parametrize("engine", ENGINES)


class Broken(BaseException):
    """What no library may swallow."""


def session_with(engine: str, **overrides: Callable[..., None]) -> Any:
    """A session whose handler does as told, and nothing else."""
    handler_module, engine_module, engine_class = ALL[engine]
    base = importlib.import_module(f"picocorn.http2.{handler_module}").SessionHandler
    quiet = {name: lambda *_: None for name in ("request", "data", "end", "closed", "drained", "goaway")}
    kind = type("Handler", (base,), {**quiet, **{name: lambda _, *args, f=f: f(*args) for name, f in overrides.items()}})
    session = getattr(importlib.import_module(f"picocorn.http2.{engine_module}"), engine_class)(kind(), HTTP2Limits())
    session.start()
    session.receive(PREFACE + settings(), 1.0)
    session.send()
    return session


def fail(*_: object) -> None:
    raise Broken


def request(stream_id: int, fields: Any = GET, end: bool = True) -> bytes:
    return frame(codes.HEADERS, codes.END_HEADERS | (codes.END_STREAM if end else 0), stream_id, Encoder().encode(fields))


@pytest.mark.parametrize("where", ["request", "data", "end", "goaway", "closed"])
def test_an_error_of_the_handler_comes_out_of_receive(engine: str, where: str) -> None:
    session = session_with(engine, **{where: fail})
    data = {
        "request": request(1),
        "data": request(1, POST, False) + frame(codes.DATA, 0, 1, b"x"),
        "end": request(1, POST, False) + frame(codes.DATA, codes.END_STREAM, 1, b""),
        "goaway": frame(codes.GOAWAY, 0, 0, bytes(8)),
        "closed": request(1, POST, False) + frame(codes.RST_STREAM, 0, 1, uint32(codes.CANCEL)),
    }[where]
    with pytest.raises(Broken):
        session.receive(data, 2.0)
    assert session.is_over()
    # Of no more use, and of no harm.
    session.receive(data, 3.0)
    session.queue_head(1, 200, [], False)
    assert not session.queue_data(1, b"x", True)
    session.reset(1, codes.CANCEL)
    session.consume(1, 5)
    session.goaway(codes.NO_ERROR)
    session.send()
    assert session.send() == []


@pytest.mark.parametrize("where", ["drained", "closed"])
def test_an_error_of_the_handler_comes_out_of_send(engine: str, where: str) -> None:
    session = session_with(engine, **{where: fail})
    session.receive(frame(codes.SETTINGS, 0, 0, b"\0\x04\0\x7f\xff\xff") + frame(codes.WINDOW_UPDATE, 0, 0, uint32(1 << 20)), 1.0)
    session.receive(request(1), 2.0)
    session.queue_head(1, 200, [], False)
    session.queue_data(1, bytes(100000), where == "closed")
    with pytest.raises(Broken):
        session.send()
    assert session.is_over()


def test_an_error_in_the_middle_of_many(engine: str) -> None:
    told: list[int] = []

    def third(stream_id: int, *_: object) -> None:
        told.append(stream_id)
        if len(told) == 3:
            raise Broken

    session = session_with(engine, request=third)
    with pytest.raises(Broken):
        session.receive(b"".join(request(stream_id) for stream_id in range(1, 21, 2)), 2.0)
    assert told == [1, 3, 5]


def test_more_fields_than_fit_the_stack(engine: str) -> None:
    peer = Peer(engine)
    peer.request(1)
    headers = [(b"x-%d" % number, b"v" * number) for number in range(200)]
    peer.session.queue_head(1, 200, headers, True)
    peer.take()
    frames = [f for f in peer.frames if f[0] in (codes.HEADERS, codes.CONTINUATION)]
    assert peer.decode(b"".join(f[3] for f in frames)) == [(b":status", b"200"), *headers]


@pytest.mark.parametrize("call", ["receive", "send", "queue_head", "reset", "goaway", "consume"])
def test_a_handler_that_calls_back_does_not_crash(engine: str, call: str) -> None:
    # It must not (SessionHandler); a finalizer may, though, that runs while an object is made.
    called = []

    def back(stream_id: int, *_: object) -> None:
        if called:
            return
        called.append(stream_id)
        arguments = {
            "receive": (frame(codes.PING, 0, 0, b"12345678"), 3.0),
            "queue_head": (stream_id, 200, [(b"a", b"b")], True),
            "reset": (stream_id, codes.CANCEL),
            "goaway": (codes.NO_ERROR,),
            "consume": (stream_id, 5),
        }.get(call, ())
        try:
            getattr(session, call)(*arguments)
        except RuntimeError:
            called.append(-1)

    session = session_with(engine, request=back)
    session.receive(request(1, POST, False) + request(3), 2.0)
    session.send()
    assert called
    if engine == "nghttp2" and call == "receive":
        assert called == [1, -1]


def test_a_session_may_go_in_any_state(engine: str) -> None:
    for stage in range(6):
        peer = Peer(engine)
        if stage > 0:
            peer.request(1, POST, end=False)
            peer.request(3)
        if stage > 1:
            peer.send(peer.data(1, b"x" * 100))
        if stage > 2:
            peer.session.queue_head(1, 200, [(b"a", b"b")], False)
            peer.session.queue_data(1, bytes(200000), False)
        if stage > 3:
            peer.take()
        if stage > 4:
            with pytest.raises(HTTP2Error):
                peer.send(frame(codes.PING, 0, 1, b"12345678"))
        del peer
